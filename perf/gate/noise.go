package gate

import (
	"math"
	"math/rand/v2"

	"github.com/apex-x/apexx/perf/stat"
)

// Noise describes how the block values of a comparison scatter where nothing changed, on one class of machines. A value is a
// sum: what all cells of a block share, and the cell's own part, which is normal but for a share of outliers. Both are log
// ratios.
type Noise struct {
	SD           float64 `json:"sd"`            // of a cell's own part, outliers aside
	SharedSD     float64 `json:"shared_sd"`     // of the part that the cells of a block share
	OutlierShare float64 `json:"outlier_share"` // of the blocks
	OutlierScale float64 `json:"outlier_scale"` // standard deviation of outliers, in units of SD
	Blocks       int     `json:"blocks"`        // that the model was fitted to
}

// FitNoise fits the model to blocks [run][cell][block] of runs in which base and head were equal. Outliers are values farther
// than 3 robust standard deviations from their cell's estimate.
func FitNoise(runs [][][]float64) Noise {
	var own, shared []float64
	for _, cells := range runs {
		residuals := residualsOf(cells)
		for block := range blocksIn(residuals) {
			var row []float64
			for _, r := range residuals {
				if block < len(r) {
					row = append(row, r[block])
				}
			}
			common := stat.Median(row)
			if len(row) > 2 {
				shared = append(shared, common)
			} else {
				common = 0
			}
			for _, v := range row {
				own = append(own, v-common)
			}
		}
	}
	n := Noise{Blocks: len(own), OutlierScale: 1}
	if len(own) == 0 {
		return n
	}
	n.SD, n.SharedSD = stat.RobustSD(own), robustOrZero(shared)
	var far []float64
	for _, v := range own {
		if math.Abs(v) > 3*n.SD {
			far = append(far, v)
		}
	}
	const expected = 0.0027 // of a normal distribution beyond three standard deviations
	if share := float64(len(far))/float64(len(own)) - expected; share > 0 && n.SD > 0 {
		n.OutlierShare, n.OutlierScale = share, rootMeanSquare(far)/n.SD
	}
	return n
}

func robustOrZero(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	return stat.RobustSD(x)
}

func rootMeanSquare(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(x)))
}

// residualsOf subtracts each cell's estimate from its values, scaled for the degree of freedom that it took.
func residualsOf(cells [][]float64) [][]float64 {
	var out [][]float64
	for _, values := range cells {
		if len(values) < minScreenBlocks {
			continue
		}
		center, grow := shift(values), math.Sqrt(float64(len(values))/float64(len(values)-1))
		r := make([]float64, len(values))
		for i, v := range values {
			r[i] = (v - center) * grow
		}
		out = append(out, r)
	}
	return out
}

func blocksIn(cells [][]float64) int {
	n := 0
	for _, values := range cells {
		n = max(n, len(values))
	}
	return n
}

// draw returns block values [cell][block] under the model.
func (n Noise) draw(r *rand.Rand, cells, blocks int) [][]float64 {
	out := make([][]float64, cells)
	for i := range out {
		out[i] = make([]float64, blocks)
	}
	for block := range blocks {
		shared := n.SharedSD * r.NormFloat64()
		for i := range out {
			sd := n.SD
			if r.Float64() < n.OutlierShare {
				sd *= n.OutlierScale
			}
			out[i][block] = shared + sd*r.NormFloat64()
		}
	}
	return out
}
