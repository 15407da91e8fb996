package reports

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/caps"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
)

// executed is a run of a small model on a batch of two noise images, three detections each.
func executed(t *testing.T, set ...string) Executed {
	t.Helper()
	m, err := source.Open(source.ModelRequest{Weights: "hashed:1", Set: append([]string{"model.profile=nano", "model.num_classes=2"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	d := model.DefaultDecode()
	d.ScoreThreshold, d.MaxDetections = 0, 3
	image := tensor.New(tensor.Float32, 2, 3, 128, 256)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range tensor.Data[float32](image) {
		tensor.Data[float32](image)[i] = rng.Float32()
	}
	tried := []caps.Attempt{{Backend: "ort", Reason: backends.PrecisionUnsupported, Detail: "it has no fp64"}}
	return Executed{Selection: caps.Selection{Requested: "ort", Policy: caps.Permissive, Selected: "reference", Tried: tried}, Precision: backends.FP64, Model: m, Input: source.Input{Name: "c", Image: image}, Decode: d}
}

// TestDescribeRun runs the reference and checks that its report has the published form and the budgets' sums.
func TestDescribeRun(t *testing.T) {
	t.Setenv("APEXX_ORT_GPU_LIB", "/nonexistent") // else a library that is here is asked by a worker, as which this program would be started
	for name, tt := range map[string]struct {
		set  []string
		used [3]float64 // of b1, b2, b3 per image: 2 L0 tiles at 0.8, splits at 1
	}{
		"default":    {nil, [3]float64{1.6, 2, 0}},
		"one tile":   {[]string{"routing.budget_b1=0.8"}, [3]float64{0.8, 1, 0}},
		"no tiles":   {[]string{"routing.budget_b1=0"}, [3]float64{0, 0, 0}},
		"no nesting": {[]string{"model.disable_nesting=true"}, [3]float64{1.6, 0, 0}},
		"dense":      {[]string{"model.force_dense_routing=true", "routing.budget_b1=0", "routing.budget_b2=1"}, [3]float64{1.6, 1, 0}},
		"depth 2":    {[]string{"model.nesting_depth=2", "model.kmax_l2=24", "routing.budget_b3=3"}, [3]float64{1.6, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			e := executed(t, tt.set...)
			r, err := execute.Once(context.Background(), reference.New(), e.Model, e.Input, e.Decode, backends.Options{Precision: backends.FP64, Taps: []string{"all"}})
			if err = errors.Join(err, r.Err); err != nil {
				t.Fatal(err)
			}
			report, err := DescribeRun(e, r)
			if err != nil {
				t.Fatal(err)
			}
			report.RuntimeCaps = execute.DetectCaps(context.Background())
			if err := validate(t, RunSchema, report); err != nil {
				t.Error(err)
			}
			for i, level := range []string{"b1", "b2", "b3"} {
				if got, want := report.Budgets[level].Used, 2*tt.used[i]; got < want-1e-9 || got > want+1e-9 {
					t.Errorf("%s used %g, want %g", level, got, want)
				}
			}
			if report.RequestedName != "ort" || report.SelectedName != "reference" || report.ExecutionName != "reference" || report.FallbackPolicy != "permissive" ||
				report.SelectionReason == nil || *report.SelectionReason != "precision_unsupported" || len(report.FallbackChain) != 1 {
				t.Errorf("how the backend was selected: %+v", report)
			}
			if len(report.Images) != 2 || len(report.Images[1].Detections) != 3 || report.EffectiveDType != "fp64" {
				t.Errorf("%+v", report)
			}
			for _, o := range model.OutputNames {
				if got := r.Outputs.Get(o); got == nil || report.Digests[o] != TensorSHA256(got) {
					t.Errorf("the digest of %s is %q", o, report.Digests[o])
				}
			}
			if slices.ContainsFunc(r.Outputs, func(n tensor.Named) bool { return report.Digests[n.Name] != "" && strings.HasPrefix(n.Name, "tap.") }) {
				t.Error("a tap is among the digests")
			}
			if scene := SubjectOf(e.Model, e.Input).SceneOf(report.Images[1], e.Input.Image, 1); scene.Picture.Width != 256 || len(scene.Detections) != 3 {
				t.Errorf("scene of %d×%d", scene.Picture.Width, scene.Picture.Height)
			}
		})
	}
}

func TestDescribeRunNeedsOutputs(t *testing.T) {
	r := &evidence.Run{Outputs: tensor.List{{Name: "image", Tensor: tensor.New(tensor.Float32, 1)}}}
	if _, err := DescribeRun(executed(t), r); err == nil || !strings.Contains(err.Error(), `no output "boxes"`) {
		t.Errorf("%v", err)
	}
}
