package lower

// Fold computes the nodes whose inputs are all constants and makes their outputs constants. They become a program of their own, which
// evaluate runs on the host: it must leave the elements of each of the program's outputs in Value.Data. Evaluating in the session's
// precision and with the executor's own kernels gives the bits that the executor would compute in every run.
func (p *Program) Fold(evaluate func(constants *Program) error) error {
	sub := &Program{}
	var rest []*Node
	known := map[*Value]bool{}
	for _, n := range p.Nodes {
		if !allConstant(n.In, known) {
			rest = append(rest, n)
			continue
		}
		sub.Nodes = append(sub.Nodes, n)
		p.Folded = append(p.Folded, n.Name)
		for _, v := range n.Out {
			known[v] = true
		}
	}
	if len(sub.Nodes) == 0 {
		return nil
	}
	results := foldedResults(rest, p.Outputs, known)
	for _, v := range results {
		sub.Outputs = append(sub.Outputs, Port{v.Name, v})
	}
	sub.dropDead()
	if err := evaluate(sub); err != nil {
		return err
	}
	for _, v := range results {
		v.Data, v.owned = v.Data.Clone(), true // the memory of the small program is dropped
		v.Constant, v.Producer, v.base = true, nil, nil
	}
	p.Nodes = rest
	return nil
}

func allConstant(in []*Value, known map[*Value]bool) bool {
	for _, v := range in {
		if v != nil && !v.Constant && !known[v] {
			return false
		}
	}
	return true
}

// foldedResults lists, each once, the known values that the rest of the program reads or returns.
func foldedResults(rest []*Node, outputs []Port, known map[*Value]bool) []*Value {
	var list []*Value
	add := func(v *Value) {
		if known[v] {
			known[v] = false
			list = append(list, v)
		}
	}
	for _, n := range rest {
		for _, v := range n.In {
			add(v)
		}
	}
	for _, o := range outputs {
		add(o.Value)
	}
	return list
}
