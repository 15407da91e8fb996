package budget_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// TestMeanOfUpsampledErrors averages maps whose cells have the errors of a level 4 times as coarse, one for each block of 4×4: the spread of a
// mean is that of the blocks' mean, not of as many independent cells, and of a box within one block that of a cell.
func TestMeanOfUpsampledErrors(t *testing.T) {
	const side, trials = 16, 400
	boxes := []float64{0, 0, side, side, 4, 4, 8, 8}
	b := graph.NewBuilder("case")
	v := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 1, side, side}})
	node := b.Add("node", graph.RoiMeanPool{ImageHeight: side, ImageWidth: side}, v, b.Input("boxes", graph.Type{DType: tensor.Float32, Shape: []int{1, 2, 4}}))[0].Producer
	x := budget.Value{Tensor: tensor.New(tensor.Float64, 1, 1, side, side), Spread: make([]float64, side*side)}
	for i := range x.Spread {
		x.Spread[i] = 1
	}
	out, err := strictest().Node(t.Context(), node, []budget.Value{x, {Tensor: tensor.Must(tensor.Of(boxes, 1, 2, 4))}}, []*tensor.Tensor{tensor.New(tensor.Float64, 1, 2, 1)})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var whole, one float64 // sums of squared errors of the two means
	for range trials {
		mean := 0.0
		for range side * side / 16 {
			block := rng.NormFloat64()
			mean += block / (side * side / 16)
			one += block * block / (side * side / 16)
		}
		whole += mean * mean
	}
	for i, seen := range []float64{math.Sqrt(whole / trials), math.Sqrt(one / trials)} {
		if got := out[0].Spread[i]; math.Abs(got-seen) > 0.15*seen {
			t.Errorf("box %d: the spread is %g, and means are off by %g", i, got, seen)
		}
	}
}
