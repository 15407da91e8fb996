package reference

import (
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// The numeric values of spec/model.md 7, from running the original: modules with weights made of their names, expressed in
// the operators of this package.

// module builds one module. Its weights are v = 0.3·sin(0.37·i + 0.11·Sum(name)), plus 1 for the weights of norms.
type module struct {
	*graph.Builder
	inputs *tensor.List
}

func (m module) param(name string, shape ...int) *graph.Value {
	t := tensor.New(tensor.Float32, shape...)
	sum := 0
	for _, c := range name {
		sum += int(c)
	}
	for i, d := 0, tensor.Data[float32](t); i < len(d); i++ {
		v := 0.3 * math.Sin(0.37*float64(i)+0.11*float64(sum))
		if len(shape) == 1 && strings.HasSuffix(name, "weight") {
			v++
		}
		d[i] = float32(v)
	}
	return m.Const(name, t)
}

// inputX is X(shape; s), inputP is P(shape; s).
func inputX(s float64, shape ...int) *tensor.Tensor {
	return filled(shape, func(i float64) float64 { return math.Sin(0.013*i+s) + 0.5*math.Cos(0.71*i) })
}

func inputP(s float64, shape ...int) *tensor.Tensor {
	return filled(shape, func(i float64) float64 { return 0.5 + 0.5*math.Sin(0.05*i+s) })
}

func filled(shape []int, f func(i float64) float64) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i, d := 0, tensor.Data[float32](t); i < len(d); i++ {
		d[i] = float32(f(float64(i)))
	}
	return t
}

// value declares an input that holds t.
func (m module) value(name string, t *tensor.Tensor) *graph.Value {
	*m.inputs = append(*m.inputs, tensor.Named{Name: name, Tensor: t})
	return m.Input(name, graph.Type{DType: t.DType(), Shape: t.Shape()})
}

func (m module) unary(name string, fn graph.UnaryFn, x *graph.Value) *graph.Value {
	return m.Add1(name, graph.Unary{Fn: fn}, x)
}

func (m module) binary(name string, fn graph.BinaryFn, a, b *graph.Value) *graph.Value {
	return m.Add1(name, graph.Binary{Fn: fn}, a, b)
}

func (m module) conv(node, name string, x *graph.Value, out, kernel, stride, groups int, bias bool) *graph.Value {
	in := []*graph.Value{x, m.param(name+".weight", out, x.Shape[1]/groups, kernel, kernel)}
	if bias {
		in = append(in, m.param(name+".bias", out))
	}
	p := kernel / 2
	return m.Add1(node, graph.Conv{Strides: [2]int{stride, stride}, Pads: [4]int{p, p, p, p}, Group: groups}, in...)
}

func (m module) norm(node, name string, x *graph.Value, groups int) *graph.Value {
	c := x.Shape[1]
	return m.Add1(node, graph.GroupNormalization{Groups: groups, Epsilon: 1e-5}, x, m.param(name+".weight", c), m.param(name+".bias", c))
}

func (m module) silu(node string, x *graph.Value) *graph.Value {
	return m.binary(node, graph.Mul, x, m.unary(node+".sigmoid", graph.Sigmoid, x))
}

func (m module) linear(name string, x *graph.Value, out int) *graph.Value {
	return m.Add1(name, graph.Gemm{TransB: true}, x, m.param(name+".weight", out, x.Shape[1]), m.param(name+".bias", out))
}

func (m module) reshape(node string, x *graph.Value, shape ...int) *graph.Value {
	return m.Add1(node, graph.Reshape{Shape: shape}, x)
}

func (m module) gate(node string, x *graph.Value) *graph.Value {
	c := x.Shape[1] / 2
	parts := m.Add(node+".split", graph.Split{Axis: 1, Sizes: []int{c, c}}, x)
	return m.binary(node, graph.Mul, parts[0], m.unary(node+".relu", graph.Relu, parts[1]))
}

// gold is a row of the tables: the sum, the sum of absolute values, the first and the last element of an output.
type gold struct {
	name                      string
	sum, absolute, head, tail float64
}

