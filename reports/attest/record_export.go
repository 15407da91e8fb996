package attest

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/reports"
)

// exportRecord is the manifest of the released model. The release is about that model: it is what other evidence is held against.
type exportRecord struct{ *reports.Manifest }

func readExport(data []byte) (record, error) {
	var m reports.Manifest
	if err := decodeStrictly(data, &m); err != nil {
		return nil, err
	}
	for _, digest := range []string{m.Artifacts.ONNXSHA256, m.Model.Config, m.Model.Weights} {
		if !sha256Digits.MatchString(digest) {
			return nil, fmt.Errorf("%q is no SHA-256", digest)
		}
	}
	if m.SchemaVersion != 1 || len(m.Outputs) == 0 {
		return nil, fmt.Errorf("its schema version is %d, and it lists %d outputs; want version 1, and all outputs", m.SchemaVersion, len(m.Outputs))
	}
	return exportRecord{&m}, nil
}

func (e exportRecord) items() []string { return []string{ExportManifest, ONNXGraph} }

func (e exportRecord) origin() origin {
	return origin{models: []reports.ModelDigests{{Config: e.Model.Config, Weights: e.Model.Weights}}}
}

func (e exportRecord) tests() []test { return nil }

func (e exportRecord) outputs() []string {
	var names []string
	for _, o := range e.Outputs {
		names = append(names, o.Name)
	}
	return names
}

// judge finds the file among those of the release by its digest, reads the graph and compares what goes in and out of it.
func (e exportRecord) judge(r *rules) (Status, string) {
	at := slices.IndexFunc(r.files, func(f File) bool { return f.SHA256 == e.Artifacts.ONNXSHA256 })
	if at >= 0 && r.files[at].Path == "" {
		return Pass, fmt.Sprintf("%s was signed, and is not here", r.files[at].Name)
	}
	if at < 0 {
		return Fail, fmt.Sprintf("no file of the release has the SHA-256 of its %s, %s", e.Artifacts.ONNXPath, e.Artifacts.ONNXSHA256)
	}
	data, err := input.Read(r.files[at].Path, input.Model)
	if err != nil {
		return Fail, err.Error()
	}
	g, err := onnx.Read(data)
	if err != nil {
		return Fail, fmt.Sprintf("%s cannot be read: %v", r.files[at].Name, err)
	}
	if why := differ(e.Manifest, g); why != "" {
		return Fail, why
	}
	return Pass, fmt.Sprintf("%s, %d nodes, weights %.12s, configuration %.12s", r.files[at].Name, len(g.Nodes), e.Model.Weights, e.Model.Config)
}

// differ says where a manifest describes another graph than that of its file.
func differ(m *reports.Manifest, g *graph.Graph) string {
	var inputs, outputs []reports.ManifestTensor
	for _, v := range g.Inputs {
		inputs = append(inputs, reports.ManifestTensor{Name: v.Name, DType: v.DType.String(), Shape: v.Shape})
	}
	for _, p := range g.Outputs {
		outputs = append(outputs, reports.ManifestTensor{Name: p.Name, DType: p.Value.DType.String(), Shape: p.Value.Shape})
	}
	same := func(a, b reports.ManifestTensor) bool {
		return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape)
	}
	if !slices.EqualFunc(m.Inputs, inputs, same) || !slices.EqualFunc(m.Outputs, outputs, same) {
		return fmt.Sprintf("the manifest describes the inputs %v and outputs %v, the file has %v and %v", m.Inputs, m.Outputs, inputs, outputs)
	}
	return ""
}
