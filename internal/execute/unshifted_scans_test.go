package execute

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/paritytest"
	"github.com/apex-x/apexx/reports"
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
		cell := seen[name]
		if cell == nil {
			if cell = seen["scene-"+name]; cell == nil {
				t.Fatalf("the record has no cell of %s", name)
			}
		}
		g, inputs := upTo(t, m, im, backends.FP32, "det.cls.P3", "det.box.P3", "det.quality.P3")
		want := computed(t, reference.New(), g, backends.FP64, inputs)
		got := computed(t, reference.New(), paritytest.UnshiftedScans(g), backends.FP32, inputs)
		for _, v := range want {
			at := slices.IndexFunc(cell.Outputs, func(o parity.TensorReport) bool { return o.Name == "tap."+v.Name })
			if at < 0 || cell.Outputs[at].Worst == nil {
				t.Fatalf("the record's cell of %s has no errors of %s", name, v.Name)
			}
			on := cell.Outputs[at]
			r := parity.Compare(v.Tensor, got.Get(v.Name), parity.Tolerance{})
			close := func(a, b parity.Number) bool { return math.Abs(float64(a-b)) <= 1e-3*float64(b) }
			if !close(r.MaxAbsErr, on.MaxAbsErr) || !close(r.RMSErr, on.RMSErr) || r.Worst == nil || r.Worst.Flat != on.Worst.Flat {
				t.Errorf("%s, %s: the errors are up to %.5g (%+v), %.5g by root mean square; seen were %.5g (%+v), and %.5g",
					name, v.Name, r.MaxAbsErr, r.Worst, r.RMSErr, on.MaxAbsErr, on.Worst, on.RMSErr)
			}
		}
	}
}

// paddedCells reads the cells of ort-tensorrt beside the oracle, by case, of the matrix in which all of them failed.
func paddedCells(t *testing.T) map[string]*parity.Report {
	t.Helper()
	data, err := input.ReadRecord("../../baselines/evidence/gpu-h200/ort-tensorrt-padded-matrix.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := reports.ReadMatrix(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	cells := map[string]*parity.Report{}
	for _, c := range doc.Matrix.Cells {
		if c.Pair.Reference.String() == "reference/fp64" && c.Pair.Candidate.String() == "ort-tensorrt/fp32" {
			cells[c.Case] = c.Report
		}
	}
	return cells
}
