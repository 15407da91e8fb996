package execute

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
)

// others are the backends that are held against the reference: those that are here.
func others(t *testing.T) []backends.Backend {
	t.Helper()
	return append(onDevices(t), ort.New())
}

// onDevices are the backends that compute on a device, whether they are here or not. tensorrt builds its many engines at the lowest level of
// optimisation.
func onDevices(t *testing.T) []backends.Backend {
	t.Helper()
	var list []backends.Backend
	for _, name := range perf.DeviceBackends {
		b, err := Open(name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if name == tensorrt.Name {
			b = backendtest.WithExtra(b, map[string]string{tensorrt.LevelOption: "0"})
		}
		list = append(list, b)
	}
	return list
}

// TestExtremes runs what leaves nothing to choose, or too much, against the reference: no tile for any budget, none that may be split, more candidates
// than the suppression takes and more detections than there are rows, and none at all.
func TestExtremes(t *testing.T) {
	crowded := model.DefaultDecode()
	crowded.ScoreThreshold, crowded.PreNMSTopK, crowded.MaxDetections = 0, 7, 3
	deaf := model.DefaultDecode()
	deaf.ScoreThreshold = 1
	for name, c := range map[string]struct {
		set    []string
		decode model.Decode
		filled int64 // rows of detections, -1 for any number
	}{
		"budget 0":        {[]string{"routing.budget_b1=0"}, model.DefaultDecode(), -1},
		"no splits":       {[]string{"routing.budget_b2=0"}, model.DefaultDecode(), -1},
		"K 0 everywhere":  {[]string{"routing.budget_b1=0", "routing.budget_b2=0", "routing.budget_b3=0", "model.nesting_depth=2", "model.kmax_l2=8"}, model.DefaultDecode(), -1},
		"more candidates": {nil, crowded, 3},
		"no candidates":   {nil, deaf, 0},
	} {
		m, err := source.Open(source.ModelRequest{Weights: "hashed:5", Set: append([]string{"model.profile=nano", "model.num_classes=8"}, c.set...)})
		if err != nil {
			t.Fatal(err)
		}
		in := source.Input{Name: name, Image: waves(128, 256)}
		want := outputsOf(t, reference.New(), m, in, c.decode)
		if n := tensor.Data[int64](want.Get("valid_counts"))[0]; c.filled >= 0 && n != c.filled {
			t.Errorf("%s: the reference finds %d, the case is made for %d", name, n, c.filled)
		}
		for _, b := range others(t) {
			t.Run(name+"/"+b.Name(), func(t *testing.T) {
				backendtest.SkipWithout(t, b)
				got := outputsOf(t, b, m, in, c.decode)
				setting := ParityCase(&source.Case{Input: in, Model: m, Decode: c.decode}).Setting
				r := parity.CompareOutputs(want, got, parity.Options{Policy: parity.Balanced.Policy(parity.EndToEnd), Setting: setting})
				if !r.State.Holds() {
					t.Errorf("%s: %s", r.State, r.Summary())
				}
			})
		}
	}
}

// waves is an image of every magnitude.
func waves(height, width int) *tensor.Tensor {
	image := tensor.New(tensor.Float32, 1, 3, height, width)
	d := tensor.Data[float32](image)
	for i := range d {
		d[i] = float32(0.5 + 0.5*math.Sin(0.37*float64(i%9973)+float64(i/9973)))
	}
	return image
}

func outputsOf(t *testing.T, b backends.Backend, m *source.Model, in source.Input, d model.Decode) tensor.List {
	t.Helper()
	r, err := Once(t.Context(), b, m, in, d, backends.Options{Precision: backends.FP32, Taps: []string{"all"}})
	if err != nil || r.Err != nil {
		t.Fatalf("%v, %v", err, r)
	}
	return r.Outputs
}

// TestNaNImage: an image of NaN is refused by its name on every backend, and the backend goes on.
func TestNaNImage(t *testing.T) {
	m, err := source.Open(source.ModelRequest{Weights: "hashed:5", Set: []string{"model.profile=nano", "model.num_classes=8"}})
	if err != nil {
		t.Fatal(err)
	}
	image := tensor.New(tensor.Float32, 1, 3, 128, 128)
	for i := range tensor.Data[float32](image) {
		tensor.Data[float32](image)[i] = float32(math.NaN())
	}
	for _, b := range append(others(t), reference.New()) {
		t.Run(b.Name(), func(t *testing.T) {
			backendtest.SkipWithout(t, b)
			r, err := Once(t.Context(), b, m, source.Input{Name: "nan", Image: image}, model.DefaultDecode(), backends.Options{})
			if err != nil || r.State != evidence.Errored || r.Err == nil || !strings.Contains(r.Err.Error(), `input "image" has a NaN or infinity at element 0`) {
				t.Errorf("%v, %s, %v", err, r.State, r.Err)
			}
			if r := outputsOf(t, b, m, source.Input{Name: "fine", Image: waves(128, 128)}, model.DefaultDecode()); len(r) == 0 {
				t.Error("the backend gives nothing after that")
			}
		})
	}
}

// leastF1 is how many detections of a low precision have to be those of float32, as sets over the scenes: an F1 at an IoU. A format of 8 bits moves boxes
// by pixels.
var leastF1 = map[backends.Precision]struct{ overlap, f1 float64 }{
	backends.TF32: {0.95, 0.99},
	backends.FP16: {0.95, 0.99},
	backends.BF16: {0.95, 0.98},
	backends.INT8: {0.5, 0.97},
	backends.FP8:  {0.5, 0.97},
}

// TestScenesAsSets compares the detections in low precisions with those of the reference in float32, as sets over scenes: all 64 on a device. On
// processors, which emulate, a matrix judges the precisions (TestLowPrecisions), and one scene shows that the count is right.
func TestScenesAsSets(t *testing.T) {
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Calibrations: fixtures.Calibrations()})
	if err != nil {
		t.Fatal(err)
	}
	scenes, precisions := map[string][]fixtures.Image{"ort": fixtures.BuiltinScenes()[:1]}, map[string][]backends.Precision{"ort": {backends.FP16}}
	for _, name := range []string{"cuda", "tensorrt", "ort-cuda"} {
		precisions[name] = []backends.Precision{backends.TF32, backends.FP16, backends.BF16}
		if name != "cuda" {
			precisions[name] = append(precisions[name], backends.INT8, backends.FP8)
		}
		if scenes[name], err = fixtures.Scenes(); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range others(t) {
		t.Run(b.Name(), func(t *testing.T) {
			backendtest.SkipWithout(t, b)
			images := scenes[b.Name()]
			want := sceneOutputs(t, reference.New(), m, images, backends.FP32)
			for _, p := range precisions[b.Name()] {
				var sum, most parity.SetCount
				least := leastF1[p]
				for i, got := range sceneOutputs(t, b, m, images, p) {
					sum.Add(parity.CountSetsAt(want[i], got, least.overlap))
					most.Add(parity.CountSets(want[i], got))
				}
				t.Logf("%s, %d scenes, at IoU %g: %s; at 0.95 F1 %.4f", p, len(images), least.overlap, sum, most.F1())
				if !(sum.F1() >= least.f1) {
					t.Errorf("%s at IoU %g: %s, want an F1 of %g", p, least.overlap, sum, least.f1)
				}
			}
		})
	}
}

// sceneOutputs runs pictures of one size in one session.
func sceneOutputs(t *testing.T, b backends.Backend, m *source.Model, scenes []fixtures.Image, p backends.Precision) (all []tensor.List) {
	t.Helper()
	var session backends.Session
	for _, scene := range scenes {
		c, err := m.PictureCase(scene.Name, scene.Data, model.DefaultDecode())
		if err != nil {
			t.Fatal(err)
		}
		if session == nil {
			g, err := m.GraphIn(c.Options(c.Decode), p)
			if err != nil {
				t.Fatal(err)
			}
			if session, err = b.Compile(context.Background(), g, backends.Options{Precision: p}); err != nil {
				t.Fatal(err)
			}
			defer session.Close()
		}
		out, err := backends.Run(t.Context(), session, c.Tensors())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out.Clone())
	}
	return all
}
