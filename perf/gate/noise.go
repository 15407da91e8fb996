package gate

import (
	"math"
	"math/rand/v2"
	"slices"

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

// FitNoise fits the model to blocks [run][cell][block] of runs in which base and head were equal. What the cells of a block
// share is taken for each cell from the median of the others, so that a cell does not hide its own part. Outliers are values
// farther than 3 robust standard deviations off; their share is such that the model has as many there as were seen.
func FitNoise(runs [][][]float64) Noise {
	var own, shared []float64
	var ownInShared float64 // variance of the medians that the cells' own parts make, in units of SD²
	for _, cells := range runs {
		var left [][]float64
		for _, values := range cells {
			left = append(left, residuals(values))
		}
		for block := range blocksIn(left) {
			row := rowOf(left, block)
			own = append(own, ownParts(row)...)
			if len(row) > 1 {
				shared = append(shared, stat.Median(row))
				ownInShared += medianVariance(len(row))
			}
		}
	}
	n := Noise{Blocks: len(own), OutlierScale: 1}
	if len(own) == 0 {
		return n
	}
	n.SD = stat.RobustSD(own)
	if len(shared) > 0 {
		n.SharedSD = math.Sqrt(max(0, square(stat.RobustSD(shared))-square(n.SD)*ownInShared/float64(len(shared))))
	}
	var far []float64
	for _, v := range own {
		if math.Abs(v) > 3*n.SD {
			far = append(far, v)
		}
	}
	beyond := func(sd float64) float64 { return math.Erfc(3 / sd / math.Sqrt2) } // of a normal distribution, farther off than 3
	if excess := float64(len(far))/float64(len(own)) - beyond(1); excess > 0 && n.SD > 0 {
		n.OutlierScale = rootMeanSquare(far) / n.SD
		n.OutlierShare = excess / beyond(n.OutlierScale)
	}
	return n
}

// residuals returns block values less the estimate of their series, scaled for the degree of freedom that it took.
func residuals(values []float64) (out []float64) {
	if len(values) < minScreenBlocks {
		return nil
	}
	center, grow := shift(values), math.Sqrt(float64(len(values))/float64(len(values)-1))
	for _, v := range values {
		out = append(out, (v-center)*grow)
	}
	return out
}

// rowOf returns the values of a block, of the cells that have it.
func rowOf(cells [][]float64, block int) (row []float64) {
	for _, values := range cells {
		if block < len(values) {
			row = append(row, values[block])
		}
	}
	return row
}

// ownParts subtracts from each value the median of the others, and scales for the variance that this adds.
func ownParts(row []float64) []float64 {
	if len(row) < 2 {
		return row
	}
	out := make([]float64, len(row))
	shrink := math.Sqrt(1 + medianVariance(len(row)-1))
	for i, v := range row {
		others := slices.Concat(row[:i], row[i+1:])
		out[i] = (v - stat.Median(others)) / shrink
	}
	return out
}

// medianVariance is about the variance of the median of n values of a standard normal distribution: π/2n for many, with
// offsets that make it exact for 1 and 2 and right to 3 % from there on.
func medianVariance(n int) float64 {
	if n%2 == 1 {
		return math.Pi / 2 / (float64(n) + math.Pi/2 - 1)
	}
	return math.Pi / 2 / (float64(n) + math.Pi - 2)
}

func square(x float64) float64 { return x * x }

func rootMeanSquare(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(x)))
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
