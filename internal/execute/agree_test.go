package execute

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// variant is a configuration that the backends must agree on.
type variant struct {
	name                 string
	batch, height, width int
	set                  []string
}

var variants = []variant{
	{"nano", 1, 256, 256, nil},
	{"batch of three, wide", 3, 128, 384, []string{"routing.budget_b1=1.6", "routing.budget_b2=1"}},
	{"small", 1, 256, 128, []string{"model.profile=small"}},
	{"base", 1, 128, 256, []string{"model.profile=base"}},
	{"large", 1, 128, 128, []string{"model.profile=large"}},
	{"depth 2", 2, 256, 256, []string{"model.nesting_depth=2", "model.kmax_l2=24", "routing.budget_b1=2.4", "routing.budget_b2=2", "routing.budget_b3=3"}},
	{"dense", 1, 256, 256, []string{"model.force_dense_routing=true", "routing.budget_b1=0.8", "routing.budget_b2=2"}},
	{"no nesting", 1, 256, 256, []string{"model.disable_nesting=true", "routing.budget_b1=1.6"}},
	{"depth 0", 1, 256, 256, []string{"model.nesting_depth=0", "model.kmax_l1=0"}},
	{"no scan", 1, 256, 256, []string{"model.disable_ssm=true"}},
	{"forward scan", 1, 256, 256, []string{"model.scan_mode=forward", "model.order_mode=d2u"}},
	{"kan, blend", 2, 256, 128, []string{"model.router_backend=kan", "model.overlap_mode=blend", "model.blend_alpha=0.25", "model.order_mode=multi_direction"}},
	{"identity, r2l", 1, 128, 384, []string{"model.router_backend=identity", "model.order_mode=r2l", "routing.budget_b1=1.6"}},
	{"no tiles", 1, 256, 256, []string{"routing.budget_b1=0"}},
	{"no splits", 1, 256, 256, []string{"routing.budget_b2=0", "model.order_mode=u2d"}},
	{"mask stride 2", 1, 256, 128, []string{"model.mask_stride=2"}},
	{"mask stride 16", 1, 256, 128, []string{"model.mask_stride=16"}},
	{"tiles of 96 pixels", 1, 96, 192, []string{"model.tile_size_l0=12", "model.tile_size_l1=6", "model.input_height=96", "model.input_width=96"}},
	{"uneven pyramid", 1, 80, 160, []string{"model.tile_size_l0=10", "model.tile_size_l1=5", "model.input_height=80", "model.input_width=80", "model.mask_stride=5"}},
}

// noise is an image of independent uniform pixels: flat utilities and scores with many near-ties.
func noise(seed uint64, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = r.Float32()
	}
	return t
}

// TestBackendsAgree runs every variant with hashed weights on the reference in both precisions and on ONNX Runtime, and
// judges all outputs and taps under the golden tolerance.
func TestBackendsAgree(t *testing.T) {
	ctx := context.Background()
	runtime := ort.New()
	backendtest.SkipWithout(t, runtime)
	decode := model.DefaultDecode()
	decode.MaxDetections = 30
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			m, err := source.Open(source.ModelRequest{Weights: "hashed:7", Set: append([]string{"model.profile=nano", "model.num_classes=5"}, v.set...)})
			if err != nil {
				t.Fatal(err)
			}
			in := source.Input{Name: v.name, Image: noise(3, v.batch, 3, v.height, v.width)}
			run := func(b backends.Backend, p backends.Precision) tensor.List {
				t.Helper()
				r, err := Once(ctx, b, m, in, decode, backends.Options{Precision: p, Taps: []string{"all"}})
				if err = errors.Join(err, r.Err); err != nil {
					t.Fatalf("%s %s: %v", b.Name(), p, err)
				}
				return r.Outputs
			}
			oracle := run(reference.New(), backends.FP64)
			single := run(reference.New(), backends.FP32)
			other := run(runtime, backends.FP32)
			setting := ParityCase(&source.Case{Input: in, Model: m, Decode: decode}).Setting
			for _, c := range []struct {
				name      string
				ref, cand tensor.List
			}{{"reference/fp32 vs fp64", oracle, single}, {"ort vs fp64", oracle, other}, {"ort vs reference/fp32", single, other}} {
				r := parity.CompareOutputs(c.ref, c.cand, parity.Options{Policy: parity.GoldenPolicy(), Setting: setting})
				if r.State == evidence.Fail {
					t.Errorf("%s: %s\n%s", c.name, r.Summary(), failing(r))
				}
			}
		})
	}
}

// failing lists the outputs that did not pass.
func failing(r *parity.Report) string {
	var text strings.Builder
	for _, o := range r.Outputs {
		if !o.Passed {
			fmt.Fprintf(&text, "  %s %v: %d of %d mismatch, max abs %.3g, would pass with %v\n", o.Name, o.Shape, o.MismatchCount, o.TotalCount, float64(o.MaxAbsErr), o.Smallest)
		}
	}
	return text.String()
}
