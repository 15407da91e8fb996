package routing

import (
	"fmt"
	"math"
	"slices"
)

// Histogram counts values in equal bins, left-closed, the last one closed. Source: spec 20.
type Histogram struct {
	Counts   []int     `json:"counts"`    // [bins]
	BinEdges []float64 `json:"bin_edges"` // [bins+1], ascending
	Min      float64   `json:"min"`       // 0, as Max and Mean, without values
	Max      float64   `json:"max"`
	Mean     float64   `json:"mean"`
}

// maxBins bounds a histogram so that its edges stay distinct float64 values.
const maxBins = 1 << 16

// UtilityHistogram counts values in bins over [min, max], or min-0.5 to max+0.5 where they are equal; without values over
// [0, 1]. Which bin a value is in is decided against the computed edges.
//
// A range too narrow for distinct edges is widened to min-w to max+w, w = max(0.5, |max|*2^-30). NumPy, which the original
// used, fails or not there, depending on its version. Values and their range must be finite.
func UtilityHistogram(values []float64, bins int) (Histogram, error) {
	if bins <= 0 || bins > maxBins {
		return Histogram{}, fmt.Errorf("histogram of %d bins: must be > 0 and at most %d", bins, maxBins)
	}
	h := Histogram{Counts: make([]int, bins)}
	if len(values) == 0 {
		h.BinEdges = binEdges(0, 1, bins)
		return h, nil
	}
	for i, v := range values {
		if !finite(v) {
			return Histogram{}, fmt.Errorf("value %d is %v: must be finite", i, v)
		}
	}
	h.Min, h.Max, h.Mean = slices.Min(values), slices.Max(values), Mean(values)
	lo, hi := h.Min, h.Max
	if !finite(hi - lo) {
		return Histogram{}, fmt.Errorf("values from %v to %v: their range must be finite", lo, hi)
	}
	h.BinEdges = binEdges(lo, hi, bins)
	if !strictlyAscending(h.BinEdges) {
		w := max(0.5, math.Abs(h.Max)*0x1p-30)
		lo, hi = h.Min-w, h.Max+w
		h.BinEdges = binEdges(lo, hi, bins)
	}
	for _, v := range values {
		i := min(int((v-lo)/(hi-lo)*float64(bins)), bins-1)
		if v < h.BinEdges[i] {
			i--
		} else if v >= h.BinEdges[i+1] && i < bins-1 {
			i++
		}
		h.Counts[i]++
	}
	return h, nil
}

func binEdges(lo, hi float64, bins int) []float64 {
	edges := make([]float64, bins+1)
	step := (hi - lo) / float64(bins)
	for i := range bins {
		edges[i] = float64(float64(i)*step) + lo
	}
	edges[bins] = hi
	return edges
}

func strictlyAscending(v []float64) bool {
	for i := 1; i < len(v); i++ {
		if v[i] <= v[i-1] {
			return false
		}
	}
	return true
}
