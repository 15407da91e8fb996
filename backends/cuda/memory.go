package cuda

import (
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// alignment of values in bytes: the granule in which a warp reads memory, and the largest that a kernel relies on.
const alignment = 256

// A memory tells steps where their operands lie.
type memory struct {
	arena     Address
	constants Address
	offsets   map[*lower.Value]int // of constants
	fault     Address
	content   []byte                         // of the constants, until flush
	sizes     struct{ arena, constants int } // bytes
}

// at returns the address of a value, 0 for an absent one.
func (m *memory) at(v *lower.Value) Address {
	if v == nil {
		return 0
	}
	owner, off := v.Root()
	if owner.Constant {
		return m.constants + Address(m.offsets[owner]+off*v.DType.Size())
	}
	return m.arena + Address(v.Place())
}

// faultOf returns where the kernels of step i tell of an index out of range.
func (m *memory) faultOf(i int) fault { return fault{word: m.fault, step: int32(i + 1)} }

// newMemory places the values of a lowered program. The word for faults belongs to the caller. What the constants hold is not on the device before
// flush.
func newMemory(d Device, p *lower.Program, c *compiler, faultWord Address) (*memory, error) {
	plan := p.Place(c.plannedSteps(), lower.Layout{Align: alignment, Bytes: c.bytes, Before: needs(c.steps)})
	constants := c.constants(p)
	m := &memory{offsets: map[*lower.Value]int{}, fault: faultWord}
	m.sizes.arena = plan.Bytes
	for _, v := range constants {
		m.offsets[v] = m.sizes.constants
		m.sizes.constants += ceilDiv(v.Bytes(), alignment) * alignment
	}
	var err error
	if m.arena, err = d.Alloc(m.sizes.arena); err != nil {
		return nil, err
	}
	if m.constants, err = d.Alloc(m.sizes.constants); err != nil {
		return nil, err
	}
	m.content = make([]byte, m.sizes.constants)
	for _, v := range constants {
		m.fill(v, tensor.Bytes(v.Data))
	}
	return m, nil
}

// fill sets what a constant holds. Steps use it for tables of addresses.
func (m *memory) fill(v *lower.Value, content []byte) { copy(m.content[m.offsets[v]:], content) }

// flush writes the constants to the device.
func (m *memory) flush(d Device) error {
	content := m.content
	m.content = nil
	return d.Write(m.constants, content)
}

// constants lists, each once, the constants that the launches of a program read, its tables, and those that are outputs.
func (c *compiler) constants(p *lower.Program) []*lower.Value {
	var list []*lower.Value
	seen := map[*lower.Value]bool{}
	add := func(v *lower.Value) {
		if v == nil {
			return
		}
		if owner, _ := v.Root(); owner.Constant && !seen[owner] {
			seen[owner] = true
			list = append(list, owner)
		}
	}
	for _, s := range c.steps {
		for _, v := range s.reads() {
			if v != nil && !s.Packs(v) {
				add(v)
			}
		}
	}
	for _, o := range p.Outputs {
		add(o.Value)
	}
	return list
}
