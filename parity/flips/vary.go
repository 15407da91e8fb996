package flips

import (
	"math"
	"math/rand/v2"

	"github.com/apex-x/apexx/backends/tensor"
)

// The kinds of variations, in turn. The first of all inputs is as it was computed.
const (
	noisy    = iota // every number of every tile is multiplied by 1 + noise, from 1e-7 to 1e-1
	nearTie         // some tiles get the numbers of others, but for the last digits
	exactTie        // some tiles get the numbers of others
	kinds
)

// vary returns n variations of the statistics [1,K,C] of a picture, [n,K,C]. They depend on the seed alone and not on the statistics, so that
// every execution is given the same ones of what it computed.
func vary(statistics *tensor.Tensor, n int, seed uint64) *tensor.Tensor {
	tiles, width := statistics.Shape()[1], statistics.Shape()[2]
	out := tensor.New(tensor.Float32, n, tiles, width)
	data, size := tensor.Data[float32](out), tiles*width
	for i := range n {
		one := data[i*size : (i+1)*size]
		for j, v := range statistics.Float64s() {
			one[j] = float32(v)
		}
		if i == 0 {
			continue
		}
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		switch i % kinds {
		case noisy:
			scale := math.Pow(10, -1-6*r.Float64())
			for j := range one {
				one[j] *= float32(1 + scale*r.NormFloat64())
			}
		case nearTie:
			copyTiles(r, one, width, func(v float32) float32 { return v * float32(1+r.NormFloat64()*0x1p-22) })
		case exactTie:
			copyTiles(r, one, width, func(v float32) float32 { return v })
		}
	}
	return out
}

// copyTiles gives half of the tiles, drawn, the numbers of others.
func copyTiles(r *rand.Rand, one []float32, width int, changed func(float32) float32) {
	tiles := len(one) / width
	for range max(1, tiles/2) {
		from, to := r.IntN(tiles), r.IntN(tiles)
		for j := range width {
			one[to*width+j] = changed(one[from*width+j])
		}
	}
}
