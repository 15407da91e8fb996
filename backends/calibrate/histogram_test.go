package calibrate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// drawn are heavy-tailed numbers, as activations are, with zeros among them.
func drawn(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float32, n)
	for i := range out {
		if v := r.NormFloat64(); r.IntN(5) > 0 {
			out[i] = float32(v * v * v)
		}
	}
	return out
}

func histogramOf(t testing.TB, parts ...[]float32) *Histogram {
	t.Helper()
	h := &Histogram{}
	for _, p := range parts {
		if !h.Add(p) {
			t.Fatal("finite numbers were refused")
		}
	}
	return h
}

// TestHistogramOfAnyOrder: however the elements are ordered and divided, and however late the largest one comes.
func TestHistogramOfAnyOrder(t *testing.T) {
	data := append(drawn(1, 5000), 1e-30, 1e4, -3e7, 0)
	want := histogramOf(t, data)
	ascending := slices.Clone(data)
	slices.SortFunc(ascending, func(a, b float32) int { return int(math.Copysign(1, math.Abs(float64(a))-math.Abs(float64(b)))) })
	for name, h := range map[string]*Histogram{
		"reversed":          histogramOf(t, reversed(data)),
		"ascending, in two": histogramOf(t, ascending[:4000], ascending[4000:]),
		"one by one":        histogramOf(t, slices.Collect(slices.Chunk(ascending, 1))...),
	} {
		if *h != *want {
			t.Errorf("%s: another histogram", name)
		}
	}
	if n := len(want.used()); n < capacity/2 || want.largest != 3e7 || want.total != uint64(len(data)) {
		t.Errorf("%d bins up to %g of %d elements", n, want.largest, want.total)
	}
}

func reversed(data []float32) []float32 {
	out := slices.Clone(data)
	slices.Reverse(out)
	return out
}

func TestHistogramBounds(t *testing.T) {
	h := histogramOf(t, []float32{1, 2, 3, -4, 0})
	for i, n := range h.used() { // [i, i+1)·2^-9
		want := uint64(0)
		if i == 512 || i == 1024 || i == 1536 || i == 2048 {
			want = 1
		}
		if n != want {
			t.Errorf("bin %d holds %d", i, n)
		}
	}
	for _, v := range []float32{math.MaxFloat32, math.SmallestNonzeroFloat32, 1} {
		if h := histogramOf(t, []float32{v}); h.largest != v || len(h.used()) > capacity || Max.Range(h) != v {
			t.Errorf("%g: largest %g, %d bins", v, h.largest, len(h.used()))
		}
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, v := range []float32{nan, inf} {
		if (&Histogram{}).Add([]float32{1, v}) {
			t.Errorf("%g was counted", v)
		}
	}
}

func TestRanges(t *testing.T) {
	nothing, zeros := histogramOf(t), histogramOf(t, make([]float32, 9))
	ramp := make([]float32, 10000)
	for i := range ramp {
		ramp[i] = float32(i) / 100 // up to 99.99
	}
	even := histogramOf(t, ramp)
	step := float32(math.Ldexp(1, even.exponent))
	for _, c := range []struct {
		method    string
		h         *Histogram
		low, high float32
	}{
		{"max", nothing, 0, 0}, {"entropy", nothing, 0, 0}, {"percentile:99", nothing, 0, 0},
		{"max", zeros, 0, 0}, {"entropy", zeros, 0, 0}, {"percentile:99", zeros, 0, 0},
		{"max", even, 99.99, 99.99},
		{"percentile:50", even, 50 - step, 50 + step},
		{"percentile:99.99", even, 99.98 - step, 99.98 + step},
		{"percentile:100", even, 99.99, 99.99},
		{"entropy", even, 99, 99.99}, // nothing is rare
	} {
		m, err := ParseMethod(c.method)
		if err != nil {
			t.Fatal(err)
		}
		if r := m.Range(c.h); !(r >= c.low && r <= c.high) {
			t.Errorf("%s: %g, want %g to %g", m, r, c.low, c.high)
		}
		if again, err := ParseMethod(m.String()); again != m {
			t.Errorf("%s is read as %v, %v", m, again, err)
		}
	}
	for _, text := range []string{"", "mean", "max:1", "percentile", "percentile:", "percentile:0", "percentile:100.1", "percentile:NaN", "entropy:"} {
		if _, err := ParseMethod(text); err == nil {
			t.Errorf("%q is a method", text)
		}
	}
}

// naiveDivergence makes P and Q of the first i bins and adds up D(P‖Q), as the definition has it.
func naiveDivergence(bins []uint64, i int) float64 {
	p := make([]float64, i)
	all := 0.0
	for j, n := range bins {
		p[min(j, i-1)] += float64(n)
		all += float64(n)
	}
	q, kept := make([]float64, i), 0.0
	for k := range levels {
		from, to := k*i/levels, (k+1)*i/levels
		sum, filled := 0.0, 0.0
		for _, n := range bins[from:to] {
			sum += float64(n)
			if n > 0 {
				filled++
			}
		}
		for j := from; j < to; j++ {
			if bins[j] > 0 {
				q[j] = sum / filled
			}
		}
		kept += sum
	}
	d := 0.0
	for j := range p {
		if p[j] > 0 {
			d += p[j] / all * math.Log(p[j]/all/(q[j]/kept))
		}
	}
	return d
}

func TestEntropyIsItsDefinition(t *testing.T) {
	for seed := range uint64(3) {
		h := histogramOf(t, drawn(seed, 20000))
		bins := h.used()
		s := newSums(bins)
		for i := levels; i <= len(bins); i += 1 + i/9 {
			got, want := s.divergence(i), naiveDivergence(bins, i)
			if math.Abs(got-want) > 1e-9*(1+math.Abs(want)) && !(math.IsInf(got, 1) && math.IsInf(want, 1)) {
				t.Errorf("seed %d, %d of %d bins: divergence %g, want %g", seed, i, len(bins), got, want)
			}
		}
		if r := Entropy.Range(h); !(r > 0 && r < h.largest) {
			t.Errorf("seed %d: range %g of magnitudes up to %g: a heavy tail is worth cutting", seed, r, h.largest)
		}
	}
}
