package cuda

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

// settings of a compilation.
type settings struct {
	rounded   graph.Format // of an emulated precision, to which the graph was lowered
	taps      []string
	stepTimes bool    // time every step
	tuning    *tuning // chooses launch configurations; nil: a rule does
	unfused   bool    // leave the nodes as they are: for tests, which compare both ways
}

// A compiler turns a program into steps.
type compiler struct {
	settings
	device     Device
	properties kernels.Device
	steps      []*step
	network
	hosted map[*lower.Node]bool // nodes without a step of their own that are part of one
	partOf map[string]int       // the part of a node of a graph that was taken apart, from 1 on
}

func newCompiler(set settings, d Device) *compiler {
	return &compiler{settings: set, device: d, properties: d.Properties(), network: newNetwork(), hosted: map[*lower.Node]bool{}}
}

// A step executes one node. Its lowering says what the step needs; launches is called once, when every value has its place, and tells
// the kernels that the step runs, one after the other.
type step struct {
	lower.Step
	number   int // its place in the order of execution
	tables   []*lower.Value
	covers   []string // nodes that it computes on the way, besides those of Node
	aside    []*step  // what runs before it: conversions of its operands, and covered nodes whose values are stored aside
	launches func(m *memory) []Launch
	after    func(m *memory) []Launch // what stores its results in another form; or nil
	fault    string                   // what it means that a kernel tells of a fault; "": an index is out of range
}

// wrap says in which node an error came up.
func wrap(node, op string, err error) error { return fmt.Errorf("node %s (%s): %w", node, op, err) }

// reads lists what the launches of the step read.
func (s *step) reads() []*lower.Value {
	list := append([]*lower.Value{}, s.tables...)
	list = append(list, s.Node.In...)
	for _, part := range s.aside {
		list = append(list, part.reads()...)
	}
	return list
}

// table adds a constant of the lowering's own to what the step reads.
func (s *step) table(data *tensor.Tensor) *lower.Value {
	v := &lower.Value{Name: s.Node.Name + " table", DType: data.DType(), Shape: data.Shape(), Constant: true, Data: data}
	s.tables = append(s.tables, v)
	return v
}

// bound returns what the step launches: first what runs before it, since its result may take the place of an operand. A launch of no blocks is
// none.
func (s *step) bound(m *memory) []Launch {
	var list []Launch
	for _, part := range s.aside {
		part.number = s.number
		list = append(list, part.bound(m)...)
	}
	launches := s.launches(m)
	if s.after != nil {
		launches = append(launches, s.after(m)...)
	}
	for _, l := range launches {
		if l.Grid[0]*l.Grid[1]*l.Grid[2] > 0 {
			list = append(list, l)
		}
	}
	return list
}

// compile runs the pipeline of the package comment. The session owns the device, and closes it.
func compile(ctx context.Context, d Device, g *graph.Graph, set settings) (*session, error) {
	s, err := compileOn(ctx, d, g, set)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return s, nil
}

func compileOn(ctx context.Context, d Device, g *graph.Graph, set settings) (*session, error) {
	p, err := lower.Import(g, tensor.Float32, set.taps)
	if err != nil {
		return nil, err
	}
	c := newCompiler(set, d)
	c.partOf = map[string]int{}
	for i, nodes := range g.Parts {
		for _, name := range nodes {
			c.partOf[name] = i + 1
		}
	}
	if err := p.Fold(c.evaluate); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !set.unfused {
		regions.Join(p)
		p.Fuse(rulesOf(set.rounded))
		c.useTensorCores(p)
		c.useMaps(p)
		c.mergeLaunches(p)
	}
	orderByLevel(p)
	if err := c.lowerNodes(p); err != nil {
		return nil, err
	}
	return newSession(g, p, c)
}

// evaluate computes a program of constants on the device.
func (c *compiler) evaluate(p *lower.Program) error {
	sub := newCompiler(settings{rounded: c.rounded}, c.device)
	if err := sub.lowerNodes(p); err != nil {
		return err
	}
	run, err := newExecution(c.device, p, sub)
	if err != nil {
		return err
	}
	if err := run.execute(); err != nil {
		return errors.Join(err, run.close())
	}
	for _, o := range p.Outputs {
		o.Value.Data = tensor.New(o.Value.DType, o.Value.Shape...)
		if err := c.device.Read(tensor.Bytes(o.Value.Data), run.memory.at(o.Value)); err != nil {
			return errors.Join(err, run.close())
		}
	}
	return run.close()
}

// lowerNodes makes the steps.
func (c *compiler) lowerNodes(p *lower.Program) error {
	p.SetNodes(slices.DeleteFunc(slices.Clone(p.Nodes), func(n *lower.Node) bool { return n.Op == opMap })) // hosted by their readers
	for _, n := range p.Nodes {
		s := &step{Step: lower.Step{Node: n}, number: len(c.steps)}
		if !lower.Empty(n.Out) {
			if err := c.host(s); err != nil {
				return err
			}
			if err := c.lowerStep(s); err != nil {
				return err
			}
		}
		if s.launches != nil { // else the outputs are views, or have no elements
			c.steps = append(c.steps, s)
		}
	}
	return nil
}

// host makes those nodes a part of a step that it is the first to read and that have none of their own: conversions, and what all readers
// compute themselves.
func (c *compiler) host(s *step) error {
	take := func(n *lower.Node) error {
		if c.hosted[n] {
			return nil
		}
		c.hosted[n] = true
		if n.Op != opMap {
			s.covers = append(s.covers, n.Covers()...)
		}
		if len(n.Out) == 0 {
			return nil
		}
		part := &step{Step: lower.Step{Node: n}}
		if err := c.lowerStep(part); err != nil {
			return err
		}
		s.Include(&part.Step)
		s.aside = append(s.aside, part)
		s.Node.In, s.Node.Out = append(s.Node.In, n.In...), append(s.Node.Out, n.Out...)
		return nil
	}
	for _, member := range c.members(s.Node) {
		for _, n := range c.through[member] {
			if err := take(n); err != nil {
				return err
			}
		}
	}
	for _, v := range slices.Clone(s.Node.In) {
		if v != nil && v.Producer != nil && v.Producer.Op == opMap {
			if err := take(v.Producer); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *compiler) lowerStep(s *step) error {
	lowering, ok := operators[s.Node.Op.OpType()]
	if !ok {
		return fmt.Errorf("node %s: operator %s is unknown to the backend %s", s.Node.Name, s.Node.Op.OpType(), Name)
	}
	if err := lowering(c, s); err != nil {
		return wrap(s.Node.Name, s.Node.Op.OpType(), err)
	}
	return nil
}

// lowerAside lowers those covered nodes of a fused one that compute the values aside, but for those in have, which the step itself stores. They
// run before the step, which computes what it computes without them.
func (c *compiler) lowerAside(s *step, have ...*lower.Value) error {
	return s.LowerAside(func(n *lower.Node) (*lower.Step, error) {
		part := &step{Step: lower.Step{Node: n}}
		err := c.lowerStep(part)
		if part.launches != nil {
			s.aside = append(s.aside, part)
		}
		return &part.Step, err
	}, have...)
}

func (c *compiler) plannedSteps() []*lower.Step {
	var list []*lower.Step
	for _, s := range c.steps {
		list = append(list, &s.Step)
	}
	return list
}
