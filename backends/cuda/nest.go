package cuda

import (
	"fmt"

	"github.com/apex-x/apexx/backends/lower"
)

const (
	maxAxes     = 8
	maxOperands = 3
)

// A nest is the loop of an element-wise kernel over broadcast operands, as the kernel takes it: axes of the output, the innermost first, and how
// far each operand moves along them. Neighbouring axes along which all operands behave alike are merged.
type nest struct {
	n       int64
	axes, _ int32
	size    [maxAxes]int64
	stride  [maxOperands][maxAxes]int64
}

func newNest(out []int, operands ...[]int) (nest, error) {
	l := nest{n: 1}
	strides := make([][]int, len(operands))
	for i, s := range operands {
		strides[i] = lower.BroadcastStrides(s, len(out))
	}
	for d := len(out) - 1; d >= 0; d-- {
		l.n *= int64(out[d])
		if out[d] == 1 {
			continue
		}
		var st [maxOperands]int64
		for i := range operands {
			st[i] = int64(strides[i][d])
		}
		if !l.push(int64(out[d]), st) {
			return l, fmt.Errorf("operands %v broadcast along more than %d axes", operands, maxAxes)
		}
	}
	return l, nil
}

// push adds an axis outside the ones that are there, merging it with the last if it continues it. It tells whether there was room.
func (l *nest) push(size int64, st [maxOperands]int64) bool {
	if last := l.axes - 1; last >= 0 {
		continues := true
		for i := range st {
			continues = continues && st[i] == l.stride[i][last]*l.size[last]
		}
		if continues {
			l.size[last] *= size
			return true
		}
	}
	if l.axes == maxAxes {
		return false
	}
	l.size[l.axes] = size
	for i := range st {
		l.stride[i][l.axes] = st[i]
	}
	l.axes++
	return true
}
