package parity

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends/tensor"
)

// maskFill is the logit of mask cells outside the box.
const maskFill = -20

// unitSlack is how far the length of an embedding may be from 1: what bf16 rounding does to 64 elements, and a little more.
const unitSlack = 0.01

// checkRanges holds the outputs of an image to what is true of every input, whether they can be compared or not: no NaN and no
// infinity, scores of masks in [0,1], nothing but the fill value outside a mask's box, embeddings of unit length. What follows
// detections that are not to be used is checked without them.
func (s *settled) checkRanges(x *execution, outputs tensor.List, image int, set Setting) {
	for _, name := range []string{"mask_logits", "mask_scores", "embeddings", "semantic_logits"} {
		t := outputs.Get(name)
		if t == nil || !t.DType().IsFloat() || t.Rank() < 2 || image >= t.Shape()[0] {
			continue
		}
		length := rowLength(t, 1)
		data := imageOf(t, image)
		if at := firstNonFinite(data); at >= 0 {
			s.inconsistent(name, image, "the %s holds %g at %v", x.name, data[at], unravel(image*length+at, t.Shape()))
			continue
		}
		problem := ""
		switch per := length / max(x.rows, 1); {
		case t.Shape()[1] != x.rows:
		case name == "mask_scores":
			problem = wrongScore(data)
		case name == "embeddings":
			problem = wrongLength(data, per, len(x.list))
		case name == "mask_logits" && t.Rank() == 4:
			problem = x.outsideBoxes(data, t.Shape()[2], t.Shape()[3], set)
		}
		if problem != "" {
			s.inconsistent(name, image, "the %s holds %s", x.name, problem)
		}
	}
}

func firstNonFinite(data []float64) int {
	for i, v := range data {
		if v-v != 0 {
			return i
		}
	}
	return -1
}

func wrongScore(data []float64) string {
	for row, v := range data {
		if v < 0 || v > 1 {
			return fmt.Sprintf("a mask score of %g in row %d, outside [0, 1]", v, row)
		}
	}
	return ""
}

func wrongLength(data []float64, length, valid int) string {
	for row := range valid {
		var sum float64
		for _, v := range data[row*length : (row+1)*length] {
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
func (x *execution) outsideBoxes(data []float64, height, width int, set Setting) string {
	if set.ImageHeight < 1 || set.ImageWidth < 1 {
		return ""
	}
	for row := range x.rows {
		var columns, rows [2]int
		if row < len(x.list) {
			b := x.list[row].box
			columns, rows = cells(b[0], b[2], width, set.ImageWidth), cells(b[1], b[3], height, set.ImageHeight)
		}
		for at, v := range data[row*height*width : (row+1)*height*width] {
			px, py := at%width, at/width
			outside := row >= len(x.list) || px < columns[0]-1 || px > columns[1] || py < rows[0]-1 || py > rows[1]
			if outside && v != maskFill {
				return fmt.Sprintf("a mask logit of %g in row %d at (%d,%d), outside its box", v, row, py, px)
			}
		}
	}
	return ""
}
