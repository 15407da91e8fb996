package execute

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
)

// publicReport is a report of a difference that anybody can read, recreated from its description: a small model that has what it takes, and what the
// release of the report made of one of its nodes. ONNX Runtime as it is here gives the right result in all of them; parity/locate/REPORTS.md
// tells of each.
type publicReport struct {
	name  string
	build func(n *network)
	node  string // that was computed otherwise
	wrong func(n *graph.Node)
	off   int // elements of the node that the description says, or its formula gives, are off; 0 for all but a few
}

var publicReports = []publicReport{
	{
		// microsoft/onnxruntime#32228: a product and a sum behind a Transpose that changes nothing become one Gemm of the transposed operand, as if
		// the Transpose had exchanged the axes.
		name: "identity transpose", node: "identity",
		build: func(n *network) {
			x := n.Add1("identity", graph.Transpose{Perm: []int{0, 1}}, n.unary("start", graph.Tanh, n.Input("x", float(8, 8))))
			y := n.Add1("sum", graph.Binary{Fn: graph.Add}, n.Add1("product", graph.MatMul{}, x, n.weight(8, 8)), n.weight(8))
			n.Output("y", n.unary("end", graph.Sigmoid, y))
		},
		wrong: func(n *graph.Node) { n.Op = graph.Transpose{Perm: []int{1, 0}} },
	},
	{
		// microsoft/onnxruntime#28310: 26 pixels become 64 by their centres, where the framework takes floor(i·26/64).
		name: "nearest pixel", node: "resize", off: 12,
		build: func(n *network) {
			x := n.Add1("resize", graph.Gather{Axis: 3}, n.unary("start", graph.Tanh, n.Input("x", float(1, 1, 1, 26))),
				n.Const("pixels", nearest(func(i float64) float64 { return i * 26 / 64 })))
			n.Output("y", n.unary("end", graph.Sigmoid, x))
		},
		wrong: func(n *graph.Node) {
			pixels := nearest(func(i float64) float64 { return (i+0.5)*26/64 - 0.5 + 0.5 }) // half_pixel, round_prefer_ceil
			n.Inputs = []*graph.Value{n.Inputs[0], {Name: n.Inputs[1].Name, Type: n.Inputs[1].Type, Const: pixels}}
		},
	},
	{
		// microsoft/onnxruntime#22177: zeros around a map, fused into the average of its windows, are no longer part of the average.
		name: "padded average", node: "pool", off: 4 * 7,
		build: func(n *network) {
			x := n.conv("stem", n.Input("x", float(1, 1, 8, 8)), 1, 3, 1)
			x = n.Add1("pool", graph.Pool{Fn: graph.AveragePool, Kernel: [2]int{3, 3}, Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, CountPads: true}, x)
			n.Output("y", n.conv("head", x, 2, 1, 1))
		},
		wrong: func(n *graph.Node) {
			op := n.Op.(graph.Pool)
			op.CountPads = false
			n.Op = op
		},
	},
	{
		// pytorch/pytorch#86580: the export of a layer norm in half precision writes an epsilon of 1e-8 as 0.
		name: "epsilon lost", node: "norm",
		build: func(n *network) {
			x := n.Add1("small", graph.Binary{Fn: graph.Mul}, n.Input("x", float(1, 4, 16)), n.Scalar(1e-4))
			x = n.Add1("norm", graph.LayerNormalization{Epsilon: 1e-8}, x, n.weight(16), n.weight(16))
			n.Output("y", n.Add1("head", graph.MatMul{}, x, n.weight(16, 4)))
		},
		wrong: func(n *graph.Node) { n.Op = graph.LayerNormalization{Epsilon: 0} },
	},
}

// nearest lists the pixels that 64 are taken from.
func nearest(from func(i float64) float64) *tensor.Tensor {
	pixels := tensor.New(tensor.Int64, 64)
	for i := range tensor.Data[int64](pixels) {
		tensor.Data[int64](pixels)[i] = int64(math.Floor(from(float64(i))))
	}
	return pixels
}

// asReported executes a node as a report says that it was, and everything else as the backend does.
type asReported struct {
	backends.Backend
	report *publicReport
}

