//go:build amd64 && !purego

package kernel

// vectorPanels prepares the vector copies of input values, and returns the stride of neighbouring lanes in the input, or 0 if the shape
// does not suit them: with stride 1 the output must be as wide as the input, so that the input address advances with the output
// pixel across rows; with stride 2 a panel must not cross rows.
func (c *Conv[T]) vectorPanels() int {
	s := &c.shape
	if _, ok := any(c.weight).([]float32); !ok || c.isa == Portable || c.taps > maxTaps {
		return 0
	}
	switch {
	case s.StrideH == 1 && s.StrideW == 1 && c.outW == s.InW:
		return 1
	case s.StrideW == 2 && c.outW%c.lanes == 0:
		return 2
	}
	return 0
}

// packVector is packPanel with vector copies.
func (c *Conv[T]) packVector(panel, input []T, c0, c1, p, valid int) {
	var mask [maxTaps + 1]uint64
	var offset [maxTaps]int64
	plane := c.addresses(&mask, &offset, p, valid)
	dst, x := any(panel).([]float32), any(input).([]float32)
	src := &x[c0*c.shape.InH*c.shape.InW]
	switch {
	case c.spread == 1 && c.isa == AVX512:
		packStride1AVX512(&dst[0], src, c1-c0, plane, c.taps, &offset[0], &mask[0])
	case c.spread == 1:
		packStride1AVX2(&dst[0], src, c1-c0, plane, c.taps, &offset[0], &mask[0])
	case c.isa == AVX512:
		packStride2AVX512(&dst[0], src, c1-c0, plane, c.taps, &offset[0], &mask[0])
	default:
		packStride2AVX2(&dst[0], src, c1-c0, plane, c.taps, &offset[0], &mask[0])
	}
}

// addresses computes the masks of a panel, the offset of each tap of its first pixel from the start of an input plane, and the size of
// a plane, in bytes.
func (c *Conv[T]) addresses(mask *[maxTaps + 1]uint64, offset *[maxTaps]int64, p, valid int) (plane int) {
	oy, ox := c.masks.at(mask, p, valid)
	first := oy*c.shape.StrideH*c.shape.InW + ox*c.shape.StrideW
	for t := range c.taps {
		offset[t] = int64(4 * (first + c.masks.offset[t]))
	}
	return 4 * c.shape.InH * c.shape.InW
}

// depthwiseVector reports whether the vector code for depthwise convolutions suits the shape.
func (c *Conv[T]) depthwiseVector() bool {
	return c.spread == 1 && c.inC == 1 && c.outC == 1
}

// depthwisePixels computes the pixels p to p+valid of the channels [c0, c1) of one sample.
func (c *Conv[T]) depthwisePixels(y, x []T, c0, c1, p, valid int) {
	var mask [maxTaps + 1]uint64
	var offset [maxTaps]int64
	plane := c.addresses(&mask, &offset, p, valid)
	mask[c.taps] = bitSpan(0, valid)
	size := c.outH * c.outW
	dst, src := any(y[c0*size+p:]).([]float32), any(x[c0*c.shape.InH*c.shape.InW:]).([]float32)
	weight, bias := any(c.flatWeight[c0*c.taps:]).([]float32), any(c.flatBias[c0:]).([]float32)
	if c.isa == AVX512 {
		depthwiseAVX512(&dst[0], &src[0], c1-c0, plane, 4*size, c.taps, &offset[0], &mask[0], &weight[0], &bias[0])
		return
	}
	depthwiseAVX2(&dst[0], &src[0], c1-c0, plane, 4*size, c.taps, &offset[0], &mask[0], &weight[0], &bias[0])
}
