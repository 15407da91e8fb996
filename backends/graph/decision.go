package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/tensor"
)

// A Decision marks a value that holds choices: int64 [B,k], in each row the distinct ids that a sample chose, in their order. Two
// honest executions may choose differently where scores nearly tie; what follows from a choice they must agree on. Under replay
// (WithReplay) decisions are inputs, so that everything after them can be compared.
type Decision struct {
	Value  *Value   // its name is the decision's
	Count  *Value   // int64 [B]: how many ids of a row are valid, those beyond being 0; nil where all are
	Limit  int      // ids are in [0, Limit)
	Scores []*Value // what ranked the candidates; none for an order, which follows from the ids alone
}

// Name returns the name of the decision, which is its value's.
func (d Decision) Name() string { return d.Value.Name }

// values returns the value and, where there is one, the count.
func (d Decision) values() []*Value {
	if d.Count == nil {
		return []*Value{d.Value}
	}
	return []*Value{d.Value, d.Count}
}

// Validate checks types, shapes and the limit.
func (d Decision) Validate() error {
	v := d.Value
	switch {
	case v.DType != tensor.Int64 || len(v.Shape) != 2:
		return fmt.Errorf("decision %q is %v, want int64 of rank 2", v.Name, v.Type)
	case d.Count != nil && d.Count.Type.String() != (Type{tensor.Int64, v.Shape[:1]}).String():
		return fmt.Errorf("decision %q of %v counts in %q, which is %v", v.Name, v.Type, d.Count.Name, d.Count.Type)
	case d.Limit < 1 || d.Count == nil && d.Limit < v.Shape[1]:
		return fmt.Errorf("decision %q of %v has ids below %d", v.Name, v.Type, d.Limit)
	}
	return nil
}

// Check holds what a session under replay is given to what a decision can be: counts in [0, k], valid ids in range and distinct,
// 0 beyond them. ids and count have the types of the decision's values; count is nil where the decision has none.
func (d Decision) Check(ids, count *tensor.Tensor) error {
	k := d.Value.Shape[1]
	for sample := range d.Value.Shape[0] {
		row := tensor.Data[int64](ids)[sample*k : (sample+1)*k]
		valid := int64(k)
		if count != nil {
			valid = tensor.Data[int64](count)[sample]
		}
		if err := d.checkRow(row, valid); err != nil {
			return fmt.Errorf("decision %q, sample %d: %w", d.Name(), sample, err)
		}
	}
	return nil
}

func (d Decision) checkRow(row []int64, valid int64) error {
	if valid < 0 || valid > int64(len(row)) {
		return fmt.Errorf("the count %d is outside [0, %d]", valid, len(row))
	}
	for i, id := range row {
		if i >= int(valid) && id != 0 {
			return fmt.Errorf("the id %d at %d is beyond the count %d, where ids are 0", id, i, valid)
		}
		if id < 0 || id >= int64(d.Limit) {
			return fmt.Errorf("the id %d at %d is outside [0, %d)", id, i, d.Limit)
		}
	}
	sorted := slices.Sorted(slices.Values(row[:valid]))
	for i := range sorted[min(1, len(sorted)):] {
		if sorted[i] == sorted[i+1] {
			return fmt.Errorf("the id %d is listed twice", sorted[i])
		}
	}
	return nil
}

// ReplayInput names the input that gives a decision, or its count, under replay.
func ReplayInput(name string) string { return "replay." + name }

// Replayed returns the decisions that are inputs of g.
func (g *Graph) Replayed() []Decision {
	return slices.DeleteFunc(slices.Clone(g.Decisions), func(d Decision) bool { return !g.hasInput(ReplayInput(d.Name())) })
}

func (g *Graph) hasInput(name string) bool {
	return slices.ContainsFunc(g.Inputs, func(v *Value) bool { return v.Name == name })
}

// FindDecisions returns the decisions of those names, in the order of names. The name "all" stands for every decision.
func (g *Graph) FindDecisions(names []string) ([]Decision, error) {
	if slices.Contains(names, "all") {
		return g.Decisions, nil
	}
	var out []Decision
	for i, name := range names {
		at := slices.IndexFunc(g.Decisions, func(d Decision) bool { return d.Name() == name })
		if at < 0 {
			var known []string
			for _, d := range g.Decisions {
				known = append(known, d.Name())
			}
			return nil, fmt.Errorf("graph %s has no decision %q (it has: %s)", g.Name, name, strings.Join(known, ", "))
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("the decision %q is named twice", name)
		}
		out = append(out, g.Decisions[at])
	}
	return out, nil
}

// WithReplay returns a graph in which the named decisions, and their counts, are inputs called "replay.NAME" after g's own; "all"
// stands for every decision. All values keep their names: where a decision was computed, an Identity passes its input on. What led
// to the decisions stays for taps; WithTaps drops what nothing needs. Constants, inputs and
// metadata are shared with g.
func (g *Graph) WithReplay(names []string) (*Graph, error) {
	chosen, err := g.FindDecisions(names)
	if err != nil || len(chosen) == 0 {
		return g, err
	}
	out := *g
	out.Inputs = slices.Clone(g.Inputs)
	c := cutter{g: g}
	for _, v := range g.Inputs {
		c.Replace(v, v)
	}
	for _, d := range chosen {
		for _, v := range d.values() {
			in := &Value{Name: ReplayInput(v.Name), Type: v.Type}
			if g.hasInput(in.Name) {
				return nil, fmt.Errorf("the decision %q of graph %s is replayed already", d.Name(), g.Name)
			}
			out.Inputs = append(out.Inputs, in)
			c.Replace(v, c.Add(v.Name, Unary{Fn: Identity}, v.Type, in))
		}
	}
	for _, n := range g.Nodes {
		if !slices.ContainsFunc(n.Outputs, func(v *Value) bool { return !c.Replaced(v) }) {
			continue // all of it is given
		}
		if err := c.move(n); err != nil {
			return nil, err
		}
	}
	return c.Graph(&out), nil
}
