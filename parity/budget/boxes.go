package budget

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// pyramid reads the dense predictions of SelectDetections and DecodeBoxes: cls, box and quality, level by level.
type pyramid struct {
	in            []Value
	strides       []int
	height, width float64
}

// anchor is a place of the pyramid: a level, the index of a cell in its plane, and that of the sample.
type anchor struct{ level, cell, sample int }

// find returns the anchor and the class of a pair's number.
func (p *pyramid) find(pair, sample int) (a anchor, class int) {
	classes := p.in[0].Shape()[1]
	cell, class := pair/classes, pair%classes
	for l := range p.strides {
		if n := p.cells(l); cell < n {
			return anchor{l, cell, sample}, class
		} else {
			cell -= n
		}
	}
	return anchor{len(p.strides) - 1, 0, sample}, class // ids are in range: SelectDetections and replay see to it
}

func (p *pyramid) cells(level int) int { s := p.in[level].Shape(); return s[2] * s[3] }

// at returns a logit and its spread: kind 0 is cls, 1 box, 2 quality.
func (p *pyramid) at(kind int, a anchor, channel int) (v, spread float64) {
	t := p.in[kind*len(p.strides)+a.level]
	i := (a.sample*t.Shape()[1]+channel)*p.cells(a.level) + a.cell
	return t.floats()[i], t.spread(i)
}

