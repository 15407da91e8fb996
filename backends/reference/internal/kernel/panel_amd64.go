//go:build amd64 && !purego

package kernel

// vectorPanels prepares the vector copies of input values, and returns the stride of neighbouring lanes in the input, or 0 if the shape
// does not suit them: with stride 1 the output must be as wide as the input, so that the input address advances with the output
// pixel across rows; with stride 2 a panel must not cross rows.
func (c *Conv[T]) vectorPanels() int {
	s := &c.shape
	if c.isa == Portable || c.taps > maxTaps {
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
	plane, size := c.shape.InH*c.shape.InW, c.masks.size
	switch dst := any(&panels[0]).(type) {
	case *float32:
		packF32(c.spread, c.isa, dst, any(&input[c0*plane]).(*float32), c1-c0, size*plane, size*step, &list[0].from, n)
	case *float64:
		packF64(c.spread, c.isa, dst, any(&input[c0*plane]).(*float64), c1-c0, size*plane, size*step, &list[0].from, n)
	}
}

// The functions are called by name, because what is passed to a function value escapes to the heap.

func packF32(spread int, isa ISA, dst, src *float32, channels, plane, step int, list *int64, entries int) {
	switch {
	case spread == 1 && isa == AVX512:
		packStride1F32AVX512(dst, src, channels, plane, step, list, entries)
	case spread == 1:
		packStride1F32AVX2(dst, src, channels, plane, step, list, entries)
	case isa == AVX512:
		packStride2F32AVX512(dst, src, channels, plane, step, list, entries)
	default:
		packStride2F32AVX2(dst, src, channels, plane, step, list, entries)
	}
}

func packF64(spread int, isa ISA, dst, src *float64, channels, plane, step int, list *int64, entries int) {
	switch {
	case spread == 1 && isa == AVX512:
		packStride1F64AVX512(dst, src, channels, plane, step, list, entries)
	case spread == 1:
		packStride1F64AVX2(dst, src, channels, plane, step, list, entries)
	case isa == AVX512:
		packStride2F64AVX512(dst, src, channels, plane, step, list, entries)
	default:
		packStride2F64AVX2(dst, src, channels, plane, step, list, entries)
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
	area, plane, size := c.outH*c.outW, c.shape.InH*c.shape.InW, c.masks.size
	weight, bias, store := &c.flatWeight[c0*c.taps], &c.flatBias[c0], bitSpan(0, valid)
	switch dst := any(&y[c0*area+p]).(type) {
	case *float32:
		depthwiseF32(c.isa, dst, any(&x[c0*plane]).(*float32), c1-c0, size*plane, size*area, &list[0].from, c.taps, any(weight).(*float32), any(bias).(*float32), store)
	case *float64:
		depthwiseF64(c.isa, dst, any(&x[c0*plane]).(*float64), c1-c0, size*plane, size*area, &list[0].from, c.taps, any(weight).(*float64), any(bias).(*float64), store)
	}
}

func depthwiseF32(isa ISA, dst, src *float32, channels, plane, outPlane int, list *int64, taps int, weight, bias *float32, store uint64) {
	if isa == AVX512 {
		depthwiseF32AVX512(dst, src, channels, plane, outPlane, list, taps, weight, bias, store)
		return
	}
	depthwiseF32AVX2(dst, src, channels, plane, outPlane, list, taps, weight, bias, store)
}

func depthwiseF64(isa ISA, dst, src *float64, channels, plane, outPlane int, list *int64, taps int, weight, bias *float64, store uint64) {
	if isa == AVX512 {
		depthwiseF64AVX512(dst, src, channels, plane, outPlane, list, taps, weight, bias, store)
		return
	}
	depthwiseF64AVX2(dst, src, channels, plane, outPlane, list, taps, weight, bias, store)
}
