package reference

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// packable reports whether weight and bias of a convolution are known when the session is compiled, and not empty.
func packable(n *node) bool {
	bias := n.input(2)
	return n.in[1].constant && n.in[1].len() > 0 && (bias == nil || bias.constant)
}

func lowerConv[T tensor.Float](c *compiler, s *step) error {
	if !packable(s.node) {
		lowerPlainConv[T](c, s)
		return nil
	}
	conv, err := newConv[T](c, s.node.op.(graph.Conv), s.node.in[0], s.node.in[1], s.node.input(2))
	if err != nil {
		return err
	}
	scratch := s.addScratch(c.float, conv.ScratchLen(c.pool.Threads()))
	s.bind = func() func() error {
		x, y, tmp := elements[T](s.node.in[0]), elements[T](s.node.out[0]), elements[T](scratch)
		return func() error {
			conv.Run(c.pool, x, y, tmp, nil)
			return nil
		}
	}
	return nil
}

// newConv packs a convolution.
func newConv[T tensor.Float](c *compiler, op graph.Conv, x, weight, bias *value) (*kernel.Conv[T], error) {
	shape := kernel.ConvShape{
		Batch: x.shape[0], InC: x.shape[1], InH: x.shape[2], InW: x.shape[3],
		OutC: weight.shape[0], KH: weight.shape[2], KW: weight.shape[3],
		StrideH: op.Strides[0], StrideW: op.Strides[1],
		PadT: op.Pads[0], PadL: op.Pads[1], PadB: op.Pads[2], PadR: op.Pads[3],
		Groups: op.Group,
	}
	c.held += bytesOf(weight)
	return kernel.NewConv(shape, elements[T](weight), optional[T](bias), c.isa)
}

// lowerPlainConv convolves with weights that are computed in the graph: directly, without packing.
func lowerPlainConv[T tensor.Float](c *compiler, s *step) {
	op, x, weight, y := s.node.op.(graph.Conv), s.node.in[0], s.node.in[1], s.node.out[0]
	s.bind = func() func() error {
		xs, ws, bs, ys := elements[T](x), elements[T](weight), optional[T](s.node.input(2)), elements[T](y)
		channels, outC, size := x.shape[1], y.shape[1], y.shape[2]*y.shape[3]
		plane, depth := x.shape[2]*x.shape[3], weight.shape[1]
		taps := weight.shape[2] * weight.shape[3]
		return c.parallel(y.shape[0]*outC, func(i int) {
			b, m := i/outC, i%outC
			dst := ys[i*size : (i+1)*size]
			clear(dst)
			first := m / (outC / op.Group) * depth
			for ch := range depth {
				src := xs[(b*channels+first+ch)*plane:][:plane]
				correlate(dst, src, ws[(m*depth+ch)*taps:][:taps], x.shape[2:], weight.shape[2:], y.shape[2:], op)
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
