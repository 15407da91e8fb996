package reference

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// packable reports whether weight and bias of a convolution are known when the session is compiled, and not empty.
func packable(n *lower.Node) bool {
	bias := n.Input(2)
	return n.In[1].Constant && n.In[1].Len() > 0 && (bias == nil || bias.Constant)
}

func lowerConv[T tensor.Float](c *compiler, s *step) error {
	if !packable(s.Node) {
		lowerPlainConv[T](c, s)
		return nil
	}
	conv, err := newConv[T](c, s, s.Node)
	if err != nil {
		return err
	}
	scratch := s.AddScratch(c.float, conv.ScratchLen(c.pool.Threads()))
	s.bind = func() func() error {
		x, y, tmp := elements[T](s.Node.In[0]), elements[T](s.Node.Out[0]), elements[T](scratch)
		return func() error {
			conv.Run(c.pool, x, y, tmp, nil)
			return nil
		}
	}
	return nil
}

// convolution is what computes a convolution of inputs of one size: *kernel.Conv or *kernel.Winograd.
type convolution[T tensor.Float] interface {
	ScratchLen(threads int) int
	Run(p *kernel.Pool, x, y, scratch []T, stats *kernel.Stats)
}

// newConv prepares a convolution, which is the node of s or one that it covers. Weights that several nodes share are packed once for
// each algorithm.
func newConv[T tensor.Float](c *compiler, s *step, n *lower.Node) (convolution[T], error) {
	op, x, weight, bias := n.Op.(graph.Conv), n.In[0], n.In[1], n.Input(2)
	shape := kernel.ConvShape{
		Batch: x.Shape[0], InC: x.Shape[1], InH: x.Shape[2], InW: x.Shape[3],
		OutC: weight.Shape[0], KH: weight.Shape[2], KW: weight.Shape[3],
		StrideH: op.Strides[0], StrideW: op.Strides[1],
		PadT: op.Pads[0], PadL: op.Pads[1], PadB: op.Pads[2], PadR: op.Pads[3],
		Groups: op.Group,
	}
	s.Pack(weight)
	if bias != nil {
		s.Pack(bias)
	}
	s.winograd = c.winograd && kernel.WinogradSuits(shape)
	key := packKey{weight, bias, op.Group, s.winograd}
	if s.winograd {
		w, err := packOnce(c, key, shape, kernel.NewWinogradWeights[T])
		if err != nil {
			return nil, err
		}
		return w.Conv(shape)
	}
	w, err := packOnce(c, key, shape, kernel.NewWeights[T])
	if err != nil {
		return nil, err
	}
	return w.Conv(shape)
}

// packKey is what the packed form of weights depends on.
type packKey struct {
	weight, bias *lower.Value
	groups       int
	winograd     bool
}

// packOnce returns what pack makes of weights, or what it made of them before.
func packOnce[T tensor.Float, W interface{ Bytes() int }](c *compiler, key packKey, shape kernel.ConvShape,
	pack func(s kernel.ConvShape, weight, bias []T, isa kernel.ISA) (W, error)) (W, error) {
	if w, ok := c.packed[key].(W); ok {
		return w, nil
	}
	w, err := pack(shape, elements[T](key.weight), optional[T](key.bias), c.isa)
	if err != nil {
		return w, err
	}
	c.packed[key] = w
	c.held += w.Bytes()
	return w, nil
}

// lowerPlainConv convolves with weights that are computed in the graph: directly, without packing.
func lowerPlainConv[T tensor.Float](c *compiler, s *step) {
	op, x, weight, y := s.Node.Op.(graph.Conv), s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	s.bind = func() func() error {
		xs, ws, bs, ys := elements[T](x), elements[T](weight), optional[T](s.Node.Input(2)), elements[T](y)
		channels, outC, size := x.Shape[1], y.Shape[1], y.Shape[2]*y.Shape[3]
		plane, depth := x.Shape[2]*x.Shape[3], weight.Shape[1]
		taps := weight.Shape[2] * weight.Shape[3]
		return c.parallel(y.Shape[0]*outC, func(i int) {
			b, m := i/outC, i%outC
			dst := ys[i*size : (i+1)*size]
			clear(dst)
			first := m / (outC / op.Group) * depth
			for ch := range depth {
				src := xs[(b*channels+first+ch)*plane:][:plane]
				correlate(dst, src, ws[(m*depth+ch)*taps:][:taps], x.Shape[2:], weight.Shape[2:], y.Shape[2:], op)
			}
			if bs != nil {
				for p := range dst {
					dst[p] += bs[m]
				}
			}
		})
	}
}

// correlate adds the cross-correlation of one input plane with one kernel to dst.
func correlate[T tensor.Float](dst, src, w []T, in, kernel, out []int, op graph.Conv) {
	for oy := range out[0] {
		for ox := range out[1] {
			sum := dst[oy*out[1]+ox]
			for ky := range kernel[0] {
				iy := oy*op.Strides[0] - op.Pads[0] + ky
				if iy < 0 || iy >= in[0] {
					continue
				}
				for kx := range kernel[1] {
					if ix := ox*op.Strides[1] - op.Pads[1] + kx; ix >= 0 && ix < in[1] {
						sum += w[ky*kernel[1]+kx] * src[iy*in[1]+ix]
					}
				}
			}
			dst[oy*out[1]+ox] = sum
		}
	}
}
