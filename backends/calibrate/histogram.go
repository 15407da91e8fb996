package calibrate

import "math"

// capacity is the number of bins of a histogram: at least half of them lie below the largest magnitude.
const capacity = 4096

// Histogram counts the magnitudes of a value's elements. Bins are as wide as a power of two, and are merged in pairs when a magnitude is
// beyond the last one, so that it depends on the elements alone and not on their order: bin i counts magnitudes in [i, i+1)·2^exponent.
// Zeros are counted apart, since every range represents them exactly. The zero value is empty.
type Histogram struct {
	bins     [capacity]uint64
	exponent int
	zeros    uint64
	total    uint64 // zeros included
	largest  float32
}

// Add counts the elements. One that is not finite is an error of the caller's, whose name for it is told by false.
func (h *Histogram) Add(data []float32) bool {
	largest := h.largest
	for _, v := range data {
		if v < 0 {
			v = -v
		}
		if !(v <= math.MaxFloat32) {
			return false
		}
		largest = max(largest, v)
	}
	h.widen(largest)
	scale := float32(math.Ldexp(1, -h.exponent))
	for _, v := range data {
		switch {
		case v == 0:
			h.zeros++
		case v < 0:
			h.bins[int(-v*scale)]++
		default:
			h.bins[int(v*scale)]++
		}
	}
	h.total += uint64(len(data))
	return true
}

// widen makes room for a magnitude.
func (h *Histogram) widen(largest float32) {
	if largest == h.largest {
		return
	}
	_, e := math.Frexp(float64(largest))  // largest < 2^e
	exponent := max(e-log2Capacity, -126) // its inverse is a float32
	if h.largest > 0 {
		h.merge(exponent - h.exponent)
	}
	h.exponent, h.largest = exponent, largest
}

const log2Capacity = 12

// merge makes one bin of 2^steps.
func (h *Histogram) merge(steps int) {
	if steps <= 0 {
		return
	}
	var merged [capacity]uint64
	for i, n := range h.bins {
		if steps < log2Capacity {
			merged[i>>steps] += n
		} else {
			merged[0] += n
		}
	}
	h.bins = merged
}

// used returns the bins up to that of the largest magnitude.
func (h *Histogram) used() []uint64 {
	last := capacity
	for last > 0 && h.bins[last-1] == 0 {
		last--
	}
	return h.bins[:last]
}

// edge returns the upper edge of the bin before i, at most the largest magnitude.
func (h *Histogram) edge(i int) float32 {
	return min(float32(math.Ldexp(float64(i), h.exponent)), h.largest)
}
