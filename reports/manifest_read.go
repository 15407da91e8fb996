package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxManifest bounds what is read.
const maxManifest = 16 << 20

// ReadManifest returns a manifest and the model that it describes, which has to have the digest that it states: spec/runtime.md 11.2, but for a digest that is
// missing, which is an error.
func ReadManifest(path string) (*Manifest, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, nil, err
	}
	var m Manifest
	if len(text) > maxManifest {
		return nil, nil, fmt.Errorf("%s is no export manifest: it has more than %d MiB", path, maxManifest>>20)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, nil, fmt.Errorf("%s is no export manifest: %w", path, err)
	}
	if m.SchemaVersion != 1 || m.Format != "onnx" || m.Artifacts.ONNXPath == "" {
		return nil, nil, fmt.Errorf("%s is no export manifest: schema_version %d, format %q, onnx_path %q (want 1, \"onnx\" and a file)", path, m.SchemaVersion, m.Format, m.Artifacts.ONNXPath)
	}
	file := m.Artifacts.ONNXPath
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(path), file)
	}
	model, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(model)
	if have := hex.EncodeToString(sum[:]); have != m.Artifacts.ONNXSHA256 {
		return nil, nil, fmt.Errorf("%s has the SHA-256 %s, %s states %q: one of them was changed after the export; export anew", file, have, path, m.Artifacts.ONNXSHA256)
	}
	return &m, model, nil
}
