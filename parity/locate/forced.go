package locate

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// chunkElements bounds the elements of all values of the parts that one session computes: in float64 they take 256 MiB.
const chunkElements = 32 << 20

// feed computes every unit on the candidate from the teacher's values, in as many sessions as memory asks for.
func (t *trace) feed() error {
	return t.pass("candidate, step by step", func() error {
		t.got = map[string]*tensor.Tensor{}
		for rest := t.units; len(rest) > 0; {
			chunk := chunkOf(rest)
			rest = rest[len(chunk):]
			forced, err := t.forced(chunk)
			if err != nil {
				return err
			}
			for _, n := range forced {
				t.got[n.Name] = n.Tensor
			}
		}
		return nil
	})
}

// force holds what both sides computed to float64 and to the budgets, in as many sessions as memory asks for.
func (t *trace) force() error {
	t.spreads = map[*graph.Value][]float32{}
	var oracle, budgets Pass
	for rest := t.units; len(rest) > 0; {
		chunk := chunkOf(rest)
		rest = rest[len(chunk):]
		var exact tensor.List
		err := timed(&oracle, func() (err error) { exact, err = t.exactly(chunk); return err })
		if err == nil {
			err = timed(&budgets, func() error { return t.judge(chunk, exact) })
		}
		if err != nil {
			return err
		}
	}
	t.got = nil
	oracle.Name, budgets.Name = "float64, step by step", "error budgets"
	for _, p := range []Pass{oracle, budgets} {
		t.ended(p)
	}
	return nil
}

// timed adds the time of a part to a pass.
func timed(to *Pass, run func() error) error {
	start := time.Now()
	err := run()
	to.Time += time.Since(start)
	return err
}

// chunkOf takes units from the front, at least one, and no more than their values' elements allow.
func chunkOf(units []*unitTrace) []*unitTrace {
	elements := 0
	for i, u := range units {
		for _, n := range u.Nodes {
			for _, v := range n.Outputs {
				elements += v.Len()
			}
		}
		for _, v := range u.Inputs {
			elements += v.Len()
		}
		if i > 0 && elements > chunkElements {
			return units[:i]
		}
	}
	return units
}

// parts takes units apart, with what is wanted of each, and lists what the session is given: the teacher's values. A value
// that is not finite, which no session takes, is given as zeros, and its readers are marked.
func (t *trace) parts(chunk []*unitTrace, wanted func(*unitTrace) []*graph.Value) (*graph.Graph, tensor.List, error) {
	list := make([]graph.Part, len(chunk))
	for i, u := range chunk {
		list[i] = graph.Part{Nodes: u.Nodes, Outputs: wanted(u)}
		for _, v := range u.Inputs {
			if at := t.teacher[v].NonFinite(); at >= 0 {
				u.step.Skipped = fmt.Sprintf("the reference computed a NaN or infinity at element %d of %s, which it reads", at, v.Name)
			}
		}
	}
	g, err := t.low.Apart(list)
	if err != nil {
		return nil, nil, err
	}
	given := map[string]*graph.Value{}
	for _, u := range chunk {
		for _, v := range u.Inputs {
			given[graph.GivenInput(v.Name)] = v
		}
	}
	var inputs tensor.List
	for _, in := range g.Inputs {
		value := narrow(t.teacher[given[in.Name]])
		if value.NonFinite() >= 0 {
			value = tensor.New(value.DType(), value.Shape()...)
		}
		inputs = append(inputs, tensor.Named{Name: in.Name, Tensor: value})
	}
	return g, inputs, nil
}

// narrow rounds float64 to the float32 of a session's inputs.
func narrow(x *tensor.Tensor) *tensor.Tensor {
	if x.DType() != tensor.Float64 {
		return x
	}
	out := tensor.New(tensor.Float32, x.Shape()...)
	for i, v := range tensor.Data[float64](x) {
		tensor.Data[float32](out)[i] = float32(v)
	}
	return out
}

// computed lists all values of a unit's nodes.
func computed(u *unitTrace) []*graph.Value {
	var list []*graph.Value
	for _, n := range u.Nodes {
		list = append(list, n.Outputs...)
	}
	return list
}

