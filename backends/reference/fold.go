package reference

// fold computes the nodes whose inputs are all constants, once, in the session's precision, and makes their outputs
// constants. They run as a program of their own through the same steps as everything else.
func (c *compiler) fold() error {
	constant := &program{}
	var rest []*node
	known := map[*value]bool{}
	for _, n := range c.nodes {
		if !allConstant(n.in, known) {
			rest = append(rest, n)
			continue
		}
		constant.nodes = append(constant.nodes, n)
		for _, v := range n.out {
			known[v] = true
		}
	}
	if len(constant.nodes) == 0 {
		return nil
	}
	results := foldedResults(rest, c.outputs, known)
	for _, v := range results {
		constant.outputs = append(constant.outputs, port{v.name, v})
	}
	if err := c.evaluate(constant); err != nil {
		return err
	}
	for _, v := range results {
		v.data = v.data.Clone() // the arena of the small program is dropped
		v.constant, v.producer, v.base = true, nil, nil
		c.held += bytesOf(v)
	}
	c.nodes = rest
	return nil
}

func allConstant(in []*value, known map[*value]bool) bool {
	for _, v := range in {
		if v != nil && !v.constant && !known[v] {
			return false
		}
	}
	return true
}

// foldedResults lists, each once, the known values that the rest of the program reads or returns.
func foldedResults(rest []*node, outputs []port, known map[*value]bool) []*value {
	var list []*value
	add := func(v *value) {
		if known[v] {
			known[v] = false
			list = append(list, v)
		}
	}
	for _, n := range rest {
		for _, v := range n.in {
			add(v)
		}
	}
	for _, o := range outputs {
		add(o.value)
	}
	return list
}

// evaluate lowers, places and runs a program of constants.
func (c *compiler) evaluate(p *program) error {
	sub := &compiler{program: p, settings: c.settings, pool: c.pool}
	p.dropDead()
	if err := sub.finish(); err != nil {
		return err
	}
	for _, s := range sub.steps {
		if err := s.run(); err != nil {
			return s.wrap(err)
		}
	}
	return nil
}
