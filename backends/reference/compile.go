package reference

import (
	"context"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// settings of a compilation.
type settings struct {
	float     tensor.DType // Float32 or Float64
	rounded   graph.Format // of an emulated precision, to which the graph was lowered
	threads   int          // 0 means GOMAXPROCS
	isa       kernel.ISA
	taps      []string
	stepTimes bool // time every step
	winograd  bool // convolve by Winograd's algorithm where it is faster
	unfused   unfused
}

// unfused says which nodes are not fused to what comes before them.
type unfused struct {
	all   bool
	nodes map[string]bool // by name
}

// but returns the rules, without the chains that are joined at one of the nodes.
func (u unfused) but(rules []lower.Rule) []lower.Rule {
	if len(u.nodes) == 0 {
		return rules
	}
	out := slices.Clone(rules)
	for i, r := range rules {
		out[i].Where = func(m lower.Match) bool {
			joined := slices.ContainsFunc(m.Joints(), func(name string) bool { return u.nodes[name] })
			return !joined && (r.Where == nil || r.Where(m))
		}
	}
	return out
}

// A compiler turns a program into steps.
type compiler struct {
	settings
	lowerings map[string]lowering
	pool      *kernel.Pool
	steps     []*step
	packed    map[packKey]any // a *kernel.Weights or *kernel.WinogradWeights each
	arena     int             // bytes planned for values and workspaces
	held      int             // bytes that steps and constants hold besides
}

// A step executes one node. Its lowering says what the step needs; bind is called once, when every value has memory, and
// returns what each run executes, which must refer to memory alone, not to the program.
type step struct {
	lower.Step
	aside    []*step // of covered nodes, for values that are stored aside
	winograd bool    // its convolution is one by Winograd's algorithm
	bind     func() func() error
}

func newStep(n *lower.Node) *step { return &step{Step: lower.Step{Node: n}} }

// wrap says in which node an error came up.
func wrap(node, op string, err error) error { return fmt.Errorf("node %s (%s): %w", node, op, err) }

// compile runs the pipeline of the package comment.
func compile(ctx context.Context, g *graph.Graph, set settings) (*session, error) {
	p, err := lower.Import(g, set.float, set.taps)
	if err != nil {
		return nil, err
	}
	c := newCompiler(set, kernel.NewPool(set.threads))
	steps, err := c.passes(ctx, p)
	if err != nil {
		c.pool.Close()
		return nil, err
	}
	s := newSession(g, p, c, steps)
	c.steps, c.packed = nil, nil // what the steps run refers to c
	p.Discard()
	return s, nil
}

func newCompiler(set settings, pool *kernel.Pool) *compiler {
	c := &compiler{settings: set, pool: pool, lowerings: operators[float32](), packed: map[packKey]any{}}
	if set.float == tensor.Float64 {
		c.lowerings = operators[float64]()
	}
	return c
}

// passes turns a program into the steps of a session.
func (c *compiler) passes(ctx context.Context, p *lower.Program) ([]boundStep, error) {
	if err := p.Fold(c.evaluate); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !c.unfused.all {
		p.Fuse(c.unfused.but(rules))
	}
	if err := c.lowerNodes(p); err != nil {
		return nil, err
	}
	c.held += lower.OwnConstants(p, c.plannedSteps())
	return c.place(p), nil
}

// evaluate computes a program of constants.
func (c *compiler) evaluate(p *lower.Program) error {
	sub := newCompiler(c.settings, c.pool)
	if err := sub.lowerNodes(p); err != nil {
		return err
	}
	for _, s := range sub.place(p) {
		if err := s.run(); err != nil {
			return wrap(s.node, s.op, err)
		}
	}
	return nil
}

// lowerNodes makes the steps.
func (c *compiler) lowerNodes(p *lower.Program) error {
	for _, n := range p.Nodes {
		s := newStep(n)
		if err := c.lowerStep(s); err != nil {
			return err
		}
		switch {
		case s.bind == nil: // the outputs are views
		case lower.Empty(n.Out):
			for _, v := range n.Out {
				v.Data = tensor.New(v.DType, v.Shape...)
			}
		default:
			c.steps = append(c.steps, s)
		}
	}
	return nil
}

func (c *compiler) lowerStep(s *step) error {
	lowering, ok := c.lowerings[s.Node.Op.OpType()]
	if !ok {
		return fmt.Errorf("node %s: operator %s is unknown to the reference backend", s.Node.Name, s.Node.Op.OpType())
	}
	if err := lowering(c, s); err != nil {
		return wrap(s.Node.Name, s.Node.Op.OpType(), err)
	}
	return nil
}

// lowerAside lowers those covered nodes of a fused one that compute the values aside from the values in have, which the step has
// anyway.
func (c *compiler) lowerAside(s *step, have ...*lower.Value) error {
	return s.LowerAside(func(n *lower.Node) (*lower.Step, error) {
		part := newStep(n)
		err := c.lowerStep(part)
		if part.bind != nil {
			s.aside = append(s.aside, part)
		}
		return &part.Step, err
	}, have...)
}

// bindAside returns what stores the values aside. A step must run it before its result takes the place of an operand.
func (s *step) bindAside() func() error {
	var runs []func() error
	for _, part := range s.aside {
		runs = append(runs, part.bind())
	}
	return func() error {
		for _, run := range runs {
			if err := run(); err != nil {
				return err
			}
		}
		return nil
	}
}

// parallel returns a run function that calls f(i) for every i in [0, tasks) on the pool.
func (c *compiler) parallel(tasks int, f func(i int)) func() error {
	pool := c.pool
	return func() error {
		pool.Run(tasks, f)
		return nil
	}
}

// taskElements is about how many elements of an element-wise operation make a task.
const taskElements = 16384

// ranges returns a run function that covers [0, n) with calls f(lo, hi) of at most about taskElements/cost items each.
func (c *compiler) ranges(n, cost int, f func(lo, hi int)) func() error {
	size := max(1, taskElements/max(1, cost))
	return c.parallel((n+size-1)/size, func(i int) { f(i*size, min((i+1)*size, n)) })
}
