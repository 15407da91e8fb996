package execute

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/paritytest"
)

// TestUnshiftedScansPredictTensorRT computes what TensorRT 10.6 computed on an H200 while the bodies of scans padded slices: with scans whose forward direction is
// not shifted, the errors of all that the tile path alone reaches are those that were seen there, in size and place.
func TestUnshiftedScansPredictTensorRT(t *testing.T) {
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: source.BuiltinOverrides})
	if err != nil {
		t.Fatal(err)
	}
	seen := paddedCells(t)
	for _, im := range slices.Concat(fixtures.BuiltinScenes(), fixtures.Photos()) {
		name := strings.TrimSuffix(im.Name, filepath.Ext(im.Name))
		cell, ok := seen[name]
		if !ok {
			if cell, ok = seen["scene-"+name]; !ok {
				t.Fatalf("the record has no cell of %s", name)
			}
		}
		c, err := m.PictureCase(im.Name, im.Data, model.DefaultDecode())
		if err != nil {
			t.Fatal(err)
		}
		g, err := c.BuildGraph(backends.FP32)
		if err != nil {
			t.Fatal(err)
		}
		var reached []*graph.Value
		for _, tap := range []string{"det.cls.P3", "det.box.P3", "det.quality.P3"} {
			v, ok := g.Tap(tap)
			if !ok {
				t.Fatalf("the graph has no tap %s", tap)
			}
			reached = append(reached, v)
		}
		if g, err = g.Cut(g.Inputs, reached); err != nil {
			t.Fatal(err)
		}
		want := computed(t, reference.New(), g, backends.FP64, c.Tensors())
		got := computed(t, reference.New(), paritytest.UnshiftedScans(g), backends.FP32, c.Tensors())
		for _, v := range reached {
			on := cell["tap."+v.Name]
			worst, largest, squares := 0, 0.0, 0.0
			for i, ref := range tensor.Data[float64](want.Get(v.Name)) {
				e := math.Abs(float64(tensor.Data[float32](got.Get(v.Name))[i]) - ref)
				squares += e * e
				if e > largest {
					worst, largest = i, e
				}
			}
			rms := math.Sqrt(squares / float64(v.Len()))
			if close := func(a, b float64) bool { return math.Abs(a-b) <= 1e-3*b }; !close(largest, on.Largest) || !close(rms, on.RMS) || worst != on.Worst.Index {
				t.Errorf("%s, %s: the errors are up to %.5g at %d, %.5g by root mean square; seen were %.5g at %d, and %.5g",
					name, v.Name, largest, worst, rms, on.Largest, on.Worst.Index, on.RMS)
			}
		}
	}
}

// seenErrors are those of an output of a cell.
type seenErrors struct {
	Name    string
	Largest float64 `json:"max_abs_err"`
	RMS     float64 `json:"rms_err"`
	Worst   struct {
		Index int `json:"flat_index"`
	}
}

// paddedCells reads the cells of ort-tensorrt beside the oracle, by case and output, of the matrix in which all of them failed.
func paddedCells(t *testing.T) map[string]map[string]seenErrors {
	t.Helper()
	f, err := os.Open("../../baselines/evidence/gpu-h200/ort-tensorrt-padded-matrix.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var matrix struct {
		Reports []struct {
			Case      string `json:"case_name"`
			Reference string `json:"reference_backend"`
			Candidate string `json:"candidate_backend"`
			Outputs   []seenErrors
		}
	}
	if err := json.NewDecoder(unpacked).Decode(&matrix); err != nil {
		t.Fatal(err)
	}
	cells := map[string]map[string]seenErrors{}
	for _, r := range matrix.Reports {
		if r.Reference == "reference/fp64" && r.Candidate == "ort-tensorrt/fp32" {
			cells[r.Case] = map[string]seenErrors{}
			for _, o := range r.Outputs {
				cells[r.Case][o.Name] = o
			}
		}
	}
	return cells
}
