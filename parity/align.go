package parity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/tensor"
)

// edgeFlips says which matched detections, by place in the reference, have an edge that rounds to another cell.
type edgeFlips map[int]edgeFlip

type edgeFlip uint8

const (
	maskEdge    edgeFlip = 1 + iota // the mask alone differs
	featureEdge                     // the pooled features differ, and the mask and embedding with them
)

// alignment pairs rows of an output: the first axes merged, so that a row is one detection or one image.
type alignment struct {
	axes  int
	pairs [][2]int // row of the reference, row of the candidate
	note  string
}

// perDetection lists the outputs and taps [B,N,...] of which a row belongs to a detection, with the flips that change it.
var perDetection = []struct {
	name    string
	spoiled edgeFlip // the weakest flip that makes a row incomparable, 0 for none
}{
	{"boxes", 0}, {"scores", 0}, {"class_ids", 0}, {"mask_logits", maskEdge}, {"mask_scores", maskEdge}, {"embeddings", featureEdge},
	{"tap.seg.coefficients", featureEdge}, {"tap.track.pooled", featureEdge},
}

// alignments collects the row pairs of all images.
type alignments struct {
	pairs   [featureEdge + 1][][2]int // by the weakest flip that leaves a pair out: index 0 leaves out none
	flipped [featureEdge + 1]int
	moved   bool
	skipped []int
}

func (p *alignments) leaveOut(image int) { p.skipped = append(p.skipped, image) }

// include pairs the matched rows of one image, and the padded rows that both executions have.
func (p *alignments) include(d *detections, edges edgeFlips) {
	add := func(r, c int, flip edgeFlip) {
		pair := [2]int{d.image*d.refRows + r, d.image*d.candRows + c}
		p.moved = p.moved || r != c
		for weakest := range p.pairs {
			if weakest == 0 || flip < edgeFlip(weakest) {
				p.pairs[weakest] = append(p.pairs[weakest], pair)
			} else {
				p.flipped[weakest]++
			}
		}
	}
	for i, j := range d.partnerOfRef {
		if j >= 0 {
			add(d.ref[i].row, d.cand[j].row, edges[i])
		}
	}
	for row := max(len(d.ref), len(d.cand)); row < d.refRows; row++ {
		add(row, row, 0)
	}
	p.moved = p.moved || slices.Contains(d.partnerOfRef, -1) || slices.Contains(d.partnerOfCand, -1)
}

// apply registers the alignment of every per-detection output that is not the identity.
func (p *alignments) apply(s *settled) {
	for _, o := range perDetection {
		var notes []string
		if p.moved {
			notes = append(notes, "matched detections are compared")
		}
		if n := p.flipped[o.spoiled]; o.spoiled > 0 && n > 0 {
			notes = append(notes, fmt.Sprintf("%d with a rounded edge left out", n))
		}
		if len(p.skipped) > 0 {
			notes = append(notes, "without "+images(p.skipped))
		}
		if len(notes) > 0 {
			s.rows[o.name] = alignment{axes: 2, pairs: p.pairs[o.spoiled], note: strings.Join(notes, ", ")}
		}
	}
}

func images(list []int) string {
	if len(list) == 1 {
		return fmt.Sprintf("image %d", list[0])
	}
	return "images " + joined(list)
}

// independent lists the outputs, taps and prefixes of taps that do not depend on the selected tiles.
var independent = []string{"utilities", "split_utilities", "tap.pv.", "tap.proxy.", "tap.router.x"}

func isIndependent(name string) bool {
	return slices.ContainsFunc(independent, func(p string) bool {
		return name == p || strings.HasSuffix(p, ".") && strings.HasPrefix(name, p)
	})
}

// judgedImages returns the alignment that leaves out rerouted images, for outputs that follow the selection; false where
// every image is judged.
func (s *settled) judgedImages(name string) (alignment, bool) {
	var keep [][2]int
	var skipped []int
	for image, rerouted := range s.rerouted {
		if rerouted {
			skipped = append(skipped, image)
		} else {
			keep = append(keep, [2]int{image, image})
		}
	}
	if len(skipped) == 0 || isIndependent(name) {
		return alignment{}, false
	}
	return alignment{axes: 1, pairs: keep, note: "without " + images(skipped) + ": other tiles were computed"}, true
}

// gather returns the paired rows of both tensors. The tensors have equal shapes with at least a.axes axes.
func (a alignment) gather(ref, cand *tensor.Tensor) (r, c *tensor.Tensor) {
	return gatherRows(ref, a, 0), gatherRows(cand, a, 1)
}

func gatherRows(t *tensor.Tensor, a alignment, which int) *tensor.Tensor {
	switch t.DType() {
	case tensor.Float32:
		return copyRows[float32](t, a, which)
	case tensor.Float64:
		return copyRows[float64](t, a, which)
	case tensor.Int32:
		return copyRows[int32](t, a, which)
	case tensor.Int64:
		return copyRows[int64](t, a, which)
	default:
		return copyRows[bool](t, a, which)
	}
}

func copyRows[T tensor.Element](t *tensor.Tensor, a alignment, which int) *tensor.Tensor {
	shape := slices.Concat([]int{len(a.pairs)}, t.Shape()[a.axes:])
	length := rowLength(t, a.axes)
	data := tensor.Data[T](t)
	out := make([]T, 0, len(a.pairs)*length)
	for _, pair := range a.pairs {
		out = append(out, data[pair[which]*length:(pair[which]+1)*length]...)
	}
	return tensor.Must(tensor.Of(out, shape...))
}

func rowLength(t *tensor.Tensor, axes int) int {
	n := 1
	for _, d := range t.Shape()[axes:] {
		n *= d
	}
	return n
}

// place translates the worst element of gathered rows back to the reference's own index.
func (a alignment) place(w *Worst, ref *tensor.Tensor) {
	length := rowLength(ref, a.axes)
	w.Flat = a.pairs[w.Flat/length][0]*length + w.Flat%length
	w.Index = unravel(w.Flat, ref.Shape())
}
