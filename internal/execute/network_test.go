package execute

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// network builds the models of TestNetworksInAMatrix.
type network struct {
	*graph.Builder
	weights uint64 // how many there are
}

// weight returns a constant of small numbers, other ones each time.
func (n *network) weight(shape ...int) *graph.Value {
	n.weights++
	t := noise(n.weights, shape...)
	for i, d := 0, tensor.Data[float32](t); i < len(d); i++ {
		d[i] = (d[i] - 0.5) / 2
	}
	return n.Const("w"+fmt.Sprint(n.weights), t)
}

func (n *network) unary(name string, fn graph.UnaryFn, x *graph.Value) *graph.Value {
	return n.Add1(name, graph.Unary{Fn: fn}, x)
}

func (n *network) conv(name string, x *graph.Value, channels, kernel, stride int) *graph.Value {
	p := kernel / 2
	return n.Add1(name, graph.Conv{Strides: [2]int{stride, stride}, Pads: [4]int{p, p, p, p}, Group: 1}, x, n.weight(channels, x.Shape[1], kernel, kernel), nil)
}

func (n *network) batchNorm(name string, x *graph.Value) *graph.Value {
	c := x.Shape[1]
	return n.Add1(name, graph.BatchNormalization{Epsilon: 1e-5}, x, n.weight(c), n.weight(c), n.weight(c), n.unary(name+".variance", graph.Exp, n.weight(c)))
}

func float(shape ...int) graph.Type { return graph.Type{DType: tensor.Float32, Shape: shape} }

// residualBlock is a ResNet's beginning and end around one block.
func residualBlock(n *network) {
	x := n.unary("stem.relu", graph.Relu, n.batchNorm("stem.norm", n.conv("stem", n.Input("image", float(1, 3, 32, 32)), 8, 7, 2)))
	x = n.Add1("pool", graph.Pool{Fn: graph.MaxPool, Kernel: [2]int{3, 3}, Strides: [2]int{2, 2}, Pads: [4]int{1, 1, 1, 1}}, x)
	h := n.batchNorm("norm2", n.conv("conv2", n.unary("relu1", graph.Relu, n.batchNorm("norm1", n.conv("conv1", x, 8, 3, 1))), 8, 3, 1))
	x = n.unary("relu2", graph.Relu, n.Add1("residual", graph.Binary{Fn: graph.Add}, h, x))
	x = n.Add1("flat", graph.Reshape{Shape: []int{1, 8}}, n.Add1("mean", graph.GlobalAveragePool{}, x))
	n.Output("probabilities", n.Add1("softmax", graph.Softmax{Axis: -1}, n.Add1("fc", graph.Gemm{TransB: true}, x, n.weight(10, 8), n.weight(10))))
}

// transformerLayer is one layer of attention and a perceptron with the exact GELU.
func transformerLayer(n *network) {
	const width, length, heads = 32, 12, 4
	x := n.Input("tokens", float(1, length, width))
	h := n.Add1("norm", graph.LayerNormalization{Epsilon: 1e-5}, x, n.weight(width), n.weight(width))
	head := func(name string, perm ...int) *graph.Value {
		v := n.Add1(name+".heads", graph.Reshape{Shape: []int{1, length, heads, width / heads}}, n.Add1(name, graph.MatMul{}, h, n.weight(width, width)))
		return n.Add1(name+".transposed", graph.Transpose{Perm: perm}, v)
	}
	q, k, v := head("q", 0, 2, 1, 3), head("k", 0, 2, 3, 1), head("v", 0, 2, 1, 3)
	scores := n.Add1("scores.scaled", graph.Binary{Fn: graph.Div}, n.Add1("scores", graph.MatMul{}, q, k), n.Scalar(math.Sqrt(width/heads)))
	mixed := n.Add1("mixed.rows", graph.Transpose{Perm: []int{0, 2, 1, 3}}, n.Add1("mixed", graph.MatMul{}, n.Add1("attention", graph.Softmax{Axis: -1}, scores), v))
	x = n.Add1("residual", graph.Binary{Fn: graph.Add}, x, n.Add1("mixed.flat", graph.Reshape{Shape: []int{1, length, width}}, mixed))
	h = n.Add1("mlp", graph.MatMul{}, x, n.weight(width, 4*width))
	gate := n.Add1("gelu.gate", graph.Binary{Fn: graph.Add}, n.unary("gelu.erf", graph.Erf, n.Add1("gelu.scaled", graph.Binary{Fn: graph.Div}, h, n.Scalar(math.Sqrt2))), n.Scalar(1))
	h = n.Add1("gelu", graph.Binary{Fn: graph.Mul}, n.Add1("gelu.half", graph.Binary{Fn: graph.Mul}, h, n.Scalar(0.5)), gate)
	n.Output("hidden", n.Add1("out", graph.Binary{Fn: graph.Add}, x, n.Add1("mlp2", graph.MatMul{}, h, n.weight(4*width, width))))
}

