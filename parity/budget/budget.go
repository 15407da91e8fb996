// Package budget derives how far an honest execution may be from exact arithmetic, element by element, operator by operator.
//
// TOLERANCES.md, beside this package, derives the rules. Data flows in this order:
//
//  1. A Value is a tensor in exact arithmetic (float64) with the Spread of every element: the size of the error that rounding leaves in
//     an honest execution, to be multiplied by λ.
//  2. Rules holds one rule for every operator: from the operands' values and spreads, and the exact result, it gives the spreads of the
//     outputs: what the operator's own arithmetic adds, and what the operands' errors become. Operands without a spread are exact, so that one rule
//     serves an operator that is fed the reference's inputs (local) and a whole run (propagated).
//  3. Judge holds a result to λ times the spread. What was selected has no spread: integers are equal, or CheckSelection finds in the
//     operands that the choice is a right one.
package budget

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Unit is the unit roundoff of float32, in which every precision but fp64 adds: half the distance of 1 to its neighbour.
const Unit = 0x1p-24

// Factors are λ by the name of a tolerance profile: how many spreads pass.
var Factors = map[string]float64{"quality": leastFactor, "balanced": 6, "edge": Reach}

// In a whole run an error decides between two results, such as the sides of a branch, where Reach spreads may carry a value from one to the
// other, and what it jumps there is allowed by leastFactor spreads: so a spread is the same for every λ of Factors, which are between the two.
const (
	leastFactor = 4
	Reach       = 8
)

// Dependent is by how much the budget of a whole run is larger: Dependent·λ·σ. Spreads take the errors of different elements for independent, and
// normalisations make them depend on each other: 1.3·λ·σ was seen at λ = 4 in fp32, 3.3·λ·σ in fp16 (TOLERANCES.md). A step that is fed by itself
// needs no such allowance.
const Dependent = 4

// Together is by how much the errors of declared roundings inside a step add up more than independent ones: a value that falls to its other neighbour
// is off by a whole quantum, whatever λ, and few of them add up like their number and not like its root. 1.4 was seen, in TF32 in the result of a step
// of 34 nodes with four roundings (TOLERANCES.md).
const Together = 2

// Persistent is by how much the errors of declared roundings along a run add up more than independent ones, beside a run that has none of them: a weight is
// rounded once for all cells of a map, and neighbours of a smooth region are rounded much alike. What independent errors would leave was seen to be
// exceeded 2.2 times at λ = 4 and Dependent, on scenes with large flat regions, and by 0.9 times on photographs (TOLERANCES.md).
const Persistent = 3

// Value is a tensor in exact arithmetic. Of floats the elements are float64 and the shape of a spread that is not nil is the tensor's;
// an infinite spread says that nothing is known of an element, such as one of a cell at the edge of a box.
type Value struct {
	*tensor.Tensor
	Spread []float64 // ≥ 0; nil where the value is exact
}

// Exact returns a value without a spread; floats are widened.
func Exact(t *tensor.Tensor) Value {
	if t != nil && t.DType() == tensor.Float32 {
		t = tensor.Must(tensor.Of(t.Float64s(), t.Shape()...))
	}
	return Value{Tensor: t}
}

// Times returns the value with so many times its spread.
func (v Value) Times(n float64) Value {
	wider := make([]float64, len(v.Spread))
	for i, s := range v.Spread {
		wider[i] = n * s
	}
	return Value{Tensor: v.Tensor, Spread: wider}
}

// floats returns the elements of a floating-point value.
func (v Value) floats() []float64 { return tensor.Data[float64](v.Tensor) }

// spread returns that of element i.
func (v Value) spread(i int) float64 {
	if v.Spread == nil {
		return 0
	}
	return v.Spread[i]
}

// exact tells whether no element has a spread.
func (v Value) exact() bool { return v.Spread == nil }

// Budget derives spreads.
type Budget struct {
	// Factor is λ > 0. Rules need it where an error decides between two results, such as the neighbours to which a value may be rounded;
	// those of a whole run take Reach for it.
	Factor   float64
	whole    bool // rules are of a whole run
	declared Run  // of a whole run
	// Products evaluates convolutions and matrix products of squares: a backend that has fp32.
	Products backends.Backend
	Options  backends.Options // of its sessions
}

// New returns the budget of a factor λ, for which products evaluates with that many threads (0: as many as it likes).
func New(products backends.Backend, factor float64, threads int) *Budget {
	return &Budget{Factor: factor, Products: products, Options: backends.Options{Threads: threads, Extra: directProducts(products)}}
}

