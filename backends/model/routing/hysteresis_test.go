package routing

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/internal/must"
)

func TestHysteresis(t *testing.T) {
	const none = -1
	nan := math.NaN()
	for _, c := range []struct {
		u         []float64
		previous  []int
		maxActive int
		want      []int
	}{
		{[]float64{.7, .5, .3}, []int{0, 1, 1}, none, []int{1, 1, 0}},
		{[]float64{.6, .4}, []int{1, 1}, none, []int{1, 0}},
		{[]float64{.6, .5, nan}, []int{0, 2, 1}, none, []int{0, 0, 0}},
		{[]float64{.91, .90, .89}, []int{1, 0, 1}, 2, []int{1, 0, 1}},
		{[]float64{.91, .95, .95, .7}, []int{0, 0, 0, 0}, 2, []int{0, 1, 1, 0}},
		{[]float64{.5, .99, .98}, []int{1, 0, 0}, 2, []int{1, 1, 0}},
		{[]float64{.5, .99, .98}, []int{1, 0, 0}, 0, []int{0, 0, 0}},
		{[]float64{.9, .9, .9}, []int{0, 0, 0}, 2, []int{1, 1, 0}},
	} {
		got, err := Hysteresis(c.u, c.previous, Thresholds{.6, .4})
		if c.maxActive != none {
			got, err = HysteresisWithBudget(c.u, c.previous, Thresholds{.6, .4}, c.maxActive)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v after %v, at most %d: %v (%v), want %v", c.u, c.previous, c.maxActive, got, err, c.want)
		}
	}
}

func TestHeldSelection(t *testing.T) {
	for _, c := range []struct {
		u        []float64
		previous []int
		count    int
		want     []int
	}{
		{[]float64{.1, .9, .5, .9}, []int{0, 0, 0, 0}, 3, []int{1, 3, 2}}, // nothing to hold
		{[]float64{.5, .55, .9}, []int{1, 0, 0}, 2, []int{2, 0}},          // 0 stays on before 1 is above On
		{[]float64{.5, .61, .9}, []int{1, 0, 0}, 2, []int{2, 0}},          // even then: held tiles come first
		{[]float64{.39, .41, .9}, []int{1, 0, 0}, 2, []int{2, 1}},         // 0 is off
		{[]float64{.2, .3, .9}, []int{1, 0, 0}, 2, []int{2, 0}},           // below Off what was on fills the room
		{[]float64{.2, .3, .1}, []int{0, 0, 1}, 2, []int{1, 2}},           //
		{[]float64{.2, .3, .1}, []int{1, 1, 1}, 0, []int{}},               //
		{[]float64{.7, .8, .7}, []int{1, 0, 1}, 3, []int{1, 0, 2}},        // all
		{[]float64{.7, .8, .7, .5}, []int{1, 0, 1, 1}, 2, []int{0, 2}},    // more are held than fit
		{[]float64{math.NaN(), .1, .2}, []int{1, 0, 0}, 2, []int{2, 0}},   // a NaN is off, and was on
	} {
		got, err := HeldSelection(c.u, c.previous, Thresholds{.6, .4}, c.count)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%d of %v after %v: %v (%v), want %v", c.count, c.u, c.previous, got, err, c.want)
		}
	}
	for _, count := range []int{-1, 4} {
		if _, err := HeldSelection([]float64{1, 2, 3}, []int{0, 0, 0}, Thresholds{.6, .4}, count); err == nil {
			t.Errorf("%d of 3 tiles were selected", count)
		}
	}
}

// TestHeldSelectionFlickersLess follows utilities that waver about each other, and compares with the choice of the highest ones,
// which is also what is held where nothing was on.
func TestHeldSelectionFlickersLess(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const tiles, count = 24, 7
	var held, greedy [][]int
	previous := make([]int, tiles)
	for range 200 {
		u := make([]float64, tiles)
		for i := range u {
			u[i] = float64(i)/tiles + .2*r.Float64()
		}
		free := must.Get(HeldSelection(u, make([]int, tiles), Thresholds{.8, .6}, count))(t)
		best := must.Get(Greedy(u, slices.Repeat([]float64{1}, tiles), count, tiles))(t).Selected
		if !slices.Equal(free, best) {
			t.Fatalf("with nothing on: %v, want %v", free, best)
		}
		selected := must.Get(HeldSelection(u, previous, Thresholds{.8, .6}, count))(t)
		previous = maskOf(selected, tiles)
		held, greedy = append(held, previous), append(greedy, maskOf(best, tiles))
	}
	a, b := must.Get(SummarizeStability(held))(t), must.Get(SummarizeStability(greedy))(t)
	if a.FlipRate > b.FlipRate/4 || a.PeakActiveTiles != count || b.FlipRate < .05 {
		t.Errorf("held %+v, greedy %+v", a, b)
	}
}

func maskOf(ids []int, n int) []int {
	mask := make([]int, n)
	for _, id := range ids {
		mask[id] = 1
	}
	return mask
}

func TestStability(t *testing.T) {
	want := TemporalStability{TotalToggles: 2, FlipRate: .5, TemporalConsistency: .5, MeanActiveRatio: 4. / 6, PeakActiveTiles: 2, FrameCount: 3, TileCount: 2}
	if got := must.Get(SummarizeStability([][]int{{0, 1}, {1, 1}, {1, 0}}))(t); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, c := range []struct {
		masks [][]int
		want  TemporalStability
	}{
		{nil, TemporalStability{TemporalConsistency: 1}},
		{[][]int{{}, {}}, TemporalStability{TemporalConsistency: 1, FrameCount: 2}},
		{[][]int{{1, 3}}, TemporalStability{TemporalConsistency: 1, FrameCount: 1, TileCount: 2, MeanActiveRatio: .5, PeakActiveTiles: 1}},
	} {
		if got := must.Get(SummarizeStability(c.masks))(t); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.masks, got, c.want)
		}
	}
	_, err := SummarizeStability([][]int{{1}, {1, 0}})
	must.Fail(t, err, "same length")
}

func TestHysteresisErrors(t *testing.T) {
	for _, h := range []Thresholds{{.4, .4}, {.3, .4}, {math.NaN(), .4}, {.6, math.NaN()}} {
		_, err := Hysteresis([]float64{1}, []int{0}, h)
		must.Fail(t, err, "theta_on must be > theta_off")
	}
	_, err := Hysteresis([]float64{1}, nil, Thresholds{.6, .4})
	must.Fail(t, err, "same length")
	_, err = HysteresisWithBudget(nil, nil, Thresholds{}, -1)
	must.Fail(t, err, "max_active must be >= 0")
}
