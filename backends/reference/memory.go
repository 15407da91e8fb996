package reference

import (
	"unsafe"

	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// arenaAlign is the alignment of values in bytes: a cache line, and the widest vector register.
const arenaAlign = 64

// A boundStep is what a session keeps of a step.
type boundStep struct {
	node, op string
	run      func() error
}

// place makes the arena of a lowered program, gives every value its elements and binds the steps to them.
func (c *compiler) place(p *lower.Program) []boundStep {
	plan := p.Place(c.plannedSteps(), lower.Layout{Align: arenaAlign})
	c.arena = plan.Bytes
	arena := alignedBytes(plan.Bytes)
	for _, v := range plan.Values {
		v.Data = tensor.On(arena[v.Place():][:v.Bytes():v.Bytes()], v.DType, v.Shape...)
	}
	for _, v := range plan.Views {
		owner, off := v.Root()
		v.Data = window(owner.Data, off, v.Shape)
	}
	var bound []boundStep
	for _, s := range c.steps {
		bound = append(bound, boundStep{s.Node.Name, s.Node.Op.OpType(), s.bind()})
	}
	return bound
}

func (c *compiler) plannedSteps() []*lower.Step {
	var list []*lower.Step
	for _, s := range c.steps {
		list = append(list, &s.Step)
	}
	return list
}

// alignedBytes returns size bytes whose first one lies at a multiple of arenaAlign.
func alignedBytes(size int) []byte {
	s := make([]byte, size+arenaAlign)
	skip := -int(uintptr(unsafe.Pointer(&s[0]))) & (arenaAlign - 1)
	return s[skip : skip+size : skip+size]
}

// elements returns the elements of a value that has memory.
func elements[E tensor.Element](v *lower.Value) []E { return tensor.Data[E](v.Data) }

// optional returns the elements, or nil for an absent input.
func optional[E tensor.Element](v *lower.Value) []E {
	if v == nil {
		return nil
	}
	return elements[E](v)
}

// window returns the part of t that starts at element off, with another shape.
func window(t *tensor.Tensor, off int, shape []int) *tensor.Tensor {
	size := t.DType().Size()
	n := 1
	for _, d := range shape {
		n *= d
	}
	return tensor.On(tensor.Bytes(t)[off*size:][:n*size:n*size], t.DType(), shape...)
}
