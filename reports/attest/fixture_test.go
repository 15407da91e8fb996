package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/manifest"
	"github.com/apex-x/apexx/internal/must"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
	"github.com/apex-x/apexx/reports"
)

// What the release of the tests is about.
const (
	commit      = "0123456789abcdef0123456789abcdef01234567"
	otherCommit = "89abcdef0123456789abcdef0123456789abcdef"
)

var (
	now     = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	weights = strings.Repeat("5a", 32)
)

// candidate is a release with evidence for everything that its policy requires. A test changes parts of it before they are written.
type candidate struct {
	dir      string
	policy   string
	export   *reports.Manifest
	model    []byte
	matrix   *reports.Document
	gate     *gate.Record
	sweep    *sweep.Result
	caps     map[string]any
	checks   checksRecord
	signOffs []signOffRecord
	replay   manifest.Replay
	eval     *reports.Evaluation

	edit map[string]func([]byte) []byte // of files of evidence, by name, after they were made
}

// newCandidate makes a release that passes.
func newCandidate(t *testing.T) *candidate {
	t.Helper()
	c := &candidate{dir: t.TempDir(), policy: testPolicy, edit: map[string]func([]byte) []byte{}}
	settings := must.Get(config.Parse(nil, nil))(t)
	digests := reports.ModelDigests{Config: must.Get(settings.Digest())(t), Weights: weights}
	c.exportModel(t, digests, "features")
	c.compareBackends(t, digests)
	c.gateBuilds(t)
	c.sweep = sweeptest.New(1, sweeptest.Spec{Backends: []string{"reference"}, Sides: []int{256}, Scopes: []perf.Scope{perf.Complete}, Samples: 5})
	c.sweep.Environment.Commit = commit
	c.sweep.Plan.Weights, c.sweep.Plan.ConfigSHA256 = map[string]string{"nano": digests.Weights}, map[string]string{"nano": digests.Config}
	c.describeCaps()
	c.evaluate(digests)
	c.checks = checksRecord{Schema: ChecksSchema, Revision: commit, When: now, Checks: []check{{"lint", "make lint", 0}, {"test", "make test", 0}}}
	c.signOffs = []signOffRecord{{SignOffSchema, "security_review", "v1.0.0", commit, "A. Reviewer", now, true, "read every dependency that is new"}}
	var values map[string]any
	d := json.NewDecoder(bytes.NewReader(must.Get(settings.JSON())(t)))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(c.dir, "model.onnx")
	write(t, model, c.model)
	c.replay = must.Get(manifest.BuildReplay(manifest.ReplayInput{Config: values, Artifacts: map[string]string{ReplayExport: model},
		DeterminismState: map[string]any{"commit": commit, "modified": false}}))(t)
	write(t, filepath.Join(c.dir, "apexx.bin"), []byte("a released program\n"))
	write(t, filepath.Join(c.dir, "SHA256SUMS"), []byte("its checksums\n"))
	return c
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

const testPolicy = `{
 "schema": "apexx.release-policy/1", "name": "of the tests", "expires": "2027-01-01T00:00:00Z", "runtime_target": "cpu",
 "required": ["export_manifest", "onnx_graph", "parity_report", "performance_report", "runtime_capability_snapshot", "eval_report", "replay_manifest", "lint_type_tests",
  "cpu_perf_regression", "runtime_backend_parity", "runtime_capability_transparency", "security_review"],
 "checks": ["lint", "test"],
 "matrix": {"policies": ["balanced e2e"], "cases": ["coffee", "rocket"], "columns": ["reference/fp64", "reference/fp32", "ort/fp32"]},
 "gates": {"cpu_perf_regression": {"cells": ["reference/nano/fp32/128x128/b1/complete"], "max_delta": 0.08, "max_resolution": 0.2, "min_alpha": 0.0005, "max_alpha": 0.05}},
 "sweep": {"cells": ["reference/nano/fp32/256x256/b1/complete"]},
 "evaluation": {"annotations_sha256": "7d28", "executions": ["ort fp16", "ort fp32"], "base": "reference fp32", "min_map": 0.8, "max_map_drop": 0.01, "min_confidence": 0.99}
}`

// exportModel makes a small model of one output.
func (c *candidate) exportModel(t *testing.T, digests reports.ModelDigests, output string) {
	b := graph.NewBuilder("tiny")
	image := b.Input("image", graph.Type{DType: tensor.Float32, Shape: []int{1, 2}})
	b.Output(output, b.Add1("sigmoid", graph.Unary{Fn: graph.Sigmoid}, image))
	g := must.Get(b.Build())(t)
	c.model = must.Get(onnx.Marshal(g, onnx.WriteOptions{}))(t)
	c.export = &reports.Manifest{SchemaVersion: 1, Format: "onnx", Profile: "nano", InputShape: []int{1, 2},
		Artifacts: reports.Artifacts{ONNXPath: "model.onnx", ONNXSHA256: fileOf("", "", c.model).SHA256},
		Model:     reports.ManifestModel{Config: digests.Config, Weights: digests.Weights},
		Inputs:    []reports.ManifestTensor{{Name: "image", DType: "float32", Shape: []int{1, 2}}},
		Outputs:   []reports.ManifestTensor{{Name: output, DType: "float32", Shape: []int{1, 2}}}}
}

// noisy computes the output of the small model, each backend with a rounding of its own.
type noisy struct{ wrong bool }

func (n noisy) Execute(_ context.Context, c *parity.Case, backend string, p backends.Precision) evidence.Run {
	features := tensor.New(tensor.Float32, 1, 2)
	x := tensor.Data[float32](features)
	x[0], x[1] = 0.25, 0.75
	switch {
	case n.wrong && c.Name == "rocket" && backend == "ort":
		x[1] = 0.5
	case p == backends.FP32:
		x[0] += 1e-6 * float32(len(backend))
	}
	return evidence.Run{Outcome: evidence.Outcome{State: evidence.Measured}, Outputs: tensor.List{{Name: "features", Tensor: features}}}
}

func (c *candidate) compareBackends(t *testing.T, digests reports.ModelDigests) {
	c.matrix = &reports.Document{When: now, Build: reports.Build{Revision: commit}, Model: &digests, Matrix: compared(t, noisy{})}
}

// compared is a matrix of two cases in three columns, balanced where no policy is given.
func compared(t *testing.T, n noisy, policies ...parity.Policy) *parity.Matrix {
	return must.Get(parity.Run(context.Background(), parity.MatrixSpec{Name: "builtin", Cases: []parity.Case{{Name: "coffee"}, {Name: "rocket"}}, Runner: n, Policies: policies,
		Columns: []parity.Column{{Backend: "reference", Precision: backends.FP64}, {Backend: "reference", Precision: backends.FP32}, {Backend: "ort", Precision: backends.FP32}}}))(t)
}

// gateBuilds takes the record of a regression and lets its head be as fast as its base.
func (c *candidate) gateBuilds(t *testing.T) {
	c.regress(t)
	rec := c.gate
	for _, m := range rec.Screen {
		if m.Cell.String() == slowed && m.Arm == perf.Head {
			scale(m.Samples, 1/slowdown(rec))
			scale(m.EndToEnd, 1/slowdown(rec))
		}
	}
	rec.Confirm = nil
	rec.Workload = slices.DeleteFunc(rec.Workload, func(w gate.WorkloadSample) bool { return w.Stage == gate.Confirm })
	rec.Verdict = gate.Judge(rec)
	if err := rec.Check(); err != nil || rec.Verdict.Outcome != gate.Pass {
		t.Fatalf("the gate of the tests: %v, %v (%v)", rec.Verdict.Outcome, rec.Verdict.Reasons, err)
	}
}

// slowed is the cell of the record that is slower on its head.
const slowed = "reference/nano/fp32/256x128/b1/complete"

// regress has the gate find the slowed cell.
func (c *candidate) regress(t *testing.T) {
	file := must.Get(os.Open("../../cmd/apexx/testdata/gate-regression.json"))(t)
	defer file.Close()
	c.gate = must.Get(gate.Read(file))(t)
	c.gate.Base.Revision, c.gate.Base.Version, c.gate.Head.Revision = otherCommit, "v0.9.0", commit
	c.gate.Models = map[string]measure.Digests{"nano": measure.Digests(*c.matrix.Model)}
}

// slowdown is what the record says of the slowed cell, head over base.
func slowdown(rec *gate.Record) float64 {
	for _, cell := range rec.Verdict.Cells {
		if cell.Name == slowed {
			return cell.Final().Ratio
		}
	}
	return 1
}

func scale(samples []float64, factor float64) {
	for i := range samples {
		samples[i] *= factor
	}
}

func (c *candidate) describeCaps() {
	var list []map[string]any
	for _, name := range backends.Known {
		b := map[string]any{"name": name, "available": name == "reference"}
		if name != "reference" {
			b["reason"] = backends.Reasons[0]
		}
		list = append(list, b)
	}
	c.caps = map[string]any{"build": reports.Build{Revision: commit}, "backends": list, "cuda": map[string]any{"available": false}}
}

// evaluate compares two executions on a data set. The upper end of the interval is at no loss, the lower one at 0.8 points.
func (c *candidate) evaluate(digests reports.ModelDigests) {
	side := func(ap float64) reports.EvaluationSummary {
		all := evaluate.Summary{AP: ap, AP50: ap, AP75: ap}
		return reports.EvaluationSummary{Det: &reports.DetectionEvaluation{MAP: ap, AP50: ap, AP75: ap, COCO: all, PerClass: []evaluate.ClassSummary{{Summary: all}}}}
	}
	base, found := 0.82, 0.816
	difference := evaluate.Difference{Base: base, Candidate: found, Delta: found - base, Low: -0.008, High: 0}
	c.eval = &reports.Evaluation{SchemaVersion: reports.EvaluationSchemaVersion, GeneratedAt: now.Format(time.RFC3339), Build: reports.Build{Revision: commit},
		Dataset: reports.EvaluationDataset{Name: "scenes", Images: 64, AnnotationsSHA256: "7d28"}, Name: "ort fp16", Summary: side(found), Runtime: &reports.EvaluationRuntime{},
		Model: &reports.Model{ConfigSHA256: digests.Config, WeightsSHA256: digests.Weights}, Curves: []reports.PrecisionRecallCurve{},
		Comparison: &reports.EvaluationComparison{Base: "reference fp32", Summary: side(base), Replicates: 2000, Confidence: 0.99,
			Det: &evaluate.Differences{AP: difference, AP50: difference, AP75: difference}}}
	c.eval.Judge(0.01)
}

// evidenceFiles are the files of evidence, by name.
func (c *candidate) evidenceFiles(t *testing.T) map[string][]byte {
	t.Helper()
	text := func(write func(io.Writer) error) []byte {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	files := map[string][]byte{
		"export/export_manifest.json": must.Get(json.Marshal(c.export))(t),
		"matrix/matrix.json":          text(func(w io.Writer) error { return reports.JSON(w, c.matrix) }),
		"gate/gate.json":              text(func(w io.Writer) error { return gate.WriteJSON(w, c.gate) }),
		"sweep/sweep.json":            text(func(w io.Writer) error { return sweep.WriteJSON(w, c.sweep) }),
		"caps/caps.json":              must.Get(json.Marshal(c.caps))(t),
		"checks/checks.json":          must.Get(json.Marshal(c.checks))(t),
		"replay/replay.json":          must.Get(c.replay.JSON())(t),
		"eval/eval.json":              text(func(w io.Writer) error { return reports.EvaluationJSON(w, c.eval) }),
	}
	for _, s := range c.signOffs {
		files["signoffs/"+s.Item+".json"] = must.Get(json.Marshal(s))(t)
	}
	for name, edit := range c.edit {
		before := files[name]
		if files[name] = edit(before); bytes.Equal(before, files[name]) {
			t.Fatalf("%s was not changed", name)
		}
	}
	return files
}

// assess writes the evidence, reads it and judges it.
func (c *candidate) assess(t *testing.T) *Release {
	t.Helper()
	folders := map[string]bool{}
	var dirs []string
	for name, data := range c.evidenceFiles(t) {
		if data == nil {
			continue
		}
		write(t, filepath.Join(c.dir, "evidence", filepath.FromSlash(name)), data)
		if folder := filepath.Join(c.dir, "evidence", filepath.Dir(name)); !folders[folder] {
			folders[folder], dirs = true, append(dirs, folder)
		}
	}
	list, leftOut, err := ReadEvidence(dirs)
	if err != nil || len(leftOut) > 0 {
		t.Fatal(leftOut, err)
	}
	var subjects []File
	for _, name := range []string{"apexx.bin", "SHA256SUMS", "model.onnx"} {
		subjects = append(subjects, must.Get(ReadFile(filepath.Join(c.dir, name)))(t))
	}
	policy := must.Get(ParsePolicy([]byte(c.policy)))(t)
	return must.Get(Assess(Request{Release: "v1.0.0", Commit: commit, Owner: "somebody", Tool: "v1.0.0", Now: now, Policy: policy, Subjects: subjects, Evidence: list}))(t)
}