// recurrent is an LSTM, of which the last state alone is asked for.
func recurrent(n *network) {
	x := n.Input("sequence", float(9, 2, 6))
	n.Output("state", n.Add("lstm", graph.LSTM{Hidden: 5}, x, n.weight(1, 20, 6), n.weight(1, 20, 5), n.weight(1, 40))[1])
}

// gated is a GRU, of which the reference has nothing.
func gated(n *network) {
	x := n.Input("sequence", float(9, 2, 6))
	gru := graph.Opaque{Type: "GRU", Version: 21, Attributes: [][]byte{intAttribute("hidden_size", 5)}, Outputs: []graph.Type{float(1, 2, 5)}, Places: []int{1}, Why: "foreign"}
	n.Output("state", n.Add("gru", gru, x, n.weight(1, 15, 6), n.weight(1, 15, 5), n.weight(1, 30))[0])
}

// detectorHead is a head of scores and boxes; its outputs have the names, and not the meaning, of Apex-X's.
func detectorHead(n *network) {
	f := n.conv("tower", n.Input("features", float(1, 8, 10, 10)), 16, 3, 1)
	f = n.Add1("swish", graph.Binary{Fn: graph.Mul}, f, n.unary("gate", graph.Sigmoid, f))
	scores := n.Add1("scores.flat", graph.Reshape{Shape: []int{1, 5, 100}}, n.unary("probabilities", graph.Sigmoid, n.conv("cls", f, 5, 1, 1)))
	n.Output("best", n.Add("best.topk", graph.TopK{Axis: 2, K: 7}, scores)[0])
	n.Output("scores", n.Add1("scores.rows", graph.Transpose{Perm: []int{0, 2, 1}}, scores))
	boxes := n.Add1("boxes.flat", graph.Reshape{Shape: []int{1, 4, 100}}, n.unary("sizes", graph.Exp, n.conv("box", f, 4, 1, 1)))
	n.Output("boxes", n.Add1("boxes.rows", graph.Transpose{Perm: []int{0, 2, 1}}, boxes))
}

// uNet goes down and up again once, with a skip connection.
func uNet(n *network) {
	a := n.unary("enc.relu", graph.Relu, n.batchNorm("enc.norm", n.conv("enc", n.Input("image", float(1, 3, 16, 16)), 8, 3, 1)))
	b := n.Add1("down", graph.Pool{Fn: graph.AveragePool, Kernel: [2]int{2, 2}, Strides: [2]int{2, 2}}, a)
	b = n.unary("mid.relu", graph.Relu, n.conv("mid", b, 16, 3, 1))
	up := n.Add1("up", graph.ConvTranspose{Strides: [2]int{2, 2}, Group: 1}, b, n.weight(16, 8, 2, 2))
	n.Output("mask", n.conv("head", n.Add1("skip", graph.Concat{Axis: 1}, up, a), 2, 3, 1))
}

// intAttribute encodes an AttributeProto with a small integer.
func intAttribute(name string, value byte) []byte {
	encoded := append([]byte{0x0a, byte(len(name))}, name...) // field 1: the name
	return append(encoded, 0x18, value, 0xa0, 0x01, 0x02)     // field 3: the integer; field 20: the type INT
}