// Compile implements backends.Backend. The graph is changed while the backend reads it.
func (b asReported) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	if at := slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return n.Name == b.report.node }); at >= 0 && opts.Precision != backends.FP64 {
		sound := *g.Nodes[at]
		b.report.wrong(g.Nodes[at])
		defer func() { *g.Nodes[at] = sound }()
	}
	return b.Backend.Compile(ctx, g, opts)
}

// TestPublicReports locates what public reports describe, in files that it writes as their readers would have them: the node is named, inside a
// step that ONNX Runtime fuses as well, and ONNX Runtime as it is here has none of it.
func TestPublicReports(t *testing.T) {
	library := ort.New()
	if !library.Probe(t.Context()).Available {
		t.Skip("ONNX Runtime is not here")
	}
	for i := range publicReports {
		r := &publicReports[i]
		t.Run(r.name, func(t *testing.T) {
			m := networkFile(t, "report", r.build)
			inputs := m.Seeded(1)[0].Inputs
			if trace := locateIn(t, m.Graph, inputs, library); trace.State != evidence.Pass {
				t.Errorf("as it is here: state %s, finding %+v %s", trace.State, trace.Finding, trace.Strays)
			}
			trace := locateIn(t, m.Graph, inputs, asReported{library, r})
			if trace.State != evidence.Fail || trace.Finding == nil {
				t.Fatalf("state %s, %s", trace.State, trace.Strays)
			}
			found := trace.Steps[trace.Finding.Step]
			if !slices.Contains(found.Nodes, r.node) || trace.Finding.Node != "" && trace.Finding.Node != r.node {
				t.Errorf("located at step %s %v, node %q; want %s", found.Name, found.Nodes, trace.Finding.Node, r.node)
			}
			t.Logf("step %s of %v, node %q: %d of %d elements off, at most %g", found.Name, found.Nodes, trace.Finding.Node, found.Local.Beyond, found.Local.Elements, found.Local.MaxAbs)
			if r.off > 0 && found.Local.Beyond != r.off || r.off == 0 && found.Local.Beyond < found.Local.Elements/2 {
				t.Errorf("%d of %d elements are off, want %d", found.Local.Beyond, found.Local.Elements, r.off)
			}
		})
	}
}

// TestNaiveMean locates what ONNX Runtime 1.30 really computes otherwise: the mean of a million numbers of each channel in one sum of float32, whose partial
// sums are so large that most of what is added to them is rounded away. A mean of means passes, on the same numbers.
func TestNaiveMean(t *testing.T) {
	library := ort.New()
	if !library.Probe(t.Context()).Available {
		t.Skip("ONNX Runtime is not here")
	}
	const rows, columns, channels = 1024, 1024, 4
	mean := func(n *network, name string, axis int, x *graph.Value) *graph.Value {
		return n.Add1(name, graph.Reduce{Fn: graph.ReduceMean, Axes: []int{axis}, KeepDims: true}, x)
	}
	for name, build := range map[string]func(n *network){
		"one sum": func(n *network) {
			x := n.Input("x", float(1, rows*columns, channels))
			n.Output("y", n.Add1("centred", graph.Binary{Fn: graph.Sub}, n.Scalar(1), mean(n, "mean", 1, n.unary("start", graph.Sigmoid, x))))
		},
		"two stages": func(n *network) {
			x := n.Input("x", float(1, rows, columns, channels))
			n.Output("y", n.Add1("centred", graph.Binary{Fn: graph.Sub}, n.Scalar(1), mean(n, "mean", 1, mean(n, "rows", 2, n.unary("start", graph.Sigmoid, x)))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := networkFile(t, "mean", build)
			trace := locateIn(t, m.Graph, m.Seeded(1)[0].Inputs, library)
			for i := range trace.Steps {
				t.Logf("%v: %.3g of the budget, at most %g off", trace.Steps[i].Nodes, float64(trace.Steps[i].Local.Ratio), float64(trace.Steps[i].Local.MaxAbs))
			}
			if name != "one sum" {
				if trace.State != evidence.Pass {
					t.Errorf("state %s, finding %+v %s", trace.State, trace.Finding, trace.Strays)
				}
				return
			}
			if trace.State != evidence.Fail || trace.Finding == nil || trace.Finding.Node != "mean" || trace.Finding.By != "candidate" {
				t.Errorf("state %s, finding %+v", trace.State, trace.Finding)
			}
		})
	}
}
