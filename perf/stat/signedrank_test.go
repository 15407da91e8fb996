package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

// enumerate is the definition of SignedRank: every pattern of signs of the non-zero values, with midranks in floating point.
func enumerate(x []float64) float64 {
	var ranks []float64
	observed := 0.0
	for _, v := range x {
		less, equal := 0, 0
		for _, w := range x {
			switch {
			case math.Abs(w) < math.Abs(v):
				less++
			case math.Abs(w) == math.Abs(v):
				equal++
			}
		}
		if v == 0 {
			continue
		}
		rank := float64(less) + float64(equal+1)/2
		ranks = append(ranks, rank)
		if v > 0 {
			observed += rank
		}
	}
	atLeast := 0
	for signs := range 1 << len(ranks) {
		sum := 0.0
		for i, r := range ranks {
			if signs>>i&1 == 1 {
				sum += r
			}
		}
		if sum >= observed {
			atLeast++
		}
	}
	return float64(atLeast) / float64(int(1)<<len(ranks))
}

func TestSignedRankByEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for n := 1; n <= 10; n++ {
		for range 60 {
			x := make([]float64, n)
			for i := range x {
				x[i] = float64(r.IntN(9) - 3) // zeros and ties abound
			}
			if got, want := SignedRank(x), enumerate(x); !near(got, want, 1e-14) {
				t.Fatalf("SignedRank(%v) = %v, by enumeration %v", x, got, want)
			}
		}
	}
}

func TestSignedRank(t *testing.T) {
	for _, c := range []struct {
		name string
		x    []float64
		want float64
	}{
		{"empty", nil, 1},
		{"zeros", []float64{0, 0, math.Copysign(0, -1)}, 1},
		{"a NaN", []float64{1, 2, 3, nan}, 1},
		{"an infinity", []float64{1, 2, 3, inf}, 1},
		{"all positive", []float64{1, 2, 3, 4, 5}, 1.0 / 32},
		{"all negative", []float64{-1, -2, -3}, 1},
		{"the least one negative", []float64{-1, 2, 3, 4, 5}, 2.0 / 32},
		{"all tied", []float64{1, 1, 1, 1}, 1.0 / 16},
		{"Pratt keeps the ranks of zeros", []float64{0, 0, -1, 2, 3}, 2.0 / 8},
	} {
		if got := SignedRank(c.x); got != c.want {
			t.Errorf("%s: SignedRank(%v) = %v, want %v", c.name, c.x, got, c.want)
		}
	}
}

// The statistic W+ of 20 values without ties has P(W+ ≥ 150) = 0.0487 and P(W+ ≥ 158) ≈ 0.0245 in the usual tables, whose critical
// values for n = 20 are 60 (one-sided 0.05) and 52 (0.025) for the smaller sum.
func TestSignedRankAgainstTables(t *testing.T) {
	for _, c := range []struct {
		negative []int // ranks with a negative sign
		low      float64
		high     float64
	}{
		{[]int{20, 19, 18, 3}, 0.0475, 0.05}, // smaller sum 60
		{[]int{20, 19, 18, 4}, 0.05, 0.0535}, // 61
		{[]int{20, 19, 13}, 0.0235, 0.025},   // 52
		{[]int{20, 19, 14}, 0.025, 0.027},    // 53
	} {
		x := make([]float64, 20)
		for i := range x {
			x[i] = float64(i + 1)
		}
		for _, rank := range c.negative {
			x[rank-1] = -x[rank-1]
		}
		if p := SignedRank(x); p <= c.low || p > c.high {
			t.Errorf("negative ranks %v: p = %v, want in (%v, %v]", c.negative, p, c.low, c.high)
		}
	}
}

func TestSignedRankInvariances(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		x := make([]float64, 1+r.IntN(25))
		scaled, negated := make([]float64, len(x)), make([]float64, len(x))
		for i := range x {
			x[i] = float64(r.IntN(21) - 10)
			scaled[i], negated[i] = 0.125*x[i], -x[i]
		}
		p := SignedRank(x)
		if got := SignedRank(scaled); got != p {
			t.Fatalf("scaling %v changes p from %v to %v", x, p, got)
		}
		r.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
		if got := SignedRank(x); got != p {
			t.Fatalf("reordering %v changes p from %v to %v", x, p, got)
		}
		// P(W ≥ w) + P(W ≥ T-w) = 1 + P(W = w), so the two directions add up to at least 1.
		if opposite := SignedRank(negated); p+opposite < 1-1e-12 || p+opposite > 2 {
			t.Fatalf("%v: p %v and, negated, %v", x, p, opposite)
		}
	}
}

func TestSignedRankOfManyValues(t *testing.T) {
	x := make([]float64, 200)
	for i := range x {
		x[i] = float64(i + 1)
	}
	if got, want := SignedRank(x), SmallestP(200); got != want || want == 0 {
		t.Errorf("p of 200 positive values = %v, want 2^-200 = %v", got, want)
	}
	for i := range x {
		if i%2 == 0 {
			x[i] = -x[i]
		}
	}
	// W = 10100 against a mean of 10050 and a standard deviation of √(200·201·401/24) = 819.5: z = 49.5/819.5.
	if p := SignedRank(x); math.Abs(p-0.4759) > 0.0005 {
		t.Errorf("p of alternating signs = %v, want near 0.4759", p)
	}
}

func TestSignedRankRate(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const trials, alpha = 4000, 0.05
	rejected := 0
	for range trials {
		x := make([]float64, 15)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		if SignedRank(x) <= alpha {
			rejected++
		}
	}
	// The largest attainable level at or below 0.05 for n = 15 is 0.0473; four standard errors are 0.0134.
	if share := float64(rejected) / trials; share < 0.033 || share > 0.062 {
		t.Errorf("under H0 the share of p ≤ %v is %v", alpha, share)
	}
}

func TestSmallestP(t *testing.T) {
	for n, want := range map[int]float64{-1: 1, 0: 1, 1: 0.5, 10: 1.0 / 1024, 2000: 0} {
		if got := SmallestP(n); got != want {
			t.Errorf("SmallestP(%d) = %v, want %v", n, got, want)
		}
	}
}