// networkFile writes a model and reads it as a user's.
func networkFile(t *testing.T, name string, build func(*network)) *source.Network {
	t.Helper()
	n := &network{Builder: graph.NewBuilder(name)}
	build(n)
	g, err := n.Build()
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Marshal(g, onnx.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".onnx")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := source.OpenNetwork(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// matrixOf compares ONNX Runtime and the reference on drawn inputs of a network.
func matrixOf(t *testing.T, m *source.Network, open func(string) (backends.Backend, error)) *parity.Matrix {
	t.Helper()
	r := &MatrixRunner{Cases: map[string]Subject{}, Threads: 1, Open: open}
	spec := parity.MatrixSpec{Runner: r, Replayer: r, Budgets: r, Policies: []parity.Policy{parity.Balanced.AnyModel()},
		Columns: []parity.Column{{Backend: "reference", Precision: backends.FP64}, {Backend: "reference", Precision: backends.FP32}, {Backend: "ort", Precision: backends.FP32}}}
	cases := m.Seeded(2)
	for i := range cases {
		r.Cases[cases[i].Name] = &cases[i]
		spec.Cases = append(spec.Cases, NetworkParityCase(&cases[i]))
	}
	matrix, err := parity.Run(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := matrix.Check(); err != nil {
		t.Error(err)
	}
	return matrix
}

func inProcess(name string) (backends.Backend, error) { return Open(name, Options{}) }

// TestNetworksInAMatrix compares models that are not Apex-X: both backends agree, or the one that lacks an operator says which.
func TestNetworksInAMatrix(t *testing.T) {
	for _, c := range []struct {
		name   string
		build  func(*network)
		lacked string // by the reference
	}{
		{"resnet", residualBlock, ""}, {"transformer", transformerLayer, ""}, {"lstm", recurrent, ""}, {"gru", gated, `GRU (node gru: the operator "GRU" of the domain "" is not supported`}, {"detector", detectorHead, ""}, {"unet", uNet, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := matrixOf(t, networkFile(t, c.name, c.build), inProcess)
			for _, e := range m.Executions {
				if e.Column.Backend == "ort" && e.State != evidence.Measured && e.Reason != string(backends.LibraryNotFound) && e.Reason != string(backends.BuiltWithoutCgo) {
					t.Errorf("ort on %s: %s: %s", e.Case, e.State, e.Detail)
				}
			}
			for _, cell := range m.Cells {
				switch {
				case cell.State == evidence.Unsupported && c.lacked != "":
					if !strings.HasSuffix(cell.Detail, c.lacked+")") {
						t.Errorf("%s: %s, want %s", cell.Pair, cell.Detail, c.lacked)
					}
				case cell.State == evidence.Unsupported && cell.Pair.String() != "reference/fp32 vs reference/fp64" && (cell.Reason == string(backends.LibraryNotFound) || cell.Reason == string(backends.BuiltWithoutCgo)):
				case cell.State != evidence.Pass:
					t.Errorf("%s, %s: %s: %s", cell.Case, cell.Pair, cell.State, cell.Detail)
				}
			}
		})
	}
}

// spoiler is a backend that spoils what another one computes.
type spoiler struct {
	backends.Backend
	spoil func(tensor.List)
}

// Compile implements backends.Backend.
func (s spoiler) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	real, err := s.Backend.Compile(ctx, g, opts)
	if err != nil {
		return nil, err
	}
	return &backendtest.Fake{Session: real, Run: func(ctx context.Context, inputs tensor.List) (tensor.List, error) {
		out, err := backends.Run(ctx, real, inputs)
		if err != nil {
			return nil, err
		}
		out = out.Clone()
		s.spoil(out)
		return out, nil
	}}, nil
}

// TestNetworkFaultsFail gives a wrong result of a model whose outputs are called like Apex-X's: no name excuses it.
func TestNetworkFaultsFail(t *testing.T) {
	for _, c := range []struct {
		name  string
		wrong func(tensor.List)
	}{
		{"one score", func(o tensor.List) { tensor.Data[float32](o.Get("scores"))[7] += 1e-3 }},
		{"all boxes, by little", func(o tensor.List) {
			for i, d := 0, tensor.Data[float32](o.Get("boxes")); i < len(d); i++ {
				d[i] *= 1 + 3e-5
			}
		}},
		{"a NaN", func(o tensor.List) { tensor.Data[float32](o.Get("boxes"))[0] = float32(math.NaN()) }},
	} {
		m := matrixOf(t, networkFile(t, "detector", detectorHead), func(name string) (backends.Backend, error) {
			if name == "ort" {
				return spoiler{reference.New(), c.wrong}, nil
			}
			return inProcess(name)
		})
		for _, cell := range m.Cells {
			if cell.Pair.Candidate.Backend == "ort" && cell.State != evidence.Fail {
				t.Errorf("%s: %s is %s", c.name, cell.Pair, cell.State)
			}
		}
	}
}

// amplifier loses ten bits: what is left of small numbers when a large one is added and taken away again.
func amplifier(n *network) {
	x := n.conv("conv", n.Input("image", float(1, 3, 16, 16)), 8, 3, 1)
	y := n.Add1("raised", graph.Binary{Fn: graph.Add}, x, n.Scalar(1024))
	n.Output("y", n.conv("out", n.Add1("lowered", graph.Binary{Fn: graph.Sub}, y, n.Scalar(1024)), 4, 3, 1))
}

// TestAmplifyingNetwork lets a network pass whose noise is beyond any fixed limit, because its own arithmetic leaves as much; a backend that is
// wrong by more than that fails.
func TestAmplifyingNetwork(t *testing.T) {
	network := networkFile(t, "amplifier", amplifier)
	for _, c := range []struct {
		name  string
		spoil func(tensor.List)
		want  evidence.State
	}{
		{"honest", func(tensor.List) {}, evidence.Pass},
		{"off by a hundredth", func(o tensor.List) {
			for i, d := 0, tensor.Data[float32](o[0].Tensor); i < len(d); i++ {
				d[i] *= 1.01
			}
		}, evidence.Fail},
	} {
		m := matrixOf(t, network, func(name string) (backends.Backend, error) {
			if name == "ort" {
				return spoiler{reference.New(), c.spoil}, nil
			}
			return inProcess(name)
		})
		for _, cell := range m.Cells {
			o := cell.Report.Outputs[0]
			switch {
			case cell.Pair.Candidate.Backend == "ort" && cell.State != c.want:
				t.Errorf("%s: %s is %s: %s", c.name, cell.Pair, cell.State, cell.Detail)
			case cell.Pair.String() == "reference/fp32 vs reference/fp64" && (cell.State != evidence.Pass || o.Judgement != parity.ByBudget):
				t.Errorf("%s: %s is %s, judged by %s: %+v", c.name, cell.Pair, cell.State, o.Judgement, o.Budget)
			}
		}
	}
}