// exactly computes every value of every unit from the teacher's values in float64.
func (t *trace) exactly(chunk []*unitTrace) (tensor.List, error) {
	g, inputs, err := t.parts(chunk, computed)
	if err != nil {
		return nil, err
	}
	out, err := execute(t.ctx, t.spec.Oracle, g, inputs, backends.Options{Precision: backends.FP64, Threads: t.spec.Candidate.Options.Threads})
	if err != nil {
		return nil, fmt.Errorf("float64 oracle: %w", err)
	}
	return out, nil
}

// forced computes every unit on the candidate's backend from the teacher's values, and notes the steps that the plan has no more.
func (t *trace) forced(chunk []*unitTrace) (tensor.List, error) {
	g, inputs, err := t.parts(chunk, func(u *unitTrace) []*graph.Value { return u.Outputs })
	if err != nil {
		return nil, err
	}
	out, plan, err := executePlanned(t.ctx, t.spec.Candidate.Backend, g, inputs, t.spec.Candidate.Options)
	if err != nil {
		return nil, fmt.Errorf("%s, step by step: %w", t.Candidate, err)
	}
	if t.Library == "" {
		for _, u := range chunk {
			if u.Step != nil && !hasStep(plan, u.Step) {
				t.Changed = append(t.Changed, fmt.Sprintf("step %s (%s) is executed otherwise when it is fed by itself", u.Name, u.Op))
			}
		}
	}
	return out, nil
}

// hasStep tells whether a plan has a step of the same nodes that is executed alike.
func hasStep(p backends.Plan, want *backends.Step) bool {
	return slices.ContainsFunc(p.Steps, func(s backends.Step) bool {
		return s.Op == want.Op && s.Level == want.Level && s.Precision == want.Precision && slices.Equal(s.Nodes, want.Nodes)
	})
}

// judge derives the budgets of a chunk and holds both sides to them.
func (t *trace) judge(chunk []*unitTrace, exact tensor.List) error {
	values := byName(exact)
	for _, u := range chunk {
		bounds, err := t.bounds(u, values)
		if err != nil {
			return err
		}
		if u.step.Skipped != "" {
			continue
		}
		if err := t.judgeUnit(u, bounds); err != nil {
			return err
		}
	}
	return nil
}

// judgeUnit holds what both sides computed of a unit to its budgets.
func (t *trace) judgeUnit(u *unitTrace, bounds map[*graph.Value]budget.Value) error {
	u.step.Local, u.step.Reference = Error{}, Error{}
	mine, theirs := t.margin(u), t.referenceMargin(u)
	for _, v := range u.Outputs {
		if err := sameType(t.got[v.Name], v); err != nil {
			return fmt.Errorf("%s, step %s: %w", t.Candidate, u.Name, err)
		}
		t.hold(&u.step.Local, u, v, t.got, bounds[v], mine)
		if t.Reference.Precision != backends.FP64 { // whose inputs were not the teacher's, which are float32
			t.hold(&u.step.Reference, u, v, byValue(t.teacher, u), bounds[v], theirs)
		}
	}
	return nil
}

// hold judges one output. What was selected is held to its rules, where the choice is another one.
func (t *trace) hold(e *Error, u *unitTrace, v *graph.Value, got map[string]*tensor.Tensor, want budget.Value, m budget.Margin) {
	j := t.budget.Judge(got[v.Name], want, m)
	if j.Unknown > 0 && j.Unknown >= j.Elements && e.Unjudged == "" {
		e.Unjudged = v.Name
	}
	if op, is := v.Producer.Op.(graph.SelectDetections); is && j.Beyond > 0 {
		n := v.Producer
		pairs, counts := got[n.Outputs[0].Name], got[n.Outputs[1].Name]
		if pairs != nil && counts != nil {
			in := make([]budget.Value, len(n.Inputs))
			for i, x := range n.Inputs {
				in[i] = budget.Exact(t.teacher[x])
			}
			if err := t.budget.CheckSelection(op, in, pairs, counts); err != nil {
				e.Wrong = err.Error()
			} else {
				j.Unknown, j.Elements, j.Beyond, j.Ratio, j.Worst = j.Beyond, j.Elements-j.Beyond, 0, 0, -1
			}
		}
	}
	e.add(v.Name, j)
}

func byName(list tensor.List) map[string]*tensor.Tensor {
	out := map[string]*tensor.Tensor{}
	for _, n := range list {
		out[n.Name] = n.Tensor
	}
	return out
}

