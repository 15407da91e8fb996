package lower

import (
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// A Step is what an executor needs to know of a node to give it memory. The executor fills it when it lowers the node.
type Step struct {
	Node    *Node
	scratch []*Value
	between []*Value // on the way to values aside
	inPlace []alias
	packed  []*Value
}

// An alias allows out to take the memory of in.
type alias struct{ out, in *Value }

// AddScratch asks for n elements that live during the step alone.
func (s *Step) AddScratch(dtype tensor.DType, n int) *Value {
	v := &Value{Name: s.Node.Name + " scratch", DType: dtype, Shape: []int{n}}
	s.scratch = append(s.scratch, v)
	return v
}

// AddBetween asks for memory for values of covered nodes that the step computes, but nobody else reads: like scratch, except that
// values aside may be views of them.
func (s *Step) AddBetween(values ...*Value) { s.between = append(s.between, values...) }

// Allow permits the node's first output to take the place of an input: the step writes an element only after its last read of that
// element.
func (s *Step) Allow(in *Value) { s.inPlace = append(s.inPlace, alias{s.Node.Out[0], in}) }

// Pack says that the step has a copy of a constant in a form of its own, and does not read the constant when it runs.
func (s *Step) Pack(v *Value) { s.packed = append(s.packed, v) }

// Packs tells whether the step has a copy of v in a form of its own.
func (s *Step) Packs(v *Value) bool { return slices.Contains(s.packed, v) }

// Include takes over the workspace of a step that runs as a part of this one.
func (s *Step) Include(part *Step) {
	s.scratch = append(s.scratch, part.scratch...)
	s.between = append(s.between, part.between...)
	s.packed = append(s.packed, part.packed...)
}

// LowerAside gives the step the workspace of those covered nodes of a fused one that compute the values aside, but for those in have, which the step stores
// itself. one lowers such a node.
func (s *Step) LowerAside(one func(*Node) (*Step, error), have ...*Value) error {
	nodes, between := s.Node.PartsAside(have...)
	s.AddBetween(between...)
	for _, n := range nodes {
		part, err := one(n)
		if err != nil {
			return err
		}
		s.Include(part)
	}
	return nil
}

// Writes tells whether v is an output of the step or a value between.
func (s *Step) Writes(v *Value) bool { return slices.Contains(s.writes(), v) }

// Workspace returns how many bytes the step needs besides its inputs and outputs while it runs.
func (s *Step) Workspace() int {
	n := 0
	for _, v := range slices.Concat(s.scratch, s.between) {
		n += v.Bytes()
	}
	return n
}

// Memory lists everything that the step writes: its outputs, values between, and scratch.
func (s *Step) Memory() []*Value { return slices.Concat(s.writes(), s.scratch) }

// writes lists what the step writes, but for scratch.
func (s *Step) writes() []*Value { return slices.Concat(s.Node.Out, s.between) }

// OwnConstants copies the constants that steps read when they run and that are outputs, and drops the elements of those that every
// step has packed. Then nothing refers to the memory of the graph any more: a scale of a few numbers would otherwise keep the whole
// file of weights that it lies in. It returns the bytes of the copies.
func OwnConstants(p *Program, steps []*Step) int {
	read := map[*Value]bool{}
	for _, o := range p.Outputs {
		owner, _ := o.Value.Root()
		read[owner] = owner.Constant
	}
	for _, s := range steps {
		for _, v := range s.Node.In {
			if v == nil || slices.Contains(s.packed, v) {
				continue
			}
			owner, _ := v.Root()
			read[owner] = read[owner] || owner.Constant
		}
	}
	bytes := 0
	for v := range read {
		if read[v] {
			bytes += v.Bytes()
			if !v.owned {
				v.Data, v.owned = v.Data.Clone(), true
			}
		}
	}
	for _, s := range steps {
		for _, v := range s.packed {
			if !read[v] {
				v.Data = nil
			}
		}
	}
	return bytes
}
