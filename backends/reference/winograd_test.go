package reference

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Every layer that is convolved by Winograd's algorithm, fed what it reads in a run of the trained model, is within half of what the
// balanced profile allows an operator, compared with the same layer in float64: its bound is 5e-6 + 5e-5·|y|, and of 10,000 elements
// one may reach 10 times as far (spec/runtime.md 6.4). Here of 100,000 one may.
func TestWinogradError(t *testing.T) {
	g, inputs := nano512(t)
	layers := winogradSteps(open(t, g, fp32()).Plan())
	if len(layers) < 20 {
		t.Fatalf("%d layers are convolved by Winograd's algorithm, want most of those of 3×3 and stride 1", len(layers))
	}
	set := fp32()
	for _, l := range layers {
		if !slices.Contains(set.taps, l.Inputs[0]) {
			set.taps = append(set.taps, l.Inputs[0])
		}
	}
	run := outputs(t, g, inputs, set)
	for _, l := range layers {
		x, y := valueOf(t, g, l.Inputs[0]), valueOf(t, g, l.Outputs[0])
		layer, err := g.Cut([]*graph.Value{x}, []*graph.Value{y})
		require(t, err)
		in := tensor.List{{Name: x.Name, Tensor: run.Get("tap." + x.Name).Clone()}}
		want := outputs(t, layer, in, fp64())[0].Float64s()
		beyond, worst := againstTolerance(outputs(t, layer, in, fp32())[0].Float64s(), want, 0.5)
		t.Logf("%-40s at most %.2f of half the tolerance, %d of %d elements beyond", l.Name, worst, beyond, len(want))
		if !(worst <= 10) || beyond > len(want)/100_000 {
			t.Errorf("%s takes up to %.2f of half the tolerance, %d of %d elements more than 1", l.Name, worst, beyond, len(want))
		}
	}
}

func winogradSteps(plan backends.Plan) []backends.Step {
	return slices.DeleteFunc(plan.Steps, func(s backends.Step) bool { return !strings.HasPrefix(s.Op, "Winograd") })
}

func valueOf(t *testing.T, g *graph.Graph, name string) *graph.Value {
	t.Helper()
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v.Name == name {
				return v
			}
		}
	}
	t.Fatalf("no value %s", name)
	return nil
}

// againstTolerance returns how many elements err by more than a share of 5e-6 + 5e-5·|want|, and the largest error as a multiple of that.
func againstTolerance(got, want []float64, share float64) (beyond int, worst float64) {
	for i, w := range want {
		d := math.Abs(got[i]-w) / (share * (5e-6 + 5e-5*math.Abs(w)))
		if !(d <= 1) {
			beyond++
		}
		if !(d <= worst) {
			worst = d
		}
	}
	return beyond, worst
}

// Winograd's algorithm is for fp32 alone, can be turned off, and the plan tells where it is used.
func TestWinogradOption(t *testing.T) {
	g, _ := nano512(t)
	for _, c := range []struct {
		precision backends.Precision
		extra     map[string]string
		used      bool
		err       string
	}{
		{"", nil, true, ""},
		{backends.FP32, map[string]string{"winograd": "on"}, true, ""},
		{backends.FP32, map[string]string{"winograd": "off"}, false, ""},
		{backends.FP64, map[string]string{"winograd": "on"}, false, ""},
		{backends.TF32, nil, false, ""},
		{backends.FP16, nil, false, ""},
		{backends.BF16, nil, false, ""},
		{"", map[string]string{"winograd": "fast"}, false, `unknown value "fast" of the option winograd (want on or off)`},
		{"", map[string]string{"algorithm": "on"}, false, `unknown option "algorithm" of the backend reference (known: unfused, winograd)`},
	} {
		s, err := New().Compile(t.Context(), g, backends.Options{Precision: c.precision, Extra: c.extra})
		if err != nil || c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%+v: error %v", c, err)
			}
			continue
		}
		if used := len(winogradSteps(s.(*session).Plan())) > 0; used != c.used {
			t.Errorf("%+v: used is %v", c, used)
		}
		require(t, s.Close())
	}
}
