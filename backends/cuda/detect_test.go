//go:build cgo && linux

package cuda_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// predictions are random logits of a pyramid of two levels, for two images of 320×384.
type predictions struct {
	classes  int
	distinct int // how many logits of classes and qualities there are; 0 for any
}

const pyramidH, pyramidW = 320, 384

var pyramidStrides = []int{8, 16}

func (p predictions) make(r *rand.Rand) tensor.List {
	var list tensor.List
	for _, kind := range []string{"cls", "box", "quality"} {
		channels := map[string]int{"cls": p.classes, "box": 4, "quality": 1}[kind]
		for _, stride := range pyramidStrides {
			x := tensor.New(tensor.Float32, 2, channels, pyramidH/stride, pyramidW/stride)
			d := tensor.Data[float32](x)
			for i := range d {
				switch {
				case kind == "box":
					d[i] = float32(r.Float64()*4 - 1)
				case p.distinct > 0:
					d[i] = float32(r.IntN(p.distinct))
				default:
					d[i] = float32(r.NormFloat64() * 2)
				}
			}
			list = append(list, tensor.Named{Name: fmt.Sprint(kind, stride), Tensor: x})
		}
	}
	return list
}

// detections is a graph of both operators.
func detections(t *testing.T, inputs tensor.List, top, most int, iou float32) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("detections")
	var in []*graph.Value
	for _, x := range inputs {
		in = append(in, b.Input(x.Name, graph.Type{DType: x.Tensor.DType(), Shape: x.Tensor.Shape()}))
	}
	kept := b.AddNamed("select", graph.SelectDetections{
		Strides: pyramidStrides, ImageHeight: pyramidH, ImageWidth: pyramidW, ScoreThreshold: 0.05, PreNMSTopK: top, IoUThreshold: iou, MaxDetections: most,
	}, []string{"pairs", "valid"}, in...)
	out := b.AddNamed("decode", graph.DecodeBoxes{Strides: pyramidStrides, ImageHeight: pyramidH, ImageWidth: pyramidW}, []string{"boxes", "scores", "classes"}, append(in, kept...)...)
	for _, v := range append(kept, out...) {
		b.Output(v.Name, v)
	}
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Detections are those of the reference where the lists are longer than what is sorted at once, where all scores tie, and where the detections are
// more than shared memory holds.
func TestManyCandidates(t *testing.T) {
	for i, c := range []struct {
		name      string
		of        predictions
		top, most int
		iou       float32
	}{
		{"cut by histograms", predictions{classes: 9}, 700, 300, 0.4},
		{"few logits", predictions{classes: 9, distinct: 3}, 700, 300, 0.3},
		{"all equal", predictions{classes: 9, distinct: 1}, 1000, 150, 0.9},
		{"one class, strict", predictions{classes: 1}, 1000, 50, 0},
		{"sorted in their lists", predictions{classes: 4}, 5000, 40, 0.6},
	} {
		t.Run(c.name, func(t *testing.T) {
			inputs := c.of.make(rand.New(rand.NewPCG(uint64(i), 5)))
			g := detections(t, inputs, c.top, c.most, c.iou)
			want := backendtest.Outputs(t, backendtest.Open(t, reference.New(), g, backends.Options{}), inputs)
			s := backendtest.Open(t, cuda.New(driver(t)), g, backends.Options{})
			for range 2 { // the counters are as they were
				got := backendtest.Outputs(t, s, inputs)
				for _, name := range []string{"pairs", "valid", "classes"} {
					if !tensor.Identical(got.Get(name), want.Get(name)) {
						t.Errorf("%s: %v, want %v", name, got.Get(name), want.Get(name))
					}
				}
			}
			if valid := want.Get("valid").Float64s(); valid[0] < float64(c.most)/2 {
				t.Errorf("%v detections: the case shows nothing", valid)
			}
		})
	}
}
