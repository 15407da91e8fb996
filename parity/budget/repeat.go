package budget

import (
	"cmp"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

// Terms of a product that are equal are rounded alike: while a partial sum stays between two powers of two, adding the same number to it rounds
// by the same amount each time. Their errors add up like their number.

// alike is by how much, relative, two operands may differ and still make equal terms: their last digits are below those of the partial sums
// to which they are added.
const alike = 8 * Unit

// repeated returns m ≥ 1, the largest number of equal terms in an element of a product: of the same place in a filter, from slices of the first
// operand that hold the same values, by one weight. What is 0 rounds nothing.
func (c *call) repeated() int {
	l := layoutOf(c)
	most := 1
	for _, twins := range l.equalSlices(c.in[0].floats()) {
		for output := range l.outputs {
			if len(twins) <= most {
				break
			}
			most = max(most, l.equalWeights(c.in[1].floats(), twins, output, most))
		}
	}
	return most
}

// layout says where the terms of a product stand in its operands. The first operand has a slice for each channel, or for each column of a matrix;
// the second has a weight for each slice, output and tap, of which those of a group of slices are read by the outputs of that group.
type layout struct {
	slices, group int                    // number of slices, and of those that one output reads
	element       func(slice, i int) int // flat index of element i of a slice
	elements      int                    // of a slice
	outputs       int                    // of a group: channels or columns, and taps of a filter
	weight        func(slice, output int) (flat int)
}

func layoutOf(c *call) layout {
	a, b := c.in[0].Shape(), c.in[1].Shape()
	switch op := c.node.Op.(type) {
	case graph.Conv:
		return planes(a, op.Group, b[0]/op.Group, b[2]*b[3], true)
	case graph.ConvTranspose:
		return planes(a, op.Group, b[1], b[2]*b[3], false)
	case graph.Gemm:
		return columns(a, b, op.TransB)
	}
	return columns(a, b, false)
}

// planes is the layout of a convolution of [B,C,H,W] with filters of so many taps, [outputs,C/groups,taps] for each group where output
// channels come first, else [C,outputs,taps].
func planes(a []int, groups, outputs, taps int, outputFirst bool) layout {
	channels, plane := a[1], a[2]*a[3]
	group := channels / groups
	return layout{
		slices: channels, group: group, elements: a[0] * plane, outputs: outputs * taps,
		element: func(slice, i int) int { return (i/plane*channels+slice)*plane + i%plane },
		weight: func(slice, output int) int {
			if outputFirst {
				return ((slice/group*outputs+output/taps)*group+slice%group)*taps + output%taps
			}
			return (slice*outputs+output/taps)*taps + output%taps
		},
	}
}

// columns is the layout of a product of matrices [...,M,K] and [...,K,N], or [N,K] if the second is transposed.
func columns(a, b []int, transposed bool) layout {
	terms := a[len(a)-1]
	width := size(b) / max(terms, 1)
	l := layout{slices: terms, group: terms, elements: size(a) / max(terms, 1), outputs: width, element: func(slice, i int) int { return i*terms + slice }}
	n := b[len(b)-1]
	l.weight = func(slice, output int) int { return (output/n*terms+slice)*n + output%n }
	if transposed {
		l.weight = func(slice, output int) int { return output*terms + slice }
	}
	return l
}

// equalSlices lists the slices of the first operand that hold the same values, and not only zeros: those of a group that have a twin there.
func (l layout) equalSlices(a []float64) (twins [][]int) {
	if l.elements == 0 {
		return nil
	}
	for first := 0; first < l.slices; first += l.group {
		for _, same := range l.classes(a, first) {
			if len(same) > 1 && !l.zero(a, same[0]) {
				twins = append(twins, same)
			}
		}
	}
	return twins
}

// classes divides the slices of a group into those that hold the same values. Sorted by one of their elements, only neighbours have to be compared.
func (l layout) classes(a []float64, first int) (classes [][]int) {
	probe := func(slice int) float64 { return a[l.element(slice, l.elements/2)] }
	order := make([]int, l.group)
	for i := range order {
		order[i] = first + i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(probe(x), probe(y)) })
	near := 0 // the first class that may still hold a slice
	for _, slice := range order {
		for near < len(classes) && !same(probe(classes[near][0]), probe(slice)) {
			near++
		}
		at := near + slices.IndexFunc(classes[near:], func(class []int) bool { return l.alike(a, class[0], slice) })
		if at < near {
			classes = append(classes, []int{slice})
		} else {
			classes[at] = append(classes[at], slice)
		}
	}
	return classes
}

// same tells whether two numbers make equal terms.
func same(x, y float64) bool { return x == y || math.Abs(x-y) <= alike*math.Abs(x) }

func (l layout) alike(a []float64, one, other int) bool {
	for i := range l.elements {
		if !same(a[l.element(one, i)], a[l.element(other, i)]) {
			return false
		}
	}
	return true
}

func (l layout) zero(a []float64, slice int) bool {
	for i := range l.elements {
		if a[l.element(slice, i)] != 0 {
			return false
		}
	}
	return true
}

// equalWeights returns the largest number of equal weights that some slices have for an output, or most where that is no more.
func (l layout) equalWeights(b []float64, slices []int, output, most int) int {
	counts := map[float64]int{}
	for _, s := range slices {
		if w := b[l.weight(s, output)]; w != 0 {
			counts[w]++
			most = max(most, counts[w])
		}
	}
	return most
}
