package budget_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// strictest is the budget of the profile quality.
func strictest() *budget.Budget {
	return &budget.Budget{Factor: budget.Factors["quality"], Products: reference.New(), Options: backends.Options{Extra: map[string]string{"winograd": "off"}}}
}

func TestEveryOperatorHasARule(t *testing.T) {
	for _, op := range graph.Operators() {
		if budget.Rules[op.OpType()] == nil {
			t.Errorf("no rule for %s", op.OpType())
		}
	}
}

// evaluated is a case of the compliance suite with its exact outputs and those of the reference in float32, beside their budgets.
type evaluated struct {
	name   string
	node   *graph.Node
	in     []budget.Value
	exact  []budget.Value
	honest tensor.List
}

// evaluate computes a case, or returns nil for one with operands that are not finite, which no session takes.
func evaluate(t *testing.T, c backendtest.Case) *evaluated {
	t.Helper()
	build := graph.NewBuilder("case")
	var values []*graph.Value
	var inputs tensor.List
	e := &evaluated{name: c.Name}
	for i, o := range c.In {
		switch name := fmt.Sprintf("in.%d", i); {
		case o.Tensor == nil:
			values = append(values, nil)
		case o.Tensor.NonFinite() >= 0:
			return nil
		case o.Const:
			values = append(values, build.Const(name, o.Tensor))
		default:
			values = append(values, build.Input(name, graph.Type{DType: o.Tensor.DType(), Shape: o.Tensor.Shape()}))
			inputs = append(inputs, tensor.Named{Name: name, Tensor: o.Tensor})
		}
		e.in = append(e.in, budget.Exact(o.Tensor))
	}
	out := build.Add("node", c.Op, values...)
	for _, v := range out {
		build.Output(v.Name, v)
	}
	g, err := build.Build()
	if err != nil {
		t.Fatal(err)
	}
	e.node = g.Nodes[0]
	operands := make([]*tensor.Tensor, len(e.in))
	for i := range e.in {
		operands[i] = e.in[i].Tensor
	}
	exact, err := backendtest.Evaluate(e.node, operands)
	if err != nil {
		t.Fatal(err)
	}
	if e.exact, err = strictest().Node(t.Context(), e.node, e.in, exact); err != nil {
		t.Fatal(err)
	}
	session, err := reference.New().Compile(t.Context(), g, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	got, err := backends.Run(t.Context(), session, inputs)
	if err != nil {
		t.Fatal(err)
	}
	e.honest = got.Clone()
	return e
}

// judge holds an output to its budget.
func (e *evaluated) judge(i int, got *tensor.Tensor) budget.Judgement {
	margin := budget.Margin{}
	if _, conv := e.node.Op.(graph.Conv); conv {
		margin.Times = budget.Winograd // where it pays, which the session's plan would tell
	}
	return strictest().Judge(got, e.exact[i], margin)
}

// TestHonestResultsAreWithin holds float32 to the budgets of the strictest profile, against an oracle that shares no code with any backend,
// and changes each result in one element by 2^-9 of the largest: nothing of that size is rounding.
func TestHonestResultsAreWithin(t *testing.T) {
	outputs, ill := 0, 0
	for _, c := range backendtest.Cases() {
		e := evaluate(t, c)
		if e == nil {
			continue
		}
		for i, o := range e.honest {
			j := e.judge(i, o.Tensor)
			if _, selects := e.node.Op.(graph.SelectDetections); selects && !j.Within() {
				if err := strictest().CheckSelection(e.node.Op.(graph.SelectDetections), e.in, e.honest[0].Tensor, e.honest[1].Tensor); err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
				continue
			}
			if !j.Within() {
				t.Errorf("%s, output %d: %d elements beyond their budget, the worst %.3g times: %g, want %g", c.Name, i, j.Beyond, j.Ratio, j.Got, j.Want)
			}
			at := disturb(o.Tensor)
			if at < 0 {
				continue
			}
			outputs++
			switch within := e.judge(i, o.Tensor).Within(); {
			case within && loose(e.exact[i], at):
				ill++
			case within:
				t.Errorf("%s, output %d: element %d is disturbed, and within its budget", c.Name, i, at)
			}
		}
	}
	if ill > outputs/50 {
		t.Errorf("%d of %d outputs have a budget that hides 9 bits", ill, outputs)
	}
}

// disturb changes the largest element by 2^-9 of it and returns its index, -1 where there is none.
func disturb(x *tensor.Tensor) int {
	if x.Len() == 0 {
		return -1
	}
	switch x.DType() {
	case tensor.Float32:
		data := tensor.Data[float32](x)
		at := 0
		for i, v := range data {
			if math.Abs(float64(v)) > math.Abs(float64(data[at])) {
				at = i
			}
		}
		data[at] += data[at]*0x1p-9 + math.SmallestNonzeroFloat32*0x1p30
		return at
	case tensor.Int64:
		tensor.Data[int64](x)[0]++
	case tensor.Bool:
		tensor.Data[bool](x)[0] = !tensor.Data[bool](x)[0]
	}
	return 0
}

// loose tells whether an honest element may be off by the disturbance: at the edge of a box, beyond the range of a format, far from zero
// beside its variance, or where the limit of a decay is rounded.
func loose(v budget.Value, at int) bool {
	if math.IsInf(v.Float64s()[at], 0) {
		return true
	}
	return v.Spread != nil && !(v.Spread[at] < 0x1p-12*math.Abs(v.Float64s()[at]))
}

// TestSpreadsPropagate disturbs operands by their spreads: what float64 makes of it stays within the budget that the spreads give. Every
// element is off by one spread, up or down, and a sum of many reaches the quadratic sum of them and not their sum.
func TestSpreadsPropagate(t *testing.T) {
	for _, c := range backendtest.Cases() {
		e := evaluate(t, c)
		if e == nil || len(e.in) == 0 || e.in[0].Tensor == nil || !e.in[0].DType().IsFloat() || e.in[0].Len() == 0 {
			continue
		}
		if _, params := e.node.Op.(graph.TileSSMScan); params {
			continue // the tokens of its cases are not finite
		}
		disturbed := slices.Clone(e.in)
		moved := e.in[0].Tensor.Clone()
		spread := make([]float64, moved.Len())
		for i, v := range tensor.Data[float64](moved) {
			spread[i] = 1e-4 * (math.Abs(v) + 0.01)
			tensor.Data[float64](moved)[i] += spread[i] * float64(1-2*int(uint32(i)*2654435761>>31))
		}
		disturbed[0].Spread = spread
		bounds := strictest()
		bounds.Factor = budget.Factors["balanced"] // of ten thousand sums, one is 4 spreads off
		bounded, err := bounds.Node(t.Context(), e.node, disturbed, tensors(e.exact))
		if err != nil {
			t.Fatal(err)
		}
		operands := tensors(e.in)
		operands[0] = moved
		out, err := backendtest.Evaluate(e.node, operands)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range out {
			if !o.DType().IsFloat() {
				continue
			}
			if j := bounds.Judge(o, bounded[i], budget.Margin{}); !j.Within() {
				t.Errorf("%s, output %d: %d of %d elements beyond their budget, the worst %.3g times: %g, want %g ± %g", c.Name, i, j.Beyond, j.Elements, j.Ratio, j.Got, j.Want, j.Allowed)
			}
		}
	}
}

func tensors(values []budget.Value) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(values))
	for i, v := range values {
		out[i] = v.Tensor
	}
	return out
}
