package picture

// RLE is a mask in COCO's uncompressed run-length form: counts of alternating 0s and 1s in column-major order, starting
// with 0s, and the size as [height, width].
type RLE struct {
	Size   [2]int `json:"size"`
	Counts []int  `json:"counts"`
}

// runs collects a mask in column-major order.
type runs struct {
	counts []int
	length int
	value  bool
}

// add appends n equal pixels.
func (r *runs) add(value bool, n int) {
	if n == 0 {
		return
	}
	if value != r.value {
		r.counts, r.length, r.value = append(r.counts, r.length), 0, value
	}
	r.length += n
}

func (r *runs) encode(width, height int) RLE {
	return RLE{[2]int{height, width}, append(r.counts, r.length)}
}
