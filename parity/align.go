package parity

import (
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/tensor"
)

// edgeFlip says what of a matched detection differs because an edge of its box rounds to another cell.
type edgeFlip uint8

const (
	noEdge      edgeFlip = iota
	maskEdge             // cells of the mask at the edge, and with them its score
	featureEdge          // the pooled features, and with them the whole mask and the embedding
)

// perDetection lists the outputs and taps [B,N,...] of which a row belongs to a detection, with the weakest flip that makes the
// row incomparable, noEdge for none. A maskEdge leaves the rest of a mask comparable.
var perDetection = []struct {
	name    string
	spoiled edgeFlip
}{
	{"boxes", noEdge}, {"scores", noEdge}, {"class_ids", noEdge}, {"mask_logits", featureEdge}, {"mask_scores", maskEdge},
	{"embeddings", featureEdge}, {"tap.seg.coefficients", featureEdge}, {"tap.track.pooled", featureEdge},
}

// pair is a row of the reference and one of the candidate that correspond, counted over all images.
type pair struct {
	ref, cand int
	padding   bool
	edge      edgeFlip
	cells     [2][2][2]int // of a maskEdge: in each execution, columns and rows, half-open, of the mask inside the box
}

// imageRows says how the rows of the detections of one image correspond.
type imageRows struct {
	image, rows int
	pairs       []pair
	items       int    // detections of either execution
	leftOut     string // the cause where no row is compared
}

// correspondence pairs the matched rows of an image, and the padded rows that both executions have.
func correspondence(d *detections, edges map[int]pair) imageRows {
	out := imageRows{image: d.image, rows: d.rows}
	at := func(r, c int) (int, int) { return d.image*d.rows + r, d.image*d.rows + c }
	for i, j := range d.ref.partner {
		out.items++
		if j >= 0 {
			p := edges[i]
			p.ref, p.cand = at(d.ref.list[i].row, d.cand.list[j].row)
			out.pairs = append(out.pairs, p)
		}
	}
	for _, i := range d.cand.partner {
		if i < 0 {
			out.items++
		}
	}
	for row := max(len(d.ref.list), len(d.cand.list)); row < d.rows; row++ {
		r, c := at(row, row)
		out.pairs = append(out.pairs, pair{ref: r, cand: c, padding: true})
	}
	return out
}

// selected is what of an output is compared.
type selected struct {
	parts   []stretch
	leftOut []Omission
	lost    []int // images of which the larger part is missing
	note    string
}

// leaveOut records elements of an image that are not compared.
func (s *selected) leaveOut(cause string, image, elements int) {
	if elements > 0 {
		s.leftOut = append(s.leftOut, Omission{cause, image, elements})
	}
}

// take adds n elements, in one stretch with the last ones where they follow them.
func (s *selected) take(ref, cand, n int) {
	if n == 0 {
		return
	}
	if last := len(s.parts) - 1; last >= 0 && s.parts[last].ref+s.parts[last].n == ref && s.parts[last].cand+s.parts[last].n == cand {
		s.parts[last].n += n
		return
	}
	s.parts = append(s.parts, stretch{ref, cand, n})
}

// takeRow takes a row of a mask [h,w] but for the cells that one box covers and the other does not, and returns how many it took.
func (s *selected) takeRow(p pair, height, width int) int {
	inside := func(which, x, y int) bool {
		c := p.cells[which]
		return x >= c[0][0] && x < c[0][1] && y >= c[1][0] && y < c[1][1]
	}
	n := 0
	for y := range height {
		for x := range width {
			if inside(0, x, y) == inside(1, x, y) {
				cell := y*width + x
				s.take(p.ref*height*width+cell, p.cand*height*width+cell, 1)
				n++
			}
		}
	}
	return n
}

// selectRows picks of an output per detection what corresponds.
func (s *settled) selectRows(spoiled edgeFlip, t *tensor.Tensor, isMask bool) selected {
	var out selected
	length := rowLength(t, 2)
	for _, im := range s.rows {
		if im.leftOut != "" {
			out.leaveOut(im.leftOut, im.image, im.rows*length)
			out.lost = append(out.lost, im.image)
			continue
		}
		compared := share{items: im.items}
		rows, spoiledRows, cells := len(im.pairs), 0, 0
		for _, p := range im.pairs {
			if p.ref != p.cand {
				out.note = "matched detections are compared"
			}
			if spoiled != noEdge && p.edge >= spoiled {
				spoiledRows++
				continue
			}
			if isMask && p.edge == maskEdge {
				cells += length - out.takeRow(p, t.Shape()[2], t.Shape()[3])
			} else {
				out.take(p.ref*length, p.cand*length, length)
			}
			if !p.padding {
				compared.compared++
			}
		}
		out.leaveOut(causeAlone, im.image, (im.rows-rows)*length)
		out.leaveOut(causeEdge, im.image, spoiledRows*length)
		out.leaveOut(causeCells, im.image, cells)
		if compared.lost() {
			out.lost = append(out.lost, im.image)
		}
	}
	return out
}

// independent lists the outputs, taps and prefixes of taps that do not depend on the selected tiles.
var independent = []string{"utilities", "split_utilities", "tap.pv.", "tap.proxy.", "tap.router."}

func isIndependent(name string) bool {
	return slices.ContainsFunc(independent, func(p string) bool {
		return name == p || strings.HasSuffix(p, ".") && strings.HasPrefix(name, p)
	})
}

// selectImages leaves out the rerouted images of what follows the selection.
func (s *settled) selectImages(name string, t *tensor.Tensor) selected {
	var out selected
	if isIndependent(name) || t.Rank() == 0 || t.Shape()[0] != len(s.rerouted) {
		out.take(0, 0, t.Len())
		return out
	}
	length := rowLength(t, 1)
	for image, rerouted := range s.rerouted {
		if rerouted {
			out.leaveOut(causeRerouted, image, length)
			out.lost = append(out.lost, image)
		} else {
			out.take(image*length, image*length, length)
		}
	}
	return out
}

// choose returns what of an output both sides can be compared on. The tensors have equal shapes.
func (s *settled) choose(name string, t *tensor.Tensor) selected {
	for _, o := range perDetection {
		if o.name == name && len(s.rows) > 0 && t.Rank() >= 2 && t.Shape()[0] == len(s.rows) && t.Shape()[1] == s.rows[0].rows {
			return s.selectRows(o.spoiled, t, name == "mask_logits" && t.Rank() == 4)
		}
	}
	if s.decided[name] {
		return selected{parts: []stretch{{0, 0, t.Len()}}}
	}
	return s.selectImages(name, t)
}

func rowLength(t *tensor.Tensor, axes int) int {
	n := 1
	for _, d := range t.Shape()[axes:] {
		n *= d
	}
	return n
}
