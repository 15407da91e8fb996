package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// normalised is the common part of the normalisations: it produces x, the tensor to normalise, with its statistics.
type normalised[T tensor.Float] struct {
	epsilon     float64
	conv        convolution[T] // nil when x is an input of the node
	in          *lower.Value   // of the convolution
	stats       *kernel.Stats
	x           *lower.Value // where the values to normalise lie
	scale, bias *lower.Value
	plain       *lower.Value // the normalised values where something aside needs them, else nil
	scratch     *lower.Value
}

// newNormalised reads the operands of a GroupNormalization or of what it was fused into, and plans its statistics. A convolution
// that nobody else reads writes to the value that target returns for its shape.
func newNormalised[T tensor.Float](c *compiler, s *step, target func(shape []int) *lower.Value) (*normalised[T], error) {
	norm, conv := s.Node.Part("norm"), s.Node.Part("conv")
	if norm == nil {
		norm = s.Node
	}
	op := norm.Op.(graph.GroupNormalization)
	n := &normalised[T]{epsilon: op.Epsilon, x: norm.In[0], scale: norm.In[1], bias: norm.In[2]}
	if conv != nil {
		var err error
		if n.conv, err = newConv[T](c, s, conv); err != nil {
			return nil, err
		}
		n.in = conv.In[0]
		if !s.Node.Stores(n.x) {
			n.x = target(n.x.Shape)
		}
		n.scratch = s.AddScratch(c.float, n.conv.ScratchLen(c.pool.Threads()))
	}
	if err := c.lowerAside(s, norm.In[0], norm.Out[0]); err != nil {
		return nil, err
	}
	if v := norm.Out[0]; v != s.Node.Out[0] && s.Writes(v) {
		n.plain = v
	}
	channels, spatial := n.x.Shape[1], 1
	for _, d := range n.x.Shape[2:] {
		spatial *= d
	}
	n.stats = kernel.NewStats(n.x.Shape[0], op.Groups, channels, spatial)
	c.held += n.stats.Bytes()
	return n, nil
}

// bind returns a function that computes x and its statistics, and stores the values aside.
func (n *normalised[T]) bind(c *compiler, s *step) func() error {
	x, scale, bias, plain := elements[T](n.x), elements[T](n.scale), elements[T](n.bias), optional[T](n.plain)
	pool, isa, stats, epsilon := c.pool, c.isa, n.stats, n.epsilon
	compute := func() { kernel.Moments(pool, x, stats) }
	if conv := n.conv; conv != nil {
		in, scratch := elements[T](n.in), elements[T](n.scratch)
		compute = func() { conv.Run(pool, in, x, scratch, stats) }
	}
	aside := s.bindAside()
	return func() error {
		compute()
		stats.Finish(epsilon)
		if plain != nil {
			kernel.GroupNormAct(pool, x, plain, stats, scale, bias, kernel.None, isa)
		}
		return aside()
	}
}

// lowerNorm lowers GroupNormalization, alone or with a convolution before it and SiLU behind it. The convolution writes to
// the output, which is then normalised in place.
func lowerNorm[T tensor.Float](c *compiler, s *step) error {
	y := s.Node.Out[0]
	n, err := newNormalised[T](c, s, func([]int) *lower.Value { return y })
	if err != nil {
		return err
	}
	act := kernel.None
	if s.Node.Part("silu") != nil {
		act = kernel.SiLU
	}
	if n.conv == nil {
		s.Allow(n.x)
	}
	s.bind = func() func() error {
		prepare, stats := n.bind(c, s), n.stats
		x, ys, scale, bias := elements[T](n.x), elements[T](y), elements[T](n.scale), elements[T](n.bias)
		return func() error {
			if err := prepare(); err != nil {
				return err
			}
			kernel.GroupNormAct(c.pool, x, ys, stats, scale, bias, act, c.isa)
			return nil
		}
	}
	return nil
}

// lowerNormGate lowers a normalisation of 2·C channels whose first half is gated with the second: a·max(b, 0) + residual. What the
// convolution writes is twice as large as the output and lives in scratch; the output may take the place of the residual.
func lowerNormGate[T tensor.Float](c *compiler, s *step) error {
	n, err := newNormalised[T](c, s, func(shape []int) *lower.Value {
		v := s.AddScratch(c.float, 0)
		v.Shape = shape
		return v
	})
	if err != nil {
		return err
	}
	residual := regions.Residual(s.Node)
	if residual != nil {
		s.Allow(residual)
	}
	s.bind = func() func() error {
		prepare, stats := n.bind(c, s), n.stats
		x, r, y := elements[T](n.x), optional[T](residual), elements[T](s.Node.Out[0])
		scale, bias := elements[T](n.scale), elements[T](n.bias)
		return func() error {
			if err := prepare(); err != nil {
				return err
			}
			kernel.GroupNormReGLU(c.pool, x, r, y, stats, scale, bias, c.isa)
			return nil
		}
	}
	return nil
}

// lowerLayerNorm normalises rows of the last axis, with the moments in float64: mean first, then the centred squares.
func lowerLayerNorm[T tensor.Float](c *compiler, s *step) error {
	op, x := s.Node.Op.(graph.LayerNormalization), s.Node.In[0]
	width := x.Shape[len(x.Shape)-1]
	s.Allow(x)
	s.bind = func() func() error {
		xs, scale, bias, ys := elements[T](x), elements[T](s.Node.In[1]), elements[T](s.Node.In[2]), elements[T](s.Node.Out[0])
		return c.ranges(len(xs)/max(1, width), width, func(lo, hi int) {
			for r := lo; r < hi; r++ {
				layerNorm(ys[r*width:(r+1)*width], xs[r*width:(r+1)*width], scale, bias, op.Epsilon)
			}
		})
	}
	return nil
}

func layerNorm[T tensor.Float](y, x, scale, bias []T, eps float64) {
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
	}
	mean := sum / float64(len(x))
	for _, v := range x {
		d := float64(v) - mean
		squares += d * d
	}
	inv := 1 / math.Sqrt(squares/float64(len(x))+eps)
	for i, v := range x {
		y[i] = T((float64(v)-mean)*inv*float64(scale[i])) + bias[i]
	}
}