func logistic(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

// score is σ(cls)·σ(quality).
func (p *pyramid) score(a anchor, class int) (v, spread float64) {
	x, s := p.at(0, a, class)
	q, t := p.at(2, a, 0)
	c, k := logistic(x), logistic(q)
	return c * k, root(c*(1-c)*k*s, c*k*(1-k)*t, 2*elementary(c*k))
}

// box decodes one: distances softplus(clamp(logit, -20, 20))·stride from the centre, clamped to the image.
func (p *pyramid) box(a anchor) (box, spread [4]float64) {
	stride, w := float64(p.strides[a.level]), p.in[a.level].Shape()[3]
	cx, cy := (float64(a.cell%w)+0.5)*stride, (float64(a.cell/w)+0.5)*stride
	for i, side := range [4]struct{ centre, sign, most float64 }{{cx, -1, p.width}, {cy, -1, p.height}, {cx, 1, p.width}, {cy, 1, p.height}} {
		x, s := p.at(1, a, i)
		d := math.Log1p(math.Exp(min(max(x, -20), 20))) * stride
		box[i] = min(max(side.centre+side.sign*d, 0), side.most)
		spread[i] = root(stride*logistic(x)*s, stride*elementary(d/stride), Unit*(side.centre+d))
	}
	return box, spread
}

// decodeBoxes is the rule of boxes and scores of kept pairs. Classes are integers.
func decodeBoxes(c *call) ([][]float64, error) {
	op := c.node.Op.(graph.DecodeBoxes)
	n := 3 * len(op.Strides)
	p := &pyramid{c.in[:n], op.Strides, float64(op.ImageHeight), float64(op.ImageWidth)}
	boxes, scores := make([]float64, c.out[0].Len()), make([]float64, c.out[1].Len())
	pairs, counts := tensor.Data[int64](c.in[n].Tensor), tensor.Data[int64](c.in[n+1].Tensor)
	rows := c.in[n].Shape()[1]
	for i, pair := range pairs {
		if sample := i / rows; i%rows < int(counts[sample]) {
			a, class := p.find(int(pair), sample)
			_, spread := p.box(a)
			copy(boxes[4*i:], spread[:])
			_, scores[i] = p.score(a, class)
		}
	}
	return [][]float64{boxes, scores, nil}, nil
}

// span is the range of cells that a side of a box covers, and whether its ends could be others for what the box's corners may be off.
type span struct {
	low, high int
	uncertain bool
}

// holds tells whether a cell is in the range, and whether that is certain.
func (s span) holds(i int) (in, certain bool) {
	inner, outer := i > s.low && i < s.high-1, i < s.low-1 || i > s.high
	return i >= s.low && i < s.high, !s.uncertain || inner || outer
}

// spanOf projects a side to a grid of n cells (graph.RoiMeanPool). The projection is in float32: an end within 2·u of an integer is uncertain
// even if the corner is exact, unless it is clamped.
func (c *call) spanOf(a, b, sa, sb float64, image, n int) span {
	if b < a {
		a, b, sa, sb = b, a, sb, sa
	}
	scale := float64(float32(n) / float32(image))
	end := func(v, s float64) (at float64, unsure bool) {
		at = v * scale
		off := c.Factor*s*scale + 2*Unit*math.Abs(at)
		at = min(max(at, 0), float64(n))
		nearest := math.Round(at)
		return at, math.Abs(at-nearest) <= off && v*scale != 0 && !(at == nearest && s == 0 && exactly(v, scale))
	}
	low, x := end(a, sa)
	high, y := end(b, sb)
	return span{int(math.Floor(low)), int(math.Ceil(high)), x || y}
}

// exactly tells whether float32 forms the product without rounding.
func exactly(v, scale float64) bool { return float64(float32(v*scale)) == v*scale }

// spansOf projects a box to a grid.
func (c *call) spansOf(row, imageH, imageW, h, w int) (rows, columns span) {
	boxes := c.in[1]
	v := boxes.floats()[4*row : 4*row+4]
	s := func(i int) float64 { return boxes.spread(4*row + i) }
	return c.spanOf(v[1], v[3], s(1), s(3), imageH, h), c.spanOf(v[0], v[2], s(0), s(2), imageW, w)
}

// roiMean is the rule of a mean over the cells of a box; nothing is known of a box with uncertain edges.
func roiMean(c *call) ([][]float64, error) {
	op, x := c.node.Op.(graph.RoiMeanPool), c.in[0]
	s, n := x.Shape(), c.in[1].Shape()[1]
	out := make([]float64, c.out[0].Len())
	for row := range s[0] * n {
		ys, xs := c.spansOf(row, op.ImageHeight, op.ImageWidth, s[2], s[3])
		height, width := ys.high-ys.low, xs.high-xs.low
		for ch := range s[1] {
			at := row*s[1] + ch
			switch {
			case ys.uncertain || xs.uncertain:
				out[at] = math.Inf(1)
			case height > 0 && width > 0:
				plane := (row/n*s[1] + ch) * s[2] * s[3]
				out[at] = momentsOf(height*width, func(i int) (float64, float64) {
					cell := plane + (ys.low+i/width)*s[3] + xs.low + i%width
					return x.floats()[cell], x.spread(cell)
				}).inBlocks(height*width, pyramidBlock)
			}
		}
	}
	return [][]float64{out}, nil
}

// boxMask is the rule of logits cropped to their boxes, and of the mean of σ(logit) over the cells of a box. Of a box with uncertain edges
// nothing is known of the cells at the edges and of the mean.
func boxMask(c *call) ([][]float64, error) {
	op, x := c.node.Op.(graph.BoxMask), c.in[0]
	s := x.Shape()
	logits, scores := make([]float64, x.Len()), make([]float64, c.out[1].Len())
	for row := range s[0] * s[1] {
		ys, xs := c.spansOf(row, op.ImageHeight, op.ImageWidth, s[2], s[3])
		height, width := ys.high-ys.low, xs.high-xs.low
		if ys.uncertain || xs.uncertain {
			scores[row] = math.Inf(1)
		} else if height > 0 && width > 0 {
			m := momentsOf(height*width, func(i int) (float64, float64) {
				at := (row*s[2]+ys.low+i/width)*s[3] + xs.low + i%width
				y := logistic(x.floats()[at])
				return y, y * (1 - y) * x.spread(at)
			})
			own := Unit * math.Sqrt((16*(m.variance+m.mean*m.mean)+8*m.mean+1)/float64(height*width)) // √(Σ elementary(y)²)/n, of each cell by itself
			scores[row] = root(m.inBlocks(height*width, pyramidBlock), own)
		}
		for i := range s[2] * s[3] {
			at := row*s[2]*s[3] + i
			inY, sureY := ys.holds(i / s[3])
			inX, sureX := xs.holds(i % s[3])
			switch {
			case sureY && !inY || sureX && !inX: // outside, for certain
			case !sureY || !sureX:
				logits[at] = math.Inf(1)
			default:
				logits[at] = x.spread(at)
			}
		}
	}
	return [][]float64{logits, scores}, nil
}