// requireGold runs the module in both precisions, with tolerance 1e-5 of the absolute sum.
func requireGold(t *testing.T, m module, rows ...gold) {
	t.Helper()
	g := built(t, m.Builder)
	for _, set := range []settings{fp32(), fp64()} {
		got := outputs(t, g, *m.inputs, set)
		for _, r := range rows {
			v := got.Get(r.name).Float64s()
			sum, absolute := 0.0, 0.0
			for _, e := range v {
				sum += e
				absolute += math.Abs(e)
			}
			for _, p := range [][2]float64{{sum, r.sum}, {absolute, r.absolute}, {v[0], r.head}, {v[len(v)-1], r.tail}} {
				if tol := 1e-5 * max(r.absolute, 1); !(math.Abs(p[0]-p[1]) <= tol) {
					t.Errorf("%v %s: sum %v, absolute %v, first %v, last %v; want %+v", set.float, r.name, sum, absolute, v[0], v[len(v)-1], r)
					break
				}
			}
		}
	}
}

func newModule() module { return module{graph.NewBuilder("module"), &tensor.List{}} }

func TestGoldenCheapBlock(t *testing.T) { // G1
	m := newModule()
	x := m.value("x", inputX(0, 2, 3, 5, 7))
	conv := m.conv("h", "conv", x, 8, 1, 1, 1, true)
	residual := m.conv("r", "residual_proj", x, 4, 1, 1, 1, false)
	m.Output("with", m.binary("sum", graph.Add, m.gate("gate1", m.norm("norm1", "norm", conv, 1)), residual))
	m.Output("without", m.gate("gate2", m.norm("norm2", "norm", conv, 2)))
	requireGold(t, m, gold{"with", 74.04976, 230.1197, -0.6061265, 1.093686}, gold{"without", 114.4008, 124.9777, 0, 0.716369})
}

func TestGoldenAggregation(t *testing.T) { // G3, whose vectors list statistics before channels
	m := newModule()
	maps := m.Add1("maps", graph.Concat{Axis: 1}, m.value("a", inputX(1, 1, 1, 5, 7)), m.value("b", inputX(0, 1, 2, 5, 7)))
	m.Output("vectors", m.Add1("agg", graph.TileAggregate{FeatureHeight: 8, FeatureWidth: 12, Tile: 4}, maps))
	requireGold(t, m, gold{"vectors", 32.13864, 32.13864, 1.064317, 0.07740107})
}

// scan is StableStateSpaceScan(c) under a prefix.
func (m module) scan(prefix string, x *graph.Value, backward bool) []*graph.Value {
	c := x.Shape[2]
	gain := func(name string) *graph.Value {
		return m.binary(prefix+name, graph.Add, m.unary(prefix+name+".softplus", graph.Softplus, m.param(prefix+name+"_raw", c)), m.Scalar(1e-6))
	}
	decay := m.binary(prefix+"span", graph.Mul, m.unary(prefix+"sigmoid", graph.Sigmoid, m.param(prefix+"decay_logit", c)), m.Scalar(0.998))
	decay = m.binary(prefix+"decay", graph.Add, decay, m.Scalar(1e-3))
	return m.Add(prefix+"scan", graph.TileSSMScan{Backward: backward, Clamp: 1e4}, x, decay, gain("input_gain"), gain("output_gain"), m.param(prefix+"state_bias", c))
}

