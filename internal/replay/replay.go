// Package replay makes the replay manifest of a release and replays it.
//
// Create takes the digests of everything that the released model and its verdicts come from (package manifest): weights, configuration, the
// exported file with its manifest, pictures, expected results. Verify takes them again and then exports the model anew from the weights and
// the configuration of the manifest: the released file has to come out, byte for byte.
package replay

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/manifest"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/reports"
	"github.com/apex-x/apexx/reports/attest"
)

// The names of the artifacts that a model is exported from and to. All others have the names of their files.
const (
	Weights        = "weights"
	Export         = attest.ReplayExport
	ExportManifest = "export_manifest"
)

// Request says what a manifest is made of.
type Request struct {
	Root  string            // paths in the manifest are relative to this folder
	Files map[string]string // artifact to file; the three above are required
	Build reports.Build     // of the program that makes it
	Go    string            // version of its compiler
}

// Create makes the manifest. The seed is 0: nothing in the complete model is drawn at random.
func Create(r Request) (manifest.Replay, error) {
	for _, name := range []string{Weights, Export, ExportManifest} {
		if r.Files[name] == "" {
			return manifest.Replay{}, fmt.Errorf("a replay manifest needs the artifact %s", name)
		}
	}
	m, err := source.Open(source.ModelRequest{Weights: r.Files[Weights]})
	if err != nil {
		return manifest.Replay{}, err
	}
	text, err := m.Config.JSON()
	if err != nil {
		return manifest.Replay{}, err
	}
	config := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&config); err != nil {
		return manifest.Replay{}, err
	}
	out, err := manifest.BuildReplay(manifest.ReplayInput{Config: config, Artifacts: r.Files,
		DeterminismState: map[string]any{"commit": r.Build.Revision, "modified": r.Build.Modified, "go": r.Go}})
	if err != nil {
		return out, err
	}
	for name, a := range out.ArtifactHashes {
		if a.Path, err = relative(r.Root, r.Files[name]); err != nil {
			return out, err
		}
		out.ArtifactHashes[name] = a
	}
	return out, nil
}

// relative is the path of a file from a folder, with slashes.
func relative(root, file string) (string, error) {
	from, err1 := filepath.Abs(root)
	to, err2 := filepath.Abs(file)
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(from, to)
	return filepath.ToSlash(rel), err
}

// Verify compares the files below root with the manifest, and the released model with what this program exports. It returns every
// difference on one line, nothing where there is none; the error says that the model could not be exported at all.
func Verify(m manifest.Replay, root string) ([]string, error) {
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(m.ArtifactHashes)) {
		a := m.ArtifactHashes[name]
		sum, err := manifest.HashFile(filepath.Join(root, filepath.FromSlash(a.Path)))
		switch {
		case err != nil:
			differences = append(differences, fmt.Sprintf("%s: %v", name, err))
		case sum != a.SHA256:
			differences = append(differences, fmt.Sprintf("%s: %s has sha256 %s, the manifest says %s", name, a.Path, sum, a.SHA256))
		}
	}
	if len(differences) > 0 { // of other files another model would come
		return differences, nil
	}
	sum, err := exportAnew(m, root)
	if err != nil {
		return nil, fmt.Errorf("export anew: %w", err)
	}
	if sum != m.ArtifactSHA256[Export] {
		differences = append(differences, fmt.Sprintf("%s: from these weights and this configuration this program exports a file with sha256 %s, the manifest says %s",
			Export, sum, m.ArtifactSHA256[Export]))
	}
	return differences, nil
}

// exportAnew returns the SHA-256 of what the weights and the configuration of a manifest give, for the shape and the settings that the
// released model was exported for.
func exportAnew(m manifest.Replay, root string) (string, error) {
	path := func(name string) string { return filepath.Join(root, filepath.FromSlash(m.ArtifactHashes[name].Path)) }
	for _, name := range []string{Weights, Export, ExportManifest} {
		if _, ok := m.ArtifactHashes[name]; !ok {
			return "", fmt.Errorf("the manifest has no artifact %s", name)
		}
	}
	text, err := input.Read(path(ExportManifest), input.Configuration)
	if err != nil {
		return "", err
	}
	var export reports.Manifest
	if err := json.Unmarshal(text, &export); err != nil {
		return "", fmt.Errorf("%s: %w", ExportManifest, err)
	}
	if len(export.InputShape) != 4 {
		return "", errors.New("the export manifest names no input shape [B,3,H,W]")
	}
	opened, err := openModel(m, path(Weights))
	if err != nil {
		return "", err
	}
	if opened.ConfigDigest != m.ConfigSHA256 {
		return "", fmt.Errorf("the configuration reads as %s, the manifest says %s", opened.ConfigDigest, m.ConfigSHA256)
	}
	g, err := opened.Graph(model.Options{Batch: export.InputShape[0], Height: export.InputShape[2], Width: export.InputShape[3], Decode: model.Decode(export.Decode)})
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(export.Outputs, func(t reports.ManifestTensor) bool { return strings.HasPrefix(t.Name, "tap.") }) {
		if g, err = g.WithTaps([]string{"all"}); err != nil {
			return "", err
		}
	}
	hash := sha256.New()
	if err := onnx.Write(hash, g, onnx.WriteOptions{}); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// openModel opens the weights under the configuration of the manifest.
func openModel(m manifest.Replay, weights string) (*source.Model, error) {
	text, err := manifest.CanonicalJSON(m.Config)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "apexx-replay-*.yaml") // JSON is YAML
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return source.Open(source.ModelRequest{Weights: weights, Config: file.Name()})
}
