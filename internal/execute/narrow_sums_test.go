package execute

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/paritytest"
)

// TestTensorCoresPredictTensorRT computes what TensorRT 10.6 computed on an H200, in fp8: by the arithmetic of the matrix units, the errors beside the
// emulated oracle are those that were seen there, output by output, though a sum in float32 leaves a quarter of them. Of few elements, one that rounds the
// other way changes much.
func TestTensorCoresPredictTensorRT(t *testing.T) {
	seen := map[string]map[string]float64{ // noise, of two of the scenes
		"000003.jpg": {"det.box.P5": 0.00721, "det.quality.P5": 0.01327, "det.box.P6": 0.00615, "det.quality.P6": 0.00838, "det.box.P7": 0.0322, "det.quality.P7": 0.0854},
		"000007.jpg": {"det.box.P5": 0.00658, "det.quality.P5": 0.00844, "det.box.P6": 0.00982, "det.quality.P6": 0.01001, "det.box.P7": 0.0438, "det.quality.P7": 0.1341},
	}
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: source.BuiltinOverrides, Calibrations: fixtures.Calibrations()})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, im := range fixtures.BuiltinScenes() {
		if seen[im.Name] == nil {
			continue
		}
		g, inputs := upTo(t, m, im, backends.FP8, slices.Sorted(maps.Keys(seen[im.Name]))...) // the smallest maps, which need the fewest of all products
		want, got := computed(t, reference.New(), g, backends.FP8, inputs), computed(t, paritytest.TensorCores{Backend: reference.New()}, g, backends.FP8, inputs)
		for _, v := range want {
			found++
			noise, on := math.Sqrt(float64(parity.Compare(v.Tensor, got.Get(v.Name), parity.Tolerance{}).NMSE)), seen[im.Name][v.Name]
			if limit := parity.Quality.Tolerance(parity.EndToEnd, parity.KindOf("tap."+v.Name), parity.NarrowTwinFP8).Noise; on > limit {
				t.Errorf("%s, %s: a noise of %.4f was seen, and %g is allowed", im.Name, v.Name, on, limit)
			}
			if within := 1 + 4/math.Sqrt(float64(v.Tensor.Len())); noise > on*within || noise < on/within {
				t.Errorf("%s, %s: a noise of %.4f is foreseen, and %.4f was seen", im.Name, v.Name, noise, on)
			}
		}
	}
	if found != 12 {
		t.Errorf("%d outputs of two scenes were found, want 6 of each", found)
	}
}

// upTo returns the graph of a picture that ends at these taps, and the picture.
func upTo(t *testing.T, m *source.Model, im fixtures.Image, p backends.Precision, taps ...string) (*graph.Graph, tensor.List) {
	t.Helper()
	c, err := m.PictureCase(im.Name, im.Data, model.DefaultDecode())
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.BuildGraph(p)
	if err != nil {
		t.Fatal(err)
	}
	var ends []*graph.Value
	for _, name := range taps {
		v, ok := g.Tap(name)
		if !ok {
			t.Fatalf("the graph has no tap %s", name)
		}
		ends = append(ends, v)
	}
	if g, err = g.Cut(g.Inputs, ends); err != nil {
		t.Fatal(err)
	}
	return g, c.Tensors()
}

// computed is what a backend computes of a graph.
func computed(t *testing.T, on backends.Backend, g *graph.Graph, p backends.Precision, inputs tensor.List) tensor.List {
	t.Helper()
	s, err := on.Compile(t.Context(), g, backends.Options{Precision: p})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := backends.Run(t.Context(), s, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out.Clone()
}