// directProducts are the options under which the reference backend adds products one by one, as squares ask for: Winograd's sums of
// both signs would leave a noise where a variance is 0.
func directProducts(b backends.Backend) map[string]string {
	if b.Name() == "reference" {
		return map[string]string{"winograd": "off"}
	}
	return nil
}

// rule derives the spreads of a node's outputs, nil for an exact one, from its operands (an absent one has no tensor) and exact outputs.
type rule func(c *call) ([][]float64, error)

// call is what a rule is asked: one node.
type call struct {
	*Budget
	ctx     context.Context
	node    *graph.Node
	in, out []Value
}

// Node gives the outputs of a node their spreads. out are the exact results, of the operands' tensors.
func (b *Budget) Node(ctx context.Context, n *graph.Node, in []Value, out []*tensor.Tensor) ([]Value, error) {
	c := &call{Budget: b, ctx: ctx, node: n, in: in}
	for _, t := range out {
		c.out = append(c.out, Exact(t))
	}
	r := Rules[n.Op.OpType()]
	if r == nil {
		return nil, fmt.Errorf("no rule derives the error of operator %s (node %s)", n.Op.OpType(), n.Name)
	}
	spreads, err := r(c)
	if err != nil {
		return nil, fmt.Errorf("error budget of node %s: %w", n.Name, err)
	}
	for i := range c.out {
		if i < len(spreads) && c.out[i].DType().IsFloat() {
			c.out[i].Spread = unknown(spreads[i])
		}
	}
	return c.out, nil
}

// unknown turns what a rule makes of an infinite spread, such as 0·∞, into an infinite one.
func unknown(spread []float64) []float64 {
	for i, s := range spread {
		if math.IsNaN(s) {
			spread[i] = math.Inf(1)
		}
	}
	return spread
}

// Rules has a rule for every operator of the graph, by its type.
var Rules = map[string]rule{
	"Conv": product, "Gemm": product, "MatMul": product,
	"ReduceMean": reduceMean, "ReduceL2": reduceL2, "GroupNormalization": groupNorm, "LayerNormalization": layerNorm, "TileAggregate": aggregate,
	"Add": sum, "Sub": sum, "Mul": multiplied, "Div": divided, "Max": largest, "Min": largest,
	"Sigmoid": sigmoid, "Tanh": tanh, "Softplus": softplus, "Relu": relu, "Clip": clip, "Floor": floor, "Identity": moved, "IsNaN": chosen,
	"Where": where, "Cast": cast, "Round": round,
	"Reshape": moved, "Concat": concat, "Split": split, "Gather": gather, "TilePack": tilePack, "Resize": resize,
	"TileSSMScan": scan, "TileUnpackFusion": unpack, "RoiMeanPool": roiMean, "BoxMask": boxMask, "DecodeBoxes": decodeBoxes,
	"Exp": exponential, "Log": logarithm, "Sqrt": squareRoot, "Erf": erf, "Neg": moved, "Abs": moved, "Pow": power, "Softmax": softmax,
	"MaxPool": pool, "AveragePool": pool, "GlobalAveragePool": globalPool, "BatchNormalization": batchNorm, "Transpose": transpose,
	"ConvTranspose": product, "TopK": topK, "LSTM": lstm,
	"GreedySelect": chosen, "SplitSelect": chosen, "TileOrder": chosen, "SelectDetections": chosen,
}

// jump is the spread of a value that may be off by that much at once.
func (b *Budget) jump(by float64) float64 {
	if b.whole {
		return by / leastFactor
	}
	return by / b.Factor
}

// chosen is the rule of operators that choose: what they choose has no error.
func chosen(*call) ([][]float64, error) { return nil, nil }

// root is the quadratic sum: independent errors add so. What visits every element of a large map writes it out, which is three times as fast.
func root(terms ...float64) float64 {
	sum := 0.0
	for _, t := range terms {
		sum += t * t
	}
	return math.Sqrt(sum)
}

// each applies a rule that is element by element to all elements of the first output, several at a time: the rule only reads.
func (c *call) each(spread func(i int, y float64) float64) ([][]float64, error) {
	s, ys := make([]float64, c.out[0].Len()), c.out[0].floats()
	pieces(len(s), func(low, high int) {
		for i := low; i < high; i++ {
			s[i] = spread(i, ys[i])
		}
	})
	return [][]float64{s}, nil
}

// pieces divides [0, n) among the processors, where that is worth a goroutine.
func pieces(n int, do func(low, high int)) {
	const least = 1 << 14
	count := max(1, min(runtime.GOMAXPROCS(0), n/least))
	var all sync.WaitGroup
	for p := range count {
		all.Go(func() { do(p*n/count, (p+1)*n/count) })
	}
	all.Wait()
}
