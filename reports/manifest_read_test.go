package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadManifest(t *testing.T) {
	dir := t.TempDir()
	model := []byte("model")
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), model, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(model)
	digest := hex.EncodeToString(sum[:])
	for _, c := range []struct {
		name, text, err string
	}{
		{"as exported", fmt.Sprintf(`{"schema_version":1,"format":"onnx","artifacts":{"onnx_path":"model.onnx","onnx_sha256":"%s"}}`, digest), ""},
		{"an absolute path", fmt.Sprintf(`{"schema_version":1,"format":"onnx","artifacts":{"onnx_path":"%s","onnx_sha256":"%s"}}`, filepath.Join(dir, "model.onnx"), digest), ""},
		{"an edited digest", `{"schema_version":1,"format":"onnx","artifacts":{"onnx_path":"model.onnx","onnx_sha256":"00"}}`, "one of them was changed after the export; export anew"},
		{"no digest", `{"schema_version":1,"format":"onnx","artifacts":{"onnx_path":"model.onnx"}}`, `states ""`},
		{"no model", fmt.Sprintf(`{"schema_version":1,"format":"onnx","artifacts":{"onnx_path":"other.onnx","onnx_sha256":"%s"}}`, digest), "other.onnx: no such file"},
		{"no path", `{"schema_version":1,"format":"onnx"}`, `onnx_path ""`},
		{"another format", `{"schema_version":1,"format":"torch","artifacts":{"onnx_path":"model.onnx"}}`, `format "torch"`},
		{"a later schema", `{"schema_version":2,"format":"onnx","artifacts":{"onnx_path":"model.onnx"}}`, "schema_version 2"},
		{"cut", `{"schema_version":1,`, "is no export manifest: unexpected end of JSON input"},
	} {
		path := filepath.Join(dir, "export_manifest.json")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, got, err := ReadManifest(path)
		switch {
		case c.err == "" && (err != nil || string(got) != string(model)):
			t.Errorf("%s: %q, %v", c.name, got, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v, want %s", c.name, err, c.err)
		}
	}
}
