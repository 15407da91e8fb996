package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// normalised is the common part of the two normalisations: it produces x, the tensor to normalise, with its statistics.
type normalised[T tensor.Float] struct {
	norm        normOp
	conv        *kernel.Conv[T] // nil when x is an input of the node
	stats       *kernel.Stats
	x           *value // where the values to normalise lie
	scale, bias *value
	rest        []*value // inputs after scale and bias
	scratch     *value
}

// newNormalised reads the inputs of a node and plans its statistics. A convolution writes to the value that target returns
// for its number of channels.
func newNormalised[T tensor.Float](c *compiler, s *step, norm normOp, target func(shape []int) *value) (*normalised[T], error) {
	n := &normalised[T]{norm: norm, x: s.node.in[0]}
	rest := s.node.in[1:]
	if norm.conv != nil {
		var err error
		if n.conv, err = newConv[T](c, *norm.conv, n.x, s.node.in[1], s.node.in[2]); err != nil {
			return nil, err
		}
		shape := n.conv.Shape()
		n.x = target([]int{shape.Batch, shape.OutC, shape.OutH(), shape.OutW()})
		n.scratch = s.addScratch(c.float, n.conv.ScratchLen(c.pool.Threads()))
		rest = s.node.in[3:]
	}
	n.scale, n.bias, n.rest = rest[0], rest[1], rest[2:]
	channels, spatial := n.x.shape[1], 1
	for _, d := range n.x.shape[2:] {
		spatial *= d
	}
	n.stats = kernel.NewStats(n.x.shape[0], norm.Groups, channels, spatial)
	const block, moments = 256, 2 * 8 // as package kernel keeps them
	c.held += int64(n.x.shape[0] * channels * ((spatial + block - 1) / block) * moments)
	return n, nil
}

// bind returns a function that fills x and its statistics.
func (n *normalised[T]) bind(c *compiler, s *step) func() {
	x := elements[T](n.x)
	if n.conv == nil {
		return func() {
			kernel.Moments(c.pool, x, n.stats)
			n.stats.Finish(n.norm.Epsilon)
		}
	}
	in, scratch := elements[T](s.node.in[0]), elements[T](n.scratch)
	return func() {
		n.conv.Run(c.pool, in, x, scratch, n.stats)
		n.stats.Finish(n.norm.Epsilon)
	}
}

// lowerNorm lowers GroupNormalization, alone or with a convolution before it and SiLU behind it. The convolution writes to
// the output, which is then normalised in place.
func lowerNorm[T tensor.Float](c *compiler, s *step) error {
	norm, ok := s.node.op.(normOp)
	if !ok {
		norm.GroupNormalization = s.node.op.(graph.GroupNormalization)
	}
	y := s.node.out[0]
	n, err := newNormalised[T](c, s, norm, func([]int) *value { return y })
	if err != nil {
		return err
	}
	act := kernel.None
	if norm.silu {
		act = kernel.SiLU
	}
	if n.conv == nil {
		s.allow(s.node.in[0])
	}
	s.bind = func() func() error {
		prepare := n.bind(c, s)
		x, ys, scale, bias := elements[T](n.x), elements[T](y), elements[T](n.scale), elements[T](n.bias)
		return func() error {
			prepare()
			kernel.GroupNormAct(c.pool, x, ys, n.stats, scale, bias, act, c.isa)
			return nil
		}
	}
	return nil
}

// lowerNormGate lowers gateOp. What the convolution writes is twice as large as the output and lives in scratch; the output
// may take the place of the residual.
func lowerNormGate[T tensor.Float](c *compiler, s *step) error {
	op := s.node.op.(gateOp)
	n, err := newNormalised[T](c, s, op.normOp, func(shape []int) *value {
		v := s.addScratch(c.float, 0)
		v.shape = shape
		return v
	})
	if err != nil {
		return err
	}
	residual := n.rest[0]
	if residual != nil {
		s.allow(residual)
	}
	s.bind = func() func() error {
		prepare := n.bind(c, s)
		x, r, y := elements[T](n.x), optional[T](residual), elements[T](s.node.out[0])
		scale, bias := elements[T](n.scale), elements[T](n.bias)
		return func() error {
			prepare()
			kernel.GroupNormReGLU(c.pool, x, r, y, n.stats, scale, bias, c.isa)
			return nil
		}
	}
	return nil
}

// lowerLayerNorm normalises rows of the last axis, with the moments in float64: mean first, then the centred squares.
func lowerLayerNorm[T tensor.Float](c *compiler, s *step) error {
	op, x := s.node.op.(graph.LayerNormalization), s.node.in[0]
	width := x.shape[len(x.shape)-1]
	s.allow(x)
	s.bind = func() func() error {
		xs, scale, bias, ys := elements[T](x), elements[T](s.node.in[1]), elements[T](s.node.in[2]), elements[T](s.node.out[0])
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
