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
		v.Data = within(arena, v)
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

// within returns the elements of a value that lies in the arena.
func within(arena []byte, v *lower.Value) *tensor.Tensor {
	if v.Len() == 0 {
		return tensor.New(v.DType, v.Shape...)
	}
	bytes := arena[v.Place():][:v.Bytes()]
	switch v.DType {
	case tensor.Float32:
		return typed[float32](bytes, v.Shape)
	case tensor.Float64:
		return typed[float64](bytes, v.Shape)
	case tensor.Int32:
		return typed[int32](bytes, v.Shape)
	case tensor.Int64:
		return typed[int64](bytes, v.Shape)
	}
	return typed[bool](bytes, v.Shape)
}

func typed[E tensor.Element](bytes []byte, shape []int) *tensor.Tensor {
	var e E
	n := len(bytes) / int(unsafe.Sizeof(e))
	return tensor.Must(tensor.Of(unsafe.Slice((*E)(unsafe.Pointer(&bytes[0])), n), shape...))
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
	switch t.DType() {
	case tensor.Float32:
		return windowOf[float32](t, off, shape)
	case tensor.Float64:
		return windowOf[float64](t, off, shape)
	case tensor.Int32:
		return windowOf[int32](t, off, shape)
	case tensor.Int64:
		return windowOf[int64](t, off, shape)
	}
	return windowOf[bool](t, off, shape)
}

func windowOf[E tensor.Element](t *tensor.Tensor, off int, shape []int) *tensor.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return tensor.Must(tensor.Of(tensor.Data[E](t)[off:off+n:off+n], shape...))
}
