package parity

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// maskFill is the logit of mask cells outside the box.
const maskFill = -20

// unitSlack is how far the length of an embedding may be from 1: what bf16 rounding does to 64 elements, and a little more.
const unitSlack = 0.01

// checkFinite holds an image of an output to being numbers. What is compared needs no such check: a NaN never matches there.
func (s *settled) checkFinite(name, side string, t *tensor.Tensor, image int) {
	if !t.DType().IsFloat() {
		return
	}
	length := rowLength(t, 1)
	for at := image * length; at < (image+1)*length; at++ {
		if v := element(t, at); v-v != 0 {
			d := Decision{Kind: Inconsistency, Verdict: Bug, Output: name, Image: image, Items: fmt.Sprintf("the %s holds %g at %v", side, v, unravel(at, t.Shape()))}
			if !slices.Contains(s.decisions, d) {
				s.add(d)
			}
			return
		}
	}
}

// checkRanges holds the outputs per detection of an image to what is true of every input, whether they can be compared or not:
// scores of masks in [0,1], nothing but the fill value outside a mask's box, embeddings of unit length.
func (s *settled) checkRanges(x *execution, outputs tensor.List, image int, set Setting) {
	for _, c := range []struct {
		name  string
		rank  int
		wrong func(x *execution, t *tensor.Tensor, image int, set Setting) string
	}{{"mask_scores", 2, wrongScore}, {"embeddings", 3, wrongLength}, {"mask_logits", 4, outsideBoxes}} {
		t := outputs.Get(c.name)
		if t == nil || !t.DType().IsFloat() || t.Rank() != c.rank || image >= t.Shape()[0] || t.Shape()[1] != x.rows {
			continue
		}
		if problem := c.wrong(x, t, image, set); problem != "" {
			s.inconsistent(c.name, image, "the %s holds %s", x.name, problem)
		}
	}
}

func wrongScore(x *execution, t *tensor.Tensor, image int, _ Setting) string {
	for row := range x.rows {
		if v := element(t, image*x.rows+row); v < 0 || v > 1 {
			return fmt.Sprintf("a mask score of %g in row %d, outside [0, 1]", v, row)
		}
	}
	return ""
}

func wrongLength(x *execution, t *tensor.Tensor, image int, _ Setting) string {
	length := t.Shape()[2]
	for row := range x.list {
		var sum float64
		for i := range length {
			v := element(t, (image*x.rows+row)*length+i)
			sum += v * v
		}
		if norm := math.Sqrt(sum); math.Abs(norm-1) > unitSlack {
			return fmt.Sprintf("an embedding of length %g in row %d, which is normalised", norm, row)
		}
	}
	return ""
}

// outsideBoxes looks for cells that are not the fill value though they are outside the box by more than a cell, which leaves room
// for the rounding of an edge, and in padded rows.
func outsideBoxes(x *execution, t *tensor.Tensor, image int, set Setting) string {
	if set.ImageHeight < 1 || set.ImageWidth < 1 {
		return ""
	}
	height, width := t.Shape()[2], t.Shape()[3]
	for row := range x.rows {
		var columns, rows [2]int
		if row < len(x.list) {
			b := x.list[row].box
			columns, rows = cells(b[0], b[2], width, set.ImageWidth, x.wide), cells(b[1], b[3], height, set.ImageHeight, x.wide)
		}
		for at := range height * width {
			px, py := at%width, at/width
			outside := row >= len(x.list) || px < columns[0]-1 || px > columns[1] || py < rows[0]-1 || py > rows[1]
			if !outside {
				continue
			}
			if v := element(t, (image*x.rows+row)*height*width+at); v != maskFill {
				return fmt.Sprintf("a mask logit of %g in row %d at (%d,%d), outside its box", v, row, py, px)
			}
		}
	}
	return ""
}
