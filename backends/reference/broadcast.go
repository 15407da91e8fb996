package reference

import "github.com/apex-x/apexx/backends/lower"

// A nest is the loop of an element-wise operation over broadcast operands: rows of n consecutive output elements, in which
// every operand either advances by one or stands still. Neighbouring axes along which all operands behave alike are merged,
// so that equal shapes give one row, and a vector per channel gives one row per channel.
type nest struct {
	rows, n int
	dims    []int              // sizes of the outer axes; rows is their product
	strides [][maxOperands]int // of the outer axes
	inner   [maxOperands]int   // 0 or 1
}

const maxOperands = 3

// newNest returns the nest for an output shape and at most maxOperands operands that broadcast to it.
func newNest(out []int, operands ...[]int) *nest {
	l := &nest{rows: 1, n: 1}
	strides := make([][]int, len(operands))
	for i, s := range operands {
		strides[i] = lower.BroadcastStrides(s, len(out))
	}
	for d := len(out) - 1; d >= 0; d-- {
		if out[d] == 1 {
			continue
		}
		var st [maxOperands]int
		for i := range operands {
			st[i] = strides[i][d]
		}
		l.push(out[d], st)
	}
	if len(l.dims) > 0 {
		l.n, l.inner = l.dims[0], l.strides[0]
		l.dims, l.strides = l.dims[1:], l.strides[1:]
	}
	for _, d := range l.dims {
		l.rows *= d
	}
	return l
}

// push adds an axis outside the ones that are there (dims[0] is the innermost), merging it with the last if it continues it.
func (l *nest) push(size int, st [maxOperands]int) {
	if last := len(l.dims) - 1; last >= 0 {
		continues := true
		for i := range st {
			continues = continues && st[i] == l.strides[last][i]*l.dims[last]
		}
		if continues {
			l.dims[last] *= size
			return
		}
	}
	l.dims, l.strides = append(l.dims, size), append(l.strides, st)
}

// at returns the offsets of the operands at the start of a row.
func (l *nest) at(row int) (off [maxOperands]int) {
	for d, size := range l.dims {
		i := row % size
		row /= size
		for o := range off {
			off[o] += i * l.strides[d][o]
		}
	}
	return off
}

// spans returns a run function that covers the output with calls of f, each for n elements within one row: y is the offset in
// the output, at the offsets in the operands.
func (l *nest) spans(c *compiler, f func(y, n int, at [maxOperands]int)) func() error {
	if l.n >= taskElements {
		chunks := (l.n + taskElements - 1) / taskElements
		return c.parallel(l.rows*chunks, func(i int) {
			row, lo := i/chunks, i%chunks*taskElements
			at := l.at(row)
			for o := range at {
				at[o] += lo * l.inner[o]
			}
			f(row*l.n+lo, min(taskElements, l.n-lo), at)
		})
	}
	return c.ranges(l.rows, l.n, func(lo, hi int) {
		for row := lo; row < hi; row++ {
			f(row*l.n, l.n, l.at(row))
		}
	})
}
