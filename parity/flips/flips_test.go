package flips

import (
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
)

// TestVary draws variations that depend on the seed alone: those of two executions are equally far from what each computed.
func TestVary(t *testing.T) {
	statistics := tensor.New(tensor.Float32, 1, 4, 3)
	for i := range tensor.Data[float32](statistics) {
		tensor.Data[float32](statistics)[i] = float32(i + 1)
	}
	doubled := statistics.Clone()
	for i := range tensor.Data[float32](doubled) {
		tensor.Data[float32](doubled)[i] *= 2
	}
	const n = 30
	a, b := tensor.Data[float32](vary(statistics, n, 5)), tensor.Data[float32](vary(doubled, n, 5))
	ties, near := 0, 0
	for i := range n {
		one := a[i*12 : (i+1)*12]
		for j := range one {
			if b[i*12+j] != 2*one[j] {
				t.Fatalf("variation %d of number %d: %g and %g", i, j, one[j], b[i*12+j])
			}
		}
		for first := range 4 {
			for second := range first {
				x, y := one[3*first], one[3*second]
				if slices.Equal(one[3*first:3*first+3], one[3*second:3*second+3]) {
					ties++
				} else if d := x/y - 1; d < 1e-5 && d > -1e-5 {
					near++
				}
			}
		}
	}
	if ties < n/kinds || near == 0 {
		t.Errorf("%d ties and %d near ties among %d variations", ties, near, n)
	}
	if !slices.Equal(a[:12], tensor.Data[float32](statistics)) {
		t.Errorf("the first variation is %v", a[:12])
	}
}

// TestPlants changes what was chosen into what cannot be right by the utilities beside it, and nothing else.
func TestPlants(t *testing.T) {
	outputs := tensor.List{
		{Name: "utilities", Tensor: tensor.Must(tensor.Of([]float32{4, 3, 2, 1, 1, 2, 3, 4}, 2, 4))},
		{Name: "tiles_l0", Tensor: tensor.Must(tensor.Of([]int64{0, 1, -1, 3, 2, -1}, 2, 3))},
		{Name: "valid_l0", Tensor: tensor.Must(tensor.Of([]int64{2, 2}, 2))},
	}
	for i, want := range [][]int64{{0, 2, -1, 3, 1, -1}, {1, 0, -1, 2, 3, -1}} {
		wrong, has := plants[i].into(outputs)
		if got := tensor.Data[int64](wrong.Get("tiles_l0")); !slices.Equal(got, want) || !slices.Equal(has, []bool{true, true}) {
			t.Errorf("%s: %v %v, want %v", plants[i].name, got, has, want)
		}
	}
	if got := tensor.Data[int64](outputs.Get("tiles_l0")); !slices.Equal(got, []int64{0, 1, -1, 3, 2, -1}) {
		t.Errorf("the outputs of the execution itself became %v", got)
	}
	all := slices.Clone(outputs)
	all[1].Tensor, all[2].Tensor = tensor.Must(tensor.Of([]int64{0, 1, 2, 3, 3, 2, 1, 0}, 2, 4)), tensor.Must(tensor.Of([]int64{4, 4}, 2))
	if _, has := plants[0].into(all); slices.Contains(has, true) {
		t.Error("a runner-up is taken where every tile was chosen")
	}
}

// TestHolds counts inputs by the worst that happened to them, and lets nothing pass that is open.
func TestHolds(t *testing.T) {
	verdicts, rerouted := worst([]parity.Decision{
		{Image: 1, Verdict: parity.Tied, Kind: parity.OrderFlip, Output: "tiles_l0"}, {Image: 2, Verdict: parity.Explained, Kind: parity.Membership, Output: "tiles_l0"},
		{Image: 2, Verdict: parity.Tied, Kind: parity.OrderFlip, Output: "tiles_l0"}, {Image: 3, Verdict: parity.Bug, Kind: parity.Membership, Output: "tiles_l1"},
	}, 5)
	if !slices.Equal(verdicts, []parity.Verdict{"", parity.Tied, parity.Explained, parity.Bug, ""}) || !slices.Equal(rerouted, []bool{false, false, true, false, false}) {
		t.Errorf("%v %v", verdicts, rerouted)
	}
	var tally Tally
	tally.count(verdicts)
	if tally != (Tally{Same: 2, Tied: 1, Explained: 1, Bugs: 1}) {
		t.Errorf("%+v", tally)
	}
	good := func() *Result {
		return &Result{Inputs: 9, Pairs: []Tally{{Same: 6, Explained: 3, Rerouted: 2, Verified: 2}}, Planted: []Plant{{Planted: 4, Called: 4}}}
	}
	if !good().Holds() {
		t.Error("it does not hold")
	}
	for name, spoil := range map[string]func(*Result){
		"a bug": func(r *Result) { r.Pairs[0].Bugs = 1 }, "an unproven flip": func(r *Result) { r.Pairs[0].Unproven = 1 },
		"a flip that was not verified": func(r *Result) { r.Pairs[0].Verified = 1 }, "a missed plant": func(r *Result) { r.Planted[0].Called = 3 },
		"nothing planted": func(r *Result) { r.Planted[0] = Plant{} }, "no inputs": func(r *Result) { r.Inputs = 0 },
	} {
		r := good()
		if spoil(r); r.Holds() {
			t.Errorf("with %s it holds", name)
		}
	}
	var text strings.Builder
	if err := good().Text(&text); err != nil || !strings.Contains(text.String(), "9 router inputs") || !strings.Contains(text.String(), "2/2") {
		t.Errorf("%s, %v", text.String(), err)
	}
}
