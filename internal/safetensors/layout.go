package safetensors

import (
	"cmp"
	"math/bits"
	"slices"
)

// checkLayout sorts the entries by position and checks that each range holds exactly its shape's elements and that
// together they cover the size bytes of data.
func checkLayout(entries []entry, size uint64) error {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	var next uint64 // where the following tensor must begin
	for _, e := range entries {
		if err := e.checkRange(size); err != nil {
			return err
		}
		switch {
		case e.begin < next:
			return badTensor(e.name, "its data at [%d, %d) overlaps the tensor before it, which ends at %d", e.begin, e.end, next)
		case e.begin > next:
			return badTensor(e.name, "its data begins at %d, leaving a gap of %d bytes", e.begin, e.begin-next)
		}
		next = e.end
	}
	if next != size {
		return badFile("the tensors end at %d of %d data bytes", next, size)
	}
	return nil
}

// checkRange checks one entry by itself.
func (e entry) checkRange(size uint64) error {
	if e.begin > e.end {
		return badTensor(e.name, "data_offsets [%d, %d] run backwards", e.begin, e.end)
	}
	if e.end > size {
		return badTensor(e.name, "data_offsets [%d, %d] pass the end of the data at %d: the file is truncated", e.begin, e.end, size)
	}
	want, ok := byteLen(e.dtype, e.shape)
	if !ok {
		return badTensor(e.name, "the size of shape %v overflows", e.shape)
	}
	if e.end-e.begin != want {
		return badTensor(e.name, "%d bytes of data, but shape %v of %s needs %d", e.end-e.begin, e.shape, e.dtype, want)
	}
	return nil
}

// byteLen is the size of a tensor's data, and whether it fits in 64 bits. Like the format's own implementation it rejects
// an intermediate overflow even when a later dimension is 0.
func byteLen(dtype DType, shape []int) (uint64, bool) {
	n := uint64(dtype.Size())
	for _, dim := range shape {
		if dim < 0 {
			return 0, false
		}
		high, low := bits.Mul64(n, uint64(dim))
		if high != 0 {
			return 0, false
		}
		n = low
	}
	return n, true
}
