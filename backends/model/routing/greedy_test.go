package routing

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/internal/must"
)

func repeat(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

func countdown(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(n - i)
	}
	return out
}

func TestGreedy(t *testing.T) {
	for _, c := range []struct {
		name             string
		utilities, costs []float64
		budget           float64
		kmax             int
		want             string
		spent            float64
	}{
		{"equal costs", []float64{.1, .9, .8}, []float64{1, 1, 2}, 2, 2, "1 0", 2},
		{"ties by id", []float64{3, 6, 2}, []float64{1.5, 3, 1}, 4, 2, "0 2", 2.5},
		{"golden a", []float64{.3, 1.1, .9, .2, .8}, []float64{1, 1, 2, .5, 1.5}, 3, 3, "1 4 3", 3},
		{"one fits", []float64{.9, .5, .4, .3}, repeat(1.1, 4), 2, 3, "0", 1.1},
		{"all tie", []float64{2, 4, 1, 8}, []float64{1, 2, .5, 4}, 4, 3, "0 1 2", 3.5},
		{"tiny costs", []float64{.5, .4, .3, .2}, []float64{0, 1e-12, .15, .15}, .30, 4, "0 1 2 3", 0.300000000001},
		{"negative utilities", []float64{-1, -.5, .2}, repeat(1, 3), 3, 3, "2 1 0", 3},
		{"needs the slack", repeat(1, 3), repeat(.1, 3), .3, 3, "0 1 2", 0.30000000000000004},
		{"past the slack", repeat(1, 3), repeat(.1, 3), .2999999985, 3, "0 1", 0.2},
		{"negative cost", repeat(1, 3), []float64{1, 1, -.5}, 1, 3, "2 0", 0.5},
		{"model pin", countdown(16), repeat(1.0-0.2, 16), 2.4, 4, "0 1 2", 2.4000000000000004},
		{"skip, don't stop", []float64{5, 4, 3}, []float64{2, 2, 1}, 3, 3, "2 0", 3},
		{"negative zero", []float64{math.Copysign(0, -1), 0}, repeat(1, 2), 3, 1, "0", 1},
		{"empty", nil, nil, 0, 2, "", 0},
		{"no capacity", []float64{1, 2}, repeat(1, 2), 9, 0, "", 0},
		{"capacity", repeat(1, 128), repeat(1, 128), 1000, 5, "0 1 2 3 4", 5},
		{"descending", countdown(100), repeat(1, 100), 1000, 7, "0 1 2 3 4 5 6", 7},
		{"budget 0 takes free tiles", []float64{1, 2}, []float64{1e-9, 1}, 0, 2, "0", 1e-9},
	} {
		r, err := Greedy(c.utilities, c.costs, c.budget, c.kmax)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := parseInts(t, c.want)
		if !slices.Equal(r.Selected, want) || r.Spent != c.spent || r.ValidCount != len(want) {
			t.Errorf("%s: selected %v for %v (%d), want %v for %v", c.name, r.Selected, r.Spent, r.ValidCount, want, c.spent)
		}
		buffer := append(want, slices.Repeat([]int{Pad}, c.kmax-len(want))...)
		if !slices.Equal(r.Buffer, buffer) || len(r.Scores) != len(c.utilities) || len(r.Candidates) != len(c.utilities) {
			t.Errorf("%s: buffer %v, %d scores, %d candidates", c.name, r.Buffer, len(r.Scores), len(r.Candidates))
		}
	}
}

func TestGreedyScores(t *testing.T) {
	r := must.Get(Greedy([]float64{.5, .4, .3, .2}, []float64{0, 1e-12, .15, .15}, .3, 4))(t)
	if want := []float64{499999999.99999994, 400000000, 2, 1.3333333333333335}; !slices.Equal(r.Scores, want) {
		t.Errorf("scores %v, want %v", r.Scores, want)
	}
	r = must.Get(Greedy([]float64{.3, 1.1, .9, .2, .8}, []float64{1, 1, 2, .5, 1.5}, 3, 0))(t)
	if want := []int{1, 4, 2, 3, 0}; !slices.Equal(r.Candidates, want) {
		t.Errorf("candidates %v, want %v", r.Candidates, want)
	}
	r = must.Get(Greedy([]float64{1, 1e300}, []float64{1, 0}, 3, 2))(t)
	if !math.IsInf(r.Scores[1], 1) || !slices.Equal(r.Selected, []int{1, 0}) {
		t.Errorf("overflowing score: %v, selected %v", r.Scores, r.Selected)
	}
}

func TestGreedyErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		u, c   []float64
		budget float64
		kmax   int
		sub    string
	}{
		{nil, nil, nan, 1, "budget"}, {nil, nil, inf, 1, "budget"}, {nil, nil, -1, 1, "must be finite and >= 0"},
		{nil, nil, 1, -1, "must be >= 0"}, {nil, nil, 1, 1 << 40, "at most"}, {[]float64{1}, nil, 1, 1, "same length"},
		{[]float64{nan}, []float64{1}, 1, 1, "finite"}, {[]float64{1}, []float64{inf}, 1, 1, "finite"},
	} {
		_, err := Greedy(c.u, c.c, c.budget, c.kmax)
		must.Fail(t, err, c.sub)
	}
}

// The spent budget is the sum of the selected costs and within the budget; every skipped tile would not have fitted when it
// was reached, unless the capacity was full.
func TestGreedyProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		n := rng.IntN(30)
		u, c := make([]float64, n), make([]float64, n)
		for i := range u {
			u[i], c[i] = rng.NormFloat64(), rng.Float64()
		}
		budget, kmax := rng.Float64()*float64(n)/2, rng.IntN(n+2)
		r := must.Get(Greedy(u, c, budget, kmax))(t)
		spent, taken := 0.0, 0
		for _, id := range r.Candidates {
			if taken < len(r.Selected) && r.Selected[taken] == id {
				spent += c[id]
				taken++
			} else if taken < kmax && spent+c[id] <= budget+1e-9 {
				t.Fatalf("tile %d fits (%v + %v in %v) but was skipped", id, spent, c[id], budget)
			}
		}
		if taken != len(r.Selected) || spent != r.Spent || spent > budget+1e-9 || taken > kmax {
			t.Fatalf("took %d of %d, spent %v of %v (reported %v)", taken, kmax, spent, budget, r.Spent)
		}
	}
}

func TestRankTiles(t *testing.T) {
	if got := must.Get(RankTiles([]float64{.8, 1.2, 1.2, .8, 1.2}))(t); !slices.Equal(got, []int{1, 2, 4, 0, 3}) {
		t.Errorf("ranked %v", got)
	}
	_, err := RankTiles([]float64{1, math.Inf(-1)})
	must.Fail(t, err, "finite")
}
