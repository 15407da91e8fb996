package execute

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/budget"
	"github.com/apex-x/apexx/parity/faults"
	"github.com/apex-x/apexx/parity/locate"
)

// ParityCheck asks what the comparer finds of faults planted into a backend.
type ParityCheck struct {
	Backend backends.Backend
	Options backends.Options
	Profile string // of tolerances
	Places  int    // at which every fault is planted, in each of its sizes
	Clean   int    // inputs on which the backend runs without a fault
	Seed    uint64
	OnTrial func(done, of int) // nil for none
}

// checkedModel is a complete small model that has every operator, in two images: small enough that a trial takes milliseconds.
func checkedModel() (*graph.Graph, error) {
	m, err := source.Open(source.ModelRequest{Weights: "hashed:11", Set: []string{"model.profile=nano", "model.num_classes=3", "model.tile_size_l0=4", "model.tile_size_l1=2",
		"model.tile_size_l2=1", "model.input_height=32", "model.input_width=32", "model.pv_channels=[16, 24, 32]", "model.ff_channels=[24, 32]", "routing.budget_b1=2.4", "routing.budget_b2=2"}})
	if err != nil {
		return nil, err
	}
	d := model.DefaultDecode()
	d.MaxDetections = 8
	return m.Graph(model.Options{Batch: 2, Height: 64, Width: 96, Decode: d})
}

// checkedImage draws two images of blocks with a little noise: a picture has edges and flat places, and noise has neither.
func checkedImage(seed uint64) *tensor.Tensor {
	rng := rand.New(rand.NewPCG(seed, 3))
	image := tensor.New(tensor.Float32, 2, 3, 64, 96)
	data := tensor.Data[float32](image)
	for p := range 6 {
		plane := data[p*64*96 : (p+1)*64*96]
		for i := range plane {
			plane[i] = 0.4 + 0.1*rng.Float32()
		}
		for range 12 {
			y0, x0, v := rng.IntN(48), rng.IntN(80), rng.Float32()
			for i := range 16 * 16 {
				plane[(y0+i/16)*96+x0+i%16] = v
			}
		}
	}
	return image
}

// CheckParity plants every fault of the catalogue, and runs the backend without one.
func CheckParity(ctx context.Context, c ParityCheck) (*faults.Selfcheck, error) {
	g, err := checkedModel()
	if err != nil {
		return nil, err
	}
	precision := c.Options.Precision
	result := faults.NewSelfcheck(fmt.Sprintf("%s/%s", c.Backend.Name(), precision), c.Profile, budget.Factors[c.Profile])
	oracle, side := reference.New(), locate.Side{Backend: c.Backend, Options: c.Options}
	prepare := func(seed uint64) (*locate.Bench, error) {
		return locate.Prepare(ctx, locate.Spec{Graph: g, Inputs: tensor.List{{Name: "image", Tensor: checkedImage(seed)}}, Candidate: side, Oracle: oracle, Profile: c.Profile,
			Reference: locate.Side{Backend: oracle, Options: backends.Options{Precision: precision, Threads: c.Options.Threads}}})
	}
	bench, err := prepare(c.Seed)
	if err != nil {
		return nil, err
	}
	subject := &faults.Subject{Graph: g, Bench: bench, Candidate: side, Oracle: oracle}
	planned := subject.Plan(c.Places, c.Seed)
	progress := func(done int) {
		if c.OnTrial != nil {
			c.OnTrial(done, len(planned)+c.Clean)
		}
	}
	for i, x := range planned {
		trial, err := subject.Check(ctx, x)
		if err != nil {
			return nil, err
		}
		result.Add(&trial)
		progress(i + 1)
	}
	for i := range c.Clean {
		if i > 0 {
			if bench, err = prepare(c.Seed + uint64(i)); err != nil {
				return nil, err
			}
		}
		errors, err := bench.Force(ctx, side)
		if err != nil {
			return nil, err
		}
		for j := range errors {
			result.Cells++
			result.Largest = max(result.Largest, float64(errors[j].Ratio))
			if !errors[j].Within() {
				result.False = append(result.False, fmt.Sprintf("input %d, step %s: %.3g of the budget", i, bench.Steps()[j].Name, float64(errors[j].Ratio)))
			}
		}
		progress(len(planned) + i + 1)
	}
	return result, nil
}
