package reference

import (
	"unsafe"

	"github.com/apex-x/apexx/backends/tensor"
)

// arenaAlign is the alignment of values in bytes: a cache line, and the widest vector register.
const arenaAlign = 64

// place finds memory for every value of the lowered program: for inputs, the outputs of steps, and scratch.
func (c *compiler) place() {
	last := c.lifetimes()
	for i, s := range c.steps {
		for _, p := range s.inPlace {
			share(p, i, s, last)
		}
	}
	arenas := map[tensor.DType][]*slot{}
	add := func(v *value, first, end int) {
		if v.base == nil && !v.constant {
			b := &block{size: v.len(), first: first, last: end}
			arenas[v.dtype] = append(arenas[v.dtype], &slot{b, v})
		}
	}
	for _, v := range c.inputs {
		add(v, -1, last[v])
	}
	for i, s := range c.steps {
		for _, v := range s.node.out {
			add(v, i, last[v])
		}
		for _, v := range s.scratch {
			add(v, i, i)
		}
	}
	for dtype, slots := range arenas {
		c.arena += allocate(dtype, slots)
	}
	c.resolveViews()
}

// lifetimes returns for each owner of memory the last step that needs it; outputs are needed after the last step.
func (c *compiler) lifetimes() map[*value]int {
	last := map[*value]int{}
	extend := func(v *value, step int) {
		owner, _ := v.root()
		last[owner] = max(last[owner], step)
	}
	for _, v := range c.inputs {
		extend(v, -1)
	}
	for i, s := range c.steps {
		for _, v := range s.node.in {
			if v != nil {
				extend(v, i)
			}
		}
		for _, v := range s.node.out {
			extend(v, i)
		}
	}
	for _, o := range c.outputs {
		extend(o.value, len(c.steps))
	}
	return last
}

// share lays the output of step i into the memory of an operand that no later step needs, if the operand fills that memory
// and the step reads it in no other way.
func share(p alias, i int, s *step, last map[*value]int) {
	owner, _ := p.in.root()
	if p.out.base != nil || owner.constant || last[owner] != i || owner.dtype != p.out.dtype || owner.len() != p.out.len() {
		return
	}
	for _, v := range s.node.in {
		if v == nil {
			continue
		}
		if o, _ := v.root(); o == owner && v.len() != owner.len() {
			return
		}
	}
	for _, v := range s.node.out {
		if o, _ := v.root(); o == owner {
			return
		}
	}
	p.out.viewOf(owner, 0)
	last[owner] = last[p.out]
}

// A slot ties a block of the planner to its value.
type slot struct {
	*block
	value *value
}

// allocate plans and makes the arena of one element type and gives the values their slices. It returns the arena's bytes.
func allocate(dtype tensor.DType, slots []*slot) int64 {
	blocks := make([]*block, len(slots))
	for i, s := range slots {
		blocks[i] = s.block
	}
	size := place(blocks, arenaAlign/dtype.Size())
	switch dtype {
	case tensor.Float32:
		carve[float32](slots, size)
	case tensor.Float64:
		carve[float64](slots, size)
	case tensor.Int32:
		carve[int32](slots, size)
	case tensor.Int64:
		carve[int64](slots, size)
	case tensor.Bool:
		carve[bool](slots, size)
	}
	return int64(size * dtype.Size())
}

func carve[E tensor.Element](slots []*slot, size int) {
	arena := alignedSlice[E](size)
	for _, s := range slots {
		n := s.value.len()
		s.value.data = tensor.Must(tensor.Of(arena[s.offset:s.offset+n:s.offset+n], s.value.shape...))
	}
}

// alignedSlice returns size elements whose first one lies at a multiple of arenaAlign.
func alignedSlice[E tensor.Element](size int) []E {
	var e E
	width := int(unsafe.Sizeof(e))
	extra := arenaAlign / width
	s := make([]E, size+extra)
	skip := 0
	if r := int(uintptr(unsafe.Pointer(&s[0])) % arenaAlign); r != 0 {
		skip = (arenaAlign - r) / width
	}
	return s[skip : skip+size]
}

// resolveViews gives the values that lie in the memory of others their slices.
func (c *compiler) resolveViews() {
	for _, n := range c.nodes {
		for _, v := range n.out {
			if v.base == nil {
				continue
			}
			owner, off := v.root()
			v.data = window(owner.data, off, v.shape)
		}
	}
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

// bytesOf returns the size of a value in bytes.
func bytesOf(v *value) int64 { return int64(v.len() * v.dtype.Size()) }
