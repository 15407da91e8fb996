package flips

import (
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// plant is a selection that is wrong in a way that could be taken for rounding.
type plant struct {
	name string
	// wrong changes the tiles chosen for one input, of which there are at least two; false where there is nothing to be wrong in.
	wrong func(chosen []int64, utilities []float64) bool
}

var plants = []plant{
	{"the runner-up is taken in the place of the last tile", func(chosen []int64, utilities []float64) bool {
		next := -1
		for tile, u := range utilities {
			if !slices.Contains(chosen, int64(tile)) && (next < 0 || u > utilities[next]) {
				next = tile
			}
		}
		if next < 0 {
			return false
		}
		chosen[len(chosen)-1] = int64(next)
		return true
	}},
	{"the two weakest tiles are listed in the other order", func(chosen []int64, _ []float64) bool {
		n := len(chosen)
		chosen[n-1], chosen[n-2] = chosen[n-2], chosen[n-1]
		return true
	}},
}

// into plants a fault into what an execution chose for every input, and returns the inputs that have it.
func (p plant) into(outputs tensor.List) (tensor.List, []bool) {
	wrong := slices.Clone(outputs)
	at := slices.IndexFunc(wrong, func(n tensor.Named) bool { return n.Name == "tiles_l0" })
	wrong[at].Tensor = wrong[at].Tensor.Clone()
	tiles, utilities := wrong[at].Tensor, outputs.Get("utilities")
	width, k := tiles.Shape()[1], utilities.Shape()[1]
	counts, scores := tensor.Data[int64](outputs.Get("valid_l0")), utilities.Float64s()
	has := make([]bool, len(counts))
	for i, n := range counts {
		if chosen := tensor.Data[int64](tiles)[i*width:][:n]; n >= 2 {
			has[i] = p.wrong(chosen, scores[i*k:(i+1)*k])
		}
	}
	return wrong, has
}