// byValue returns the teacher's values of a unit by name.
func byValue(teacher map[*graph.Value]*tensor.Tensor, u *unitTrace) map[string]*tensor.Tensor {
	out := map[string]*tensor.Tensor{}
	for _, v := range u.Outputs {
		out[v.Name] = teacher[v]
	}
	return out
}

// sameType refuses a value that a session should not have returned.
func sameType(got *tensor.Tensor, want *graph.Value) error {
	switch {
	case got == nil:
		return fmt.Errorf("the session returned no value %q", want.Name)
	case !slices.Equal(got.Shape(), want.Shape) || got.DType() != want.DType && !(got.DType().IsFloat() && want.DType.IsFloat()):
		return fmt.Errorf("the session returned %v as the value %q, want %v", got, want.Name, want.Type)
	}
	return nil
}

// bounds derives the spreads of a unit's values, when it is fed exactly, and keeps those of a free run for the values between units.
func (t *trace) bounds(u *unitTrace, values map[string]*tensor.Tensor) (map[*graph.Value]budget.Value, error) {
	local, whole := t.exactInputs(u), t.exactInputs(u)
	for _, v := range u.Inputs {
		if s := t.spreads[v]; s != nil {
			whole[v] = budget.Value{Tensor: local[v].Tensor, Spread: widened(s)}
		}
	}
	var both sync.WaitGroup
	var errs [2]error
	for i, of := range []map[*graph.Value]budget.Value{local, whole} {
		both.Go(func() { errs[i] = t.spread(u, values, of) })
	}
	both.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	tile := max(t.margin(u).Tile, t.referenceMargin(u).Tile)
	for _, v := range u.Outputs {
		if s := whole[v].Tiled(tile).Spread; s != nil {
			t.spreads[v] = narrowed(s)
		}
	}
	return local, nil
}

// exactInputs are what a unit reads, when it is fed exactly.
func (t *trace) exactInputs(u *unitTrace) map[*graph.Value]budget.Value {
	in := map[*graph.Value]budget.Value{}
	for _, v := range u.Inputs {
		in[v] = budget.Exact(t.teacher[v])
	}
	return in
}

// spread derives the spreads of a unit's values, node by node, from those of what it reads. What other nodes of the unit read of a declared rounding
// strays by budget.Together more than the rounding itself, which is held to its own spread where the unit returns it.
func (t *trace) spread(u *unitTrace, exact map[string]*tensor.Tensor, values map[*graph.Value]budget.Value) error {
	own := map[*graph.Value]budget.Value{}
	defer func() { maps.Copy(values, own) }()
	for _, n := range u.Nodes {
		var out []*tensor.Tensor
		for _, v := range n.Outputs {
			out = append(out, exact[v.Name])
		}
		bounded, err := t.budget.Node(t.ctx, n, t.operands(n, values), out)
		if err != nil {
			return err
		}
		for i, v := range n.Outputs {
			values[v] = bounded[i]
			if _, is := n.Op.(graph.Round); is && bounded[i].Spread != nil {
				own[v], values[v] = bounded[i], bounded[i].Times(budget.Together)
			}
		}
	}
	return nil
}

// operands returns the operands of a node. Constants are exact, and so is, to float64, what is computed from them alone: the error of
// that is part of the budget of whoever reads it.
func (t *trace) operands(n *graph.Node, values map[*graph.Value]budget.Value) []budget.Value {
	in := make([]budget.Value, len(n.Inputs))
	for i, v := range n.Inputs {
		switch {
		case v == nil:
		case v.Const != nil:
			in[i] = budget.Exact(v.Const)
		case t.fixed[v] != nil:
			in[i] = relative(t.fixed[v])
		default:
			in[i] = values[v]
		}
	}
	return in
}

// relative gives a value that a session computes from constants, in float32, the spread of a few roundings: 4·u·|v|.
func relative(x *tensor.Tensor) budget.Value {
	v := budget.Exact(x)
	if !x.DType().IsFloat() {
		return v
	}
	v.Spread = make([]float64, x.Len())
	for i, e := range x.Float64s() {
		v.Spread[i] = 4 * budget.Unit * math.Abs(e)
	}
	return v
}

func widened(s []float32) []float64 {
	out := make([]float64, len(s))
	for i, v := range s {
		out[i] = float64(v)
	}
	return out
}

func narrowed(s []float64) []float32 {
	out := make([]float32, len(s))
	for i, v := range s {
		out[i] = float32(v)
	}
	return out
}