func TestGoldenScans(t *testing.T) { // G5
	m := newModule()
	x := m.value("x", inputX(0, 2, 5, 6))
	single := m.scan("", x, false)
	forward, backward := m.scan("forward_scan.", x, false), m.scan("backward_scan.", x, true)
	gate := m.unary("gate", graph.Sigmoid, m.param("merge_gate_logit", 6))
	rest := m.binary("rest", graph.Sub, m.Scalar(1), gate)
	merged := m.binary("sum", graph.Add, m.binary("f", graph.Mul, gate, forward[0]), m.binary("b", graph.Mul, rest, backward[0]))
	for name, v := range map[string]*graph.Value{"y": single[0], "state": single[1], "merged": merged, "state_f": forward[1], "state_b": backward[1]} {
		m.Output(name, v)
	}
	requireGold(t, m,
		gold{"y", 3.486769, 6.63028, 0.1528812, 0.07812887}, gold{"state", 2.153877, 2.52333, 0.2588324, 0.1405647},
		gold{"merged", 4.90587, 5.96751, 0.03501124, 0.1586243}, gold{"state_f", 1.163764, 1.470527, 0.1055808, 0.1513088},
		gold{"state_b", 1.761794, 1.994379, -0.06119609, 0.6186373})
}

func TestGoldenFiLM(t *testing.T) { // G6
	m := newModule()
	rows := m.reshape("rows", m.value("tokens", inputX(0, 2, 3, 6)), 6, 6)
	rows = m.Add1("norm", graph.LayerNormalization{Epsilon: 1e-5}, rows, m.param("token_norm.weight", 6), m.param("token_norm.bias", 6))
	rows = m.linear("mlp.2", m.silu("act", m.linear("mlp.0", rows, 6)), 8)
	parts := m.Add("parts", graph.Split{Axis: 1, Sizes: []int{4, 4}}, rows)
	gamma := m.reshape("gamma5", m.unary("tanh", graph.Tanh, parts[0]), 2, 3, 4, 1, 1)
	beta := m.reshape("beta5", parts[1], 2, 3, 4, 1, 1)
	scaled := m.binary("scaled", graph.Mul, m.binary("plus", graph.Add, gamma, m.Scalar(1)), m.value("tiles", inputX(0.5, 2, 3, 4, 4, 4)))
	m.Output("gamma", gamma)
	m.Output("beta", beta)
	m.Output("modulated", m.binary("shifted", graph.Add, scaled, beta))
	requireGold(t, m, gold{"gamma", -4.288814, 4.322841, -0.151785, -0.4085632},
		gold{"beta", -5.178376, 5.188083, -0.1447452, -0.01821069}, gold{"modulated", -69.2694, 234.1558, 0.6860182, -0.497795})
}

func TestGoldenRefineBlock(t *testing.T) { // G7
	m := newModule()
	x := m.value("x", inputX(0, 6, 6, 4, 4)) // [2,3] tiles
	h := m.conv("wide", "pointwise", m.conv("deep", "depthwise", x, 6, 3, 1, 6, true), 12, 1, 1, 1, true)
	m.Output("y", m.binary("sum", graph.Add, m.gate("gate", m.norm("normed", "norm", h, 1)), x))
	requireGold(t, m, gold{"y", 226.5564, 497.5857, 0.5, 1.346195})
}

func TestGoldenGate(t *testing.T) { // G8
	m := newModule()
	term := func(name string, s float64) *graph.Value {
		w := m.unary(name+".w", graph.Softplus, m.param(name+"_log_weight"))
		return m.binary(name, graph.Mul, w, m.value(name+".map", inputP(s, 1, 1, 6, 6)))
	}
	sum := m.binary("sum", graph.Add, m.binary("terms", graph.Add, term("boundary", 0), term("uncertainty", 2)), m.param("bias"))
	alpha := m.unary("sigmoid", graph.Sigmoid, sum)
	// One tile as large as the map holds the heavy features.
	heavy := m.reshape("tile", m.value("heavy", inputX(1, 1, 4, 6, 6)), 1, 1, 4, 6, 6)
	ids := m.value("ids", i64s([]int{1, 1}, 0))
	m.Output("fused", m.Add1("unpack", graph.TileUnpackFusion{}, m.value("base", inputX(0, 1, 4, 6, 6)), heavy, ids, alpha))
	m.Output("alpha", alpha)
	requireGold(t, m, gold{"alpha", 28.54455, 28.54455, 0.7981753, 0.7588528}, gold{"fused", 113.6716, 113.6809, 1.171641, 0.7133617})
}
