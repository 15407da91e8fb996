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

// TestMaskScoresByThemselves holds the mean of a mask's cells to errors of its own sigmoids, which no cell shares with another: from exact
// logits the spread falls with the root of the number of cells.
func TestMaskScoresByThemselves(t *testing.T) {
	const side = 16
	b := graph.NewBuilder("case")
	logits := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 2, side, side}})
	node := b.Add("node", graph.BoxMask{ImageHeight: side, ImageWidth: side}, logits, b.Input("boxes", graph.Type{DType: tensor.Float32, Shape: []int{1, 2, 4}}))[0].Producer
	boxes := tensor.Must(tensor.Of([]float64{0, 0, side, side, 4, 4, 5, 5}, 1, 2, 4))
	x := tensor.New(tensor.Float64, 1, 2, side, side)
	scores := tensor.Must(tensor.Of([]float64{0.5, 0.5}, 1, 2))
	out, err := strictest().Node(t.Context(), node, []budget.Value{{Tensor: x}, {Tensor: boxes}}, []*tensor.Tensor{x, scores})
	if err != nil {
		t.Fatal(err)
	}
	const cell = 3 * budget.Unit // an elementary function at 1/2
	for i, n := range []float64{side * side, 1} {
		want := math.Hypot(cell/math.Sqrt(n), budget.Unit*math.Sqrt(0.25+0.25*math.Sqrt(n))) // beside what the mean itself rounds
		if got := out[1].Spread[i]; math.Abs(got-want) > 1e-9*want {
			t.Errorf("the mean of %g cells has the spread %g, want %g", n, got, want)
		}
	}
}
