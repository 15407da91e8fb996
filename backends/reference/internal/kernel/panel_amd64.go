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

// packVector is packPanels with vector copies.
func (c *Conv[T]) packVector(panels, input []T, c0, c1, p0, p1 int) {
	var list [stripPanels * maxTaps]tapCopy
	n, step := 0, c.taps*c.lanes
	for p := p0; p < p1; p += c.lanes {
		c.masks.at(list[n:], p, min(c.lanes, p1-p), (p-p0)*(c1-c0)*c.taps, c.lanes)
		n += c.taps
	}
	plane := c.shape.InH * c.shape.InW
	dst, src := any(panels).([]float32), any(input).([]float32)[c0*plane:]
	switch {
	case c.spread == 1 && c.isa == AVX512:
		packStride1AVX512(&dst[0], &src[0], c1-c0, 4*plane, 4*step, &list[0].from, n)
	case c.spread == 1:
		packStride1AVX2(&dst[0], &src[0], c1-c0, 4*plane, 4*step, &list[0].from, n)
	case c.isa == AVX512:
		packStride2AVX512(&dst[0], &src[0], c1-c0, 4*plane, 4*step, &list[0].from, n)
	default:
		packStride2AVX2(&dst[0], &src[0], c1-c0, 4*plane, 4*step, &list[0].from, n)
	}
}

// depthwiseVector reports whether the vector code for depthwise convolutions suits the shape.
func (c *Conv[T]) depthwiseVector() bool {
	return c.spread == 1 && c.inC == 1 && c.outC == 1
}

// depthwisePixels computes the pixels p to p+valid of the channels [c0, c1) of one sample.
func (c *Conv[T]) depthwisePixels(y, x []T, c0, c1, p, valid int) {
	var list [maxTaps]tapCopy
	c.masks.at(list[:], p, valid, 0, 0)
	size, plane := c.outH*c.outW, c.shape.InH*c.shape.InW
	dst, src := any(y).([]float32)[c0*size+p:], any(x).([]float32)[c0*plane:]
	weight, bias := any(c.flatWeight).([]float32)[c0*c.taps:], any(c.flatBias).([]float32)[c0:]
	if c.isa == AVX512 {
		depthwiseAVX512(&dst[0], &src[0], c1-c0, 4*plane, 4*size, &list[0].from, c.taps, &weight[0], &bias[0], bitSpan(0, valid))
		return
	}
	depthwiseAVX2(&dst[0], &src[0], c1-c0, 4*plane, 4*size, &list[0].from, c.taps, &weight[0], &bias[0], bitSpan(0, valid))
}
