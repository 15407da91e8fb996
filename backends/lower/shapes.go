package lower

// Around returns the number of elements before, along and after an axis of a shape, which counts from the end if it is negative.
func Around(shape []int, axis int) (outer, size, inner int) {
	if axis < 0 {
		axis += len(shape)
	}
	outer, inner = 1, 1
	for _, d := range shape[:axis] {
		outer *= d
	}
	for _, d := range shape[axis+1:] {
		inner *= d
	}
	return outer, shape[axis], inner
}

// BroadcastStrides returns the strides of a row-major operand along the axes of an output of the given rank, in elements: 0 where the operand has one
// element or lacks the axis.
func BroadcastStrides(shape []int, rank int) []int {
	strides := make([]int, rank)
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 {
			strides[rank-len(shape)+i] = step
		}
		step *= shape[i]
	}
	return strides
}

// Empty tells whether none of the values has an element: nothing has to be computed then.
func Empty(values []*Value) bool {
	for _, v := range values {
		if v.Len() > 0 {
			return false
		}
	}
	return true
}
