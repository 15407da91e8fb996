package lower

import "slices"

// Layout is how an executor stores values. The zero value is elements side by side, row-major, at any address.
type Layout struct {
	Align int                // every value begins at a multiple of so many bytes; 0 means 1
	Bytes func(v *Value) int // what a value takes; nil means Value.Bytes
	// Before tells whether a step needs another one to have ended, directly or not, by what the steps compute. Then memory is taken only where
	// that makes no step wait for one that it would not have waited for. Nil: the steps run one after the other.
	Before func(step, other int) bool
}

// An Arena is the memory of all values and workspaces of a program.
type Arena struct {
	Bytes  int
	Values []*Value // those that own memory in it, at Value.Place
	Views  []*Value // those that lie in the memory of others, which may also be constants
}

// Place gives every input, every output of a step and all scratch a place in one arena, such that what is needed at the same time
// does not overlap. Inputs keep theirs for good, so that the steps can run again on what was uploaded once. An output takes the place
// of an operand where its step allows it and the operand dies there.
func (p *Program) Place(steps []*Step, layout Layout) Arena {
	size := layout.Bytes
	if size == nil {
		size = (*Value).Bytes
	}
	life := p.lifetimes(steps)
	for i, s := range steps {
		for _, a := range s.inPlace {
			s.share(a, i, life, size, layout.Before)
		}
	}
	var arena Arena
	var blocks []*block
	add := func(v *Value, first, end int) {
		if v.base == nil && !v.Constant {
			arena.Values = append(arena.Values, v)
			blocks = append(blocks, &block{size: size(v), first: first, last: end, users: life.users[v]})
		}
	}
	for _, v := range p.Inputs {
		add(v, -1, life.last[v])
	}
	for i, s := range steps {
		for _, v := range s.writes() {
			add(v, i, life.last[v])
		}
		for _, v := range s.scratch {
			life.users[v] = []int{i}
			add(v, i, i)
		}
	}
	arena.Views = p.views(steps)
	arena.Bytes = place(blocks, max(1, layout.Align), layout.Before)
	for i, v := range arena.Values {
		v.place = blocks[i].offset
	}
	return arena
}

// lifetimes tells of each owner of memory the last step that needs it, and all of them; inputs and outputs are needed after the last step.
type lifetimes struct {
	last  map[*Value]int
	users map[*Value][]int
}

func (p *Program) lifetimes(steps []*Step) lifetimes {
	life := lifetimes{map[*Value]int{}, map[*Value][]int{}}
	extend := func(v *Value, step int) {
		owner, _ := v.Root()
		life.last[owner] = max(life.last[owner], step)
		if step < len(steps) {
			life.users[owner] = append(life.users[owner], step)
		}
	}
	for _, v := range p.Inputs {
		extend(v, len(steps))
	}
	for i, s := range steps {
		for _, v := range s.Node.In {
			if v != nil {
				extend(v, i)
			}
		}
		for _, v := range s.writes() {
			extend(v, i)
		}
	}
	for _, o := range p.Outputs {
		extend(o.Value, len(steps))
	}
	return life
}

// share lays the output of step i into the memory of an operand that no other step may need still, if the operand fills that memory
// and the step reads it in no other way.
func (s *Step) share(a alias, i int, life lifetimes, size func(*Value) int, before order) {
	owner, _ := a.in.Root()
	if a.out.base != nil || owner.Constant || life.last[owner] != i || owner.DType != a.out.DType || owner.Len() != a.out.Len() || size(owner) != size(a.out) {
		return
	}
	if slices.ContainsFunc(life.users[owner], func(u int) bool { return u != i && !before.holds(u, i) }) {
		return
	}
	for _, v := range s.Node.In {
		if v == nil {
			continue
		}
		if o, _ := v.Root(); o == owner && v.Len() != owner.Len() {
			return
		}
	}
	for _, v := range s.writes() {
		if o, _ := v.Root(); o == owner {
			return
		}
	}
	a.out.ViewOf(owner, 0)
	life.last[owner] = life.last[a.out]
	life.users[owner] = append(life.users[owner], life.users[a.out]...)
}

// views lists the values that lie in the memory of others.
func (p *Program) views(steps []*Step) []*Value {
	var list []*Value
	seen := map[*Value]bool{}
	add := func(v *Value) {
		if v.base != nil && !seen[v] {
			seen[v] = true
			list = append(list, v)
		}
	}
	for _, n := range p.Nodes {
		for _, v := range n.Out {
			add(v)
		}
	}
	for _, s := range steps {
		for _, v := range s.between {
			add(v)
		}
	}
	return list
}
