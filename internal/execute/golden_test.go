package execute

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
)

// TestGoldenCases runs the golden cases on every backend and compares all outputs and intermediates with the original's:
// integers equal, floats within 1e-4 absolute or 1e-3 relative.
func TestGoldenCases(t *testing.T) {
	ctx := context.Background()
	type session struct {
		backend   backends.Backend
		precision backends.Precision
	}
	sessions := []session{{reference.New(), backends.FP32}, {reference.New(), backends.FP64}, {ort.New(), backends.FP32}}
	for _, b := range onDevices(t) {
		sessions = append(sessions, session{b, backends.FP32})
	}
	for _, name := range fixtures.GoldenCases() {
		c := goldenCase(t, name)
		for _, b := range sessions {
			t.Run(name+"/"+b.backend.Name()+"/"+string(b.precision), func(t *testing.T) {
				backendtest.SkipWithout(t, b.backend)
				res, err := Once(ctx, b.backend, c.model, c.input, c.decode, backends.Options{Precision: b.precision, Taps: []string{"all"}})
				if err = errors.Join(err, res.Err); err != nil {
					t.Fatal(err)
				}
				c.check(t, res.Outputs)
				c.compare(t, res.Outputs)
			})
		}
	}
}

// golden is one case: what goes in, and what the original gave.
type golden struct {
	model   *source.Model
	input   source.Input
	decode  model.Decode
	outputs tensor.List
	taps    []fixtures.Tap
}

func goldenCase(t *testing.T, name string) golden {
	t.Helper()
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: []string{"model.input_height=512", "model.input_width=512",
		"routing.budget_total=16", "routing.budget_b1=6.4", "routing.budget_b2=4"}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := fixtures.Golden(name)
	if err != nil {
		t.Fatal(err)
	}
	c := golden{model: m, decode: model.DefaultDecode()}
	for _, n := range f.Names() {
		stored, _ := f.Tensor(n)
		output, isOutput := strings.CutPrefix(n, "out.")
		if !isOutput && n != "image" {
			continue
		}
		v, err := source.FromSafetensors(stored)
		if err != nil {
			t.Fatal(err)
		}
		if isOutput {
			c.outputs = append(c.outputs, tensor.Named{Name: output, Tensor: v})
		} else {
			c.input = source.Input{Name: name, Image: v}
		}
	}
	c.decode.MaxDetections = c.outputs.Get("scores").Shape()[1]
	if c.taps, err = fixtures.Taps(f); err != nil {
		t.Fatal(err)
	}
	return c
}

// compare judges the outputs as a matrix judges stored expectations: those of the original obey their own scores and boxes too.
func (c golden) compare(t *testing.T, got tensor.List) {
	t.Helper()
	var outputs tensor.List
	for _, want := range c.outputs {
		outputs = append(outputs, tensor.Named{Name: want.Name, Tensor: got.Get(want.Name)})
	}
	setting := ParityCase(&source.Case{Input: c.input, Model: c.model, Decode: c.decode}).Setting
	r := parity.CompareOutputs(c.outputs, outputs, parity.Options{Policy: parity.GoldenPolicy(), Setting: setting})
	if !r.State.Holds() {
		t.Errorf("%s: %s", r.State, r.Summary())
	}
}

func (c golden) check(t *testing.T, got tensor.List) {
	t.Helper()
	for _, want := range c.outputs {
		if r := parity.Compare(want.Tensor, got.Get(want.Name), parity.Golden); !r.Passed {
			t.Errorf("%s: %d of %d mismatch, max abs %g", want.Name, r.MismatchCount, r.TotalCount, float64(r.MaxAbsErr))
		}
	}
	for _, tap := range c.taps {
		whole := got.Get("tap." + tap.Name)
		if whole == nil {
			t.Errorf("there is no tap %s", tap.Name)
			continue
		}
		var kept []float64
		for i, v := range whole.Float64s() {
			if i%tap.Stride == 0 {
				kept = append(kept, v)
			}
		}
		want, sampled := tensor.Must(tensor.Of(tap.Values, len(tap.Values))), tensor.Must(tensor.Of(kept, len(kept)))
		if r := parity.Compare(want, sampled, parity.Golden); !r.Passed {
			t.Errorf("tap %s: %d of %d mismatch, max abs %g", tap.Name, r.MismatchCount, r.TotalCount, float64(r.MaxAbsErr))
		}
	}
}

// TestLowPrecisionsAreComputed: a whole run rounds where the lowered graph does, whatever an optimiser made of its casts. Of two honest
// sessions each lies as far from fp32 as the precision costs, and they are nearer to each other, since most sums round alike; a session
// that left out roundings would be as far from the other as fp32 is.
func TestLowPrecisionsAreComputed(t *testing.T) {
	ctx := context.Background()
	c := goldenCase(t, fixtures.Golden512)
	backendtest.SkipWithout(t, ort.New())
	logits := func(b backends.Backend, p backends.Precision) []float64 {
		res, err := Once(ctx, b, c.model, c.input, c.decode, backends.Options{Precision: p})
		if err = errors.Join(err, res.Err); err != nil {
			t.Fatal(err)
		}
		return res.Outputs.Get("semantic_logits").Float64s()
	}
	full := logits(reference.New(), backends.FP32)
	for _, p := range []backends.Precision{backends.TF32, backends.FP16, backends.BF16} {
		ours, theirs := logits(reference.New(), p), logits(ort.New(), p)
		cost, theirCost, apart := rms(ours, full), rms(theirs, full), rms(ours, theirs)
		if r := theirCost / cost; r < 0.8 || r > 1.25 {
			t.Errorf("%s costs %.2g on the reference and %.2g on ONNX Runtime", p, cost, theirCost)
		}
		if r := apart / cost; !(r < 0.7) {
			t.Errorf("in %s the two backends are %.2g apart, and %.2g from fp32", p, apart, cost)
		}
		t.Logf("%s: %.2g and %.2g from fp32, %.2g from each other", p, cost, theirCost, apart)
	}
}

// rms is the root mean square of the differences.
func rms(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum / float64(len(a)))
}
