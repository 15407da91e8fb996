package kernel

// stripPanels is the number of panels that are packed together. Their input rows are then read in long runs, while the panels stay in
// the L2 cache.
const stripPanels = 8

// packPanels writes the panels [c0..c1, taps][lanes] of the output pixels p0 to p1 of a sample, one panel after the other.
func (c *Conv[T]) packPanels(panels, x []T, c0, c1, p0, p1 int) {
	if c.spread > 0 {
		c.packVector(panels, x, c0, c1, p0, p1)
		return
	}
	for p := p0; p < p1; p += c.lanes {
		c.packPanel(panels[(p-p0)*(c1-c0)*c.taps:], x, c0, c1, p, min(c.lanes, p1-p))
	}
}

// packPanel writes the panel of the pixels p to p+valid: panel[(c, ky, kx)][l] is the input of channel c that tap (ky, kx) of pixel p+l
// reads, or 0 in the padding and in lanes that are not valid.
func (c *Conv[T]) packPanel(panel, x []T, c0, c1, p, valid int) {
	tap := 0
	for ky := range c.shape.KH {
		for kx := range c.shape.KW {
			c.packTap(panel[tap*c.lanes:], x, c0, c1, p, valid, ky, kx)
			tap++
		}
	}
}

func (c *Conv[T]) packTap(panel, x []T, c0, c1, p, valid, ky, kx int) {
	var index [maxLanes]int32
	from := index[:c.lanes]
	c.tapIndex(from, p, valid, ky, kx)
	plane, step := c.shape.InH*c.shape.InW, c.taps*c.lanes
	for ch := c0; ch < c1; ch++ {
		src, dst := x[ch*plane:(ch+1)*plane], panel[(ch-c0)*step:][:len(from)]
		for l, i := range from {
			if i >= 0 {
				dst[l] = src[i]
			} else {
				dst[l] = 0
			}
		}
	}
}

// tapIndex writes for each lane where in an input plane tap (ky, kx) of the output pixel p+lane reads, or -1 for padding.
func (c *Conv[T]) tapIndex(from []int32, p, valid, ky, kx int) {
	s := &c.shape
	oy, ox := p/c.outW, p%c.outW
	for l := range from {
		iy, ix := oy*s.StrideH-s.PadT+ky, ox*s.StrideW-s.PadL+kx
		from[l] = -1
		if l < valid && iy >= 0 && iy < s.InH && ix >= 0 && ix < s.InW {
			from[l] = int32(iy*s.InW + ix)
		}
		if ox++; ox == c.outW {
			oy, ox = oy+1, 0
		}
	}
}
