package reference

import (
	"context"
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// settings of a compilation.
type settings struct {
	float   tensor.DType // Float32 or Float64
	threads int          // 0 means GOMAXPROCS
	isa     kernel.ISA
	unfused bool // leave the nodes as they are: for tests, which compare both ways
}

// A compiler turns a program into steps. The passes are its methods.
type compiler struct {
	*program
	settings
	pool  *kernel.Pool
	steps []*step
	arena int64 // bytes planned for values and scratch
	held  int64 // bytes that steps and folded constants hold besides
}

// A step executes one node. Its lowering says what the step needs; bind is called once, when every value has memory, and
// returns what each run executes.
type step struct {
	node    *node
	scratch []*value
	inPlace []alias
	bind    func() func() error
	run     func() error
}

// An alias allows out to take the memory of in: the step writes an element only after its last read of that element.
type alias struct{ out, in *value }

func (s *step) wrap(err error) error {
	return fmt.Errorf("node %s (%s): %w", s.node.name, s.node.op.OpType(), err)
}

// compile runs the pipeline of the package comment on a graph whose outputs are all wanted.
func compile(ctx context.Context, g *graph.Graph, set settings) (*session, error) {
	p, err := importGraph(g, set.float)
	if err != nil {
		return nil, err
	}
	c := &compiler{program: p, settings: set, pool: kernel.NewPool(set.threads)}
	if err := c.passes(ctx); err != nil {
		c.pool.Close()
		return nil, err
	}
	return newSession(g, c), nil
}

func (c *compiler) passes(ctx context.Context) error {
	c.dropDead()
	if err := c.fold(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !c.unfused {
		c.fuse()
	}
	return c.finish()
}

// finish lowers the nodes, places the values and binds the steps.
func (c *compiler) finish() error {
	table := operators[float32]()
	if c.float == tensor.Float64 {
		table = operators[float64]()
	}
	for _, n := range c.nodes {
		lower, ok := table[n.op.OpType()]
		if !ok {
			return fmt.Errorf("node %s: operator %s is unknown to the reference backend", n.name, n.op.OpType())
		}
		s := &step{node: n}
		if err := lower(c, s); err != nil {
			return s.wrap(err)
		}
		switch {
		case s.bind == nil: // the outputs are views
		case empty(n.out):
			for _, v := range n.out {
				v.data = tensor.New(v.dtype, v.shape...)
			}
		default:
			c.steps = append(c.steps, s)
		}
	}
	c.place()
	for _, s := range c.steps {
		s.run = s.bind()
		s.bind = nil
	}
	for _, s := range c.steps { // a step keeps slices alone, so that weights that were packed can be freed
		s.node.in, s.node.out, s.scratch, s.inPlace = nil, nil, nil, nil
	}
	return nil
}

func empty(out []*value) bool {
	for _, v := range out {
		if v.len() > 0 {
			return false
		}
	}
	return true
}

// addScratch asks for n elements that live during the step alone.
func (s *step) addScratch(dtype tensor.DType, n int) *value {
	v := &value{name: s.node.name + " scratch", dtype: dtype, shape: []int{n}}
	s.scratch = append(s.scratch, v)
	return v
}

// allow permits the only output to take the place of an input.
func (s *step) allow(in *value) { s.inPlace = append(s.inPlace, alias{s.node.out[0], in}) }

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
