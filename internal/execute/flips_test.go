package execute

import (
	"context"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/flips"
)

// flipCheck routes few inputs in float64, and on a backend in other precisions.
func flipCheck(t *testing.T, b backends.Backend, precisions ...backends.Precision) FlipCheck {
	t.Helper()
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: source.BuiltinOverrides})
	if err != nil {
		t.Fatal(err)
	}
	c := FlipCheck{Model: m, Images: 3, PerImage: 40, Seed: 3, Pictures: [][]byte{fixtures.Photos()[0].Data},
		Executions: []flips.Execution{{Column: parity.Column{Backend: "reference", Precision: backends.FP64}, Backend: reference.New()}}}
	for _, p := range precisions {
		c.Executions = append(c.Executions, flips.Execution{Column: parity.Column{Backend: b.Name(), Precision: p}, Backend: b})
	}
	return c
}

// TestFlipsAreExplained routes inputs in honest executions, among them near ties: what they choose otherwise is explained and verified, and
// selections that are wrong on purpose are called bugs. apexx selfcheck decisions asks 30,000 inputs.
func TestFlipsAreExplained(t *testing.T) {
	for _, b := range []backends.Backend{reference.New(), ort.New()} {
		if !b.Probe(t.Context()).Available {
			continue
		}
		r, err := CheckFlips(t.Context(), flipCheck(t, b, backends.FP32, backends.BF16))
		if err != nil {
			t.Fatal(err)
		}
		flipped := 0
		for _, p := range r.Pairs {
			flipped += p.Rerouted
			if n := p.Same + p.Tied + p.Explained + p.Unproven + p.Bugs; n != r.Inputs || r.Inputs != 120 {
				t.Errorf("%s: %d of %d inputs are counted", p.Pair, n, r.Inputs)
			}
		}
		if !r.Holds() || flipped == 0 {
			t.Errorf("%s: %d inputs chose other tiles, %+v", b.Name(), flipped, r)
		}
	}
}

// TestUnexplainedFlips routes in an execution that chooses by other numbers than those that it tells: its flips are no rounding.
func TestUnexplainedFlips(t *testing.T) {
	wrong := &stale{Backend: reference.New()}
	r, err := CheckFlips(t.Context(), flipCheck(t, wrong, backends.FP32))
	if err != nil {
		t.Fatal(err)
	}
	if r.Holds() || r.Pairs[0].Bugs == 0 || r.Pairs[0].First == "" {
		t.Errorf("%+v", r.Pairs[0])
	}
}

// stale is a backend that lists the tiles of the run before.
type stale struct {
	backends.Backend
	before *tensor.Tensor
}

// Compile implements backends.Backend.
func (s *stale) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	return spoiler{s.Backend, func(out tensor.List) {
		for i := range out {
			if out[i].Name == "tiles_l0" {
				now := out[i].Tensor
				if s.before != nil {
					out[i].Tensor = s.before
				}
				s.before = now
			}
		}
	}}.Compile(ctx, g, opts)
}
