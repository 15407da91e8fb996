package parity

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
)

var nan, inf = math.NaN(), math.Inf(1)

func f64(v ...float64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
func f32(v ...float32) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
func i64(v ...int64) *tensor.Tensor   { return tensor.Must(tensor.Of(v, len(v))) }
func i32(v ...int32) *tensor.Tensor   { return tensor.Must(tensor.Of(v, len(v))) }

func TestNonFiniteValuesFollowTheTable(t *testing.T) {
	loose := Tolerance{Abs: inf, MismatchRatio: 1}
	for _, c := range []struct {
		ref, cand float64
		match     bool
	}{
		{nan, nan, false}, {inf, inf, true}, {-inf, -inf, true},
		{nan, 0, false}, {0, nan, false}, {nan, inf, false}, {inf, nan, false},
		{inf, -inf, false}, {inf, 1, false}, {1, inf, false}, {1, -inf, false},
	} {
		for _, pair := range [][2]*tensor.Tensor{
			{f64(1, c.ref), f64(1, c.cand)}, {f32(1, float32(c.ref)), f32(1, float32(c.cand))},
			{f64(1, c.ref), f32(1, float32(c.cand))}, {f32(1, float32(c.ref)), f64(1, c.cand)},
		} {
			r := Compare(pair[0], pair[1], loose)
			if r.Passed != c.match || (r.NonFiniteMismatches == 0) != c.match || (r.MismatchCount == 0) != c.match {
				t.Errorf("%v against %v: passed %v with %d non-finite mismatches", pair[1], c.ref, r.Passed, r.NonFiniteMismatches)
			}
			if r.MaxAbsErr != 0 || math.IsNaN(float64(r.MeanAbsErr)) {
				t.Errorf("%g against %g entered the statistics: %+v", c.cand, c.ref, r)
			}
			if c.match == (r.Smallest.String() == "no tolerance") {
				t.Errorf("%g against %g: smallest passing tolerance %v", c.cand, c.ref, r.Smallest)
			}
		}
	}
}

func TestSignedZerosAreEqualAndCounted(t *testing.T) {
	r := Compare(f64(0, math.Copysign(0, -1), 0), f64(math.Copysign(0, -1), 0, 0), Tolerance{})
	if !r.Passed || r.SignedZeros != 2 || r.MaxULPErr != 0 || r.Worst != nil {
		t.Errorf("%+v", r)
	}
}

func TestIntegersAndBooleansAreExact(t *testing.T) {
	loose := Tolerance{Abs: 10, Rel: 10, MismatchRatio: 1}
	for _, c := range []struct {
		name      string
		ref, cand *tensor.Tensor
		mismatch  int
	}{
		{"off by one at 1e6", i64(1e6, 7), i64(1e6+1, 7), 1},
		{"beyond 2^53", i64(1<<53, math.MaxInt64), i64(1<<53+1, math.MaxInt64-1), 2},
		{"int32 beside int64", i32(-1, 4), i64(-1, 4), 0},
		{"booleans", tensor.Must(tensor.Of([]bool{true, false}, 2)), tensor.Must(tensor.Of([]bool{true, true}, 2)), 1},
	} {
		r := Compare(c.ref, c.cand, loose)
		if r.Passed != (c.mismatch == 0) || r.MismatchCount != c.mismatch || r.Judgement != ByEquality || r.Smallest != nil {
			t.Errorf("%s: %+v", c.name, r)
		}
		if c.mismatch > 0 && (r.Worst == nil || r.MaxAbsErr < 1 || r.Histogram.Zero != 2-c.mismatch) {
			t.Errorf("%s: numbers not recorded: %+v", c.name, r)
		}
	}
}

func TestWhatCannotBeComparedFails(t *testing.T) {
	for _, c := range []struct{ ref, cand *tensor.Tensor }{
		{f32(1, 2), f32(1, 2, 3)},
		{f32(1, 2), tensor.Must(tensor.Of([]float32{1, 2}, 1, 2))},
		{f32(1), i64(1)},
		{i64(1), tensor.Must(tensor.Of([]bool{true}, 1))},
	} {
		if r := Compare(c.ref, c.cand, Tolerance{Abs: inf}); r.Passed || r.Problem == "" {
			t.Errorf("%v against %v: %+v", c.cand, c.ref, r)
		}
	}
	if r := Compare(f32(), f32(), Tolerance{}); !r.Passed || r.TotalCount != 0 {
		t.Errorf("empty tensors: %+v", r)
	}
}

func TestNumbers(t *testing.T) {
	r := Compare(f64(1, -2, 0, 4), f64(1.5, -2, 0.25, 4), Tolerance{Abs: 0.3})
	near := func(name string, got Number, want float64) {
		if math.Abs(float64(got)-want) > 1e-12*math.Max(1, math.Abs(want)) {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	near("max abs", r.MaxAbsErr, 0.5)
	near("mean abs", r.MeanAbsErr, 0.75/4)
	near("max rel", r.MaxRelErr, 0.25e12) // the denominator is at least 1e-12
	near("mean rel", r.MeanRelErr, (0.5+0.25e12)/4)
	near("rms", r.RMSErr, math.Sqrt((0.25+0.0625)/4))
	near("nmse", r.NMSE, 0.3125/21)
	near("bias", r.Bias, 0.75/4)
	near("cosine", r.Cosine, (1.5+4+16)/math.Sqrt(21*(2.25+4+0.0625+16)))
	near("smallest abs", r.Smallest.Abs, 0.5)
	if r.MismatchCount != 1 || r.Passed || r.Worst.Flat != 0 || r.Worst.Candidate != 1.5 {
		t.Errorf("%+v %+v", r, r.Worst)
	}
	if !math.IsInf(float64(r.Smallest.Rel), 1) {
		t.Errorf("no relative tolerance passes beside a reference of 0, got %v", r.Smallest)
	}
	if h := r.Histogram; h.Zero != 2 || h.Decades[12] != 2 {
		t.Errorf("histogram %+v", h)
	}
}

func TestWorstIsTheElementFarthestBeyondItsTolerance(t *testing.T) {
	shape := tensor.Must(tensor.Of([]float64{1000, 1, 2, 3}, 2, 2))
	other := tensor.Must(tensor.Of([]float64{1000.4, 1, 2.1, 3}, 2, 2))
	r := Compare(shape, other, Tolerance{Rel: 1e-3})
	if !slices.Equal(r.Worst.Index, []int{1, 0}) || r.Worst.Reference != 2 {
		t.Errorf("worst %+v", r.Worst)
	}
}

func TestULP(t *testing.T) {
	for _, c := range []struct {
		a, b float64
		want uint64
	}{
		{1, math.Nextafter(1, 2), 1},
		{0, 5e-324, 1},
		{-5e-324, 5e-324, 2},
		{math.Copysign(0, -1), 0, 0},
		{-math.MaxFloat64, math.MaxFloat64, 2 * 0x7FEFFFFFFFFFFFFF},
	} {
		if got := ulpDistance(c.a, c.b); got != c.want || ulpDistance(c.b, c.a) != c.want {
			t.Errorf("ulp(%g, %g) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
	if got := ulpDistance(float32(-5e-45), float32(3)); got == 0 || got > 1<<32 {
		t.Errorf("float32: %d", got)
	}
	if r := Compare(f64(1e300), f32(1), Tolerance{}); r.MaxULPErr != math.MaxUint64 {
		t.Errorf("a reference beyond float32: %d", r.MaxULPErr)
	}
	if r := Compare(f64(1+1e-12), f32(1), Tolerance{}); r.MaxULPErr != 0 || r.MaxAbsErr == 0 {
		t.Errorf("a reference that rounds to the candidate: %+v", r)
	}
}

// The smallest tolerance passes, and anything noticeably smaller does not, whatever the mismatch ratio.
func TestSmallestTolerancePasses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + rng.IntN(60)
		ref, cand := make([]float64, n), make([]float64, n)
		for i := range ref {
			ref[i] = rng.NormFloat64() * math.Pow(10, float64(rng.IntN(9)-4))
			cand[i] = ref[i]
			if rng.IntN(3) > 0 {
				cand[i] += rng.NormFloat64() * math.Pow(10, float64(-rng.IntN(9)))
			}
		}
		share := []float64{0, 0.02, 0.1, 0.5, 1}[rng.IntN(5)]
		s := Compare(f64(ref...), f64(cand...), Tolerance{MismatchRatio: share}).Smallest
		pass := func(abs, rel float64) bool {
			return Compare(f64(ref...), f64(cand...), Tolerance{Abs: abs, Rel: rel, MismatchRatio: share}).Passed
		}
		abs, rel := float64(s.Abs), float64(s.Rel)
		if !pass(abs, 0) || !pass(0, rel) {
			t.Fatalf("%v does not pass with a mismatch ratio of %g", s, share)
		}
		if abs > 0 && pass(math.Nextafter(abs, 0), 0) || rel > 0 && pass(0, rel*(1-1e-9)) {
			t.Fatalf("%v is not the smallest with a mismatch ratio of %g", s, share)
		}
	}
}

// Swapping reference and candidate keeps every symmetric number; scaling both by a power of two keeps the relative ones.
func TestSymmetryAndScale(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	ref, cand := make([]float64, 100), make([]float64, 100)
	for i := range ref {
		ref[i] = rng.NormFloat64()
		cand[i] = ref[i] * (1 + 1e-6*rng.NormFloat64())
	}
	scaled := func(v []float64) *tensor.Tensor {
		out := slices.Clone(v)
		for i := range out {
			out[i] *= 1024
		}
		return f64(out...)
	}
	a, b := Compare(f64(ref...), f64(cand...), Tolerance{}), Compare(f64(cand...), f64(ref...), Tolerance{})
	c := Compare(scaled(ref), scaled(cand), Tolerance{})
	if a.MaxAbsErr != b.MaxAbsErr || a.RMSErr != b.RMSErr || a.MaxULPErr != b.MaxULPErr || a.Bias != -b.Bias {
		t.Errorf("not symmetric: %+v %+v", a, b)
	}
	if a.MaxRelErr != c.MaxRelErr || a.NMSE != c.NMSE || a.MaxULPErr != c.MaxULPErr || 1024*a.MaxAbsErr != c.MaxAbsErr {
		t.Errorf("scale changes relative numbers: %+v %+v", a, c)
	}
}

func TestReportsHoldNoNonFiniteJSON(t *testing.T) {
	r := Compare(f64(0, nan, 1e200), f64(1, 1, -1e200), Tolerance{Abs: inf})
	text, err := json.Marshal(r)
	if err != nil || !json.Valid(text) {
		t.Fatalf("%s, %v", text, err)
	}
	var back map[string]any
	if err := json.Unmarshal(text, &back); err != nil || back["rms_err"] != "Infinity" || back["atol"] != "Infinity" {
		t.Errorf("%v: %s", err, text)
	}
}

// Every number of a million elements costs little beside the run that made them.
func BenchmarkCompare(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	ref, cand := make([]float32, 1<<20), make([]float32, 1<<20)
	for i := range ref {
		ref[i] = rng.Float32()
		cand[i] = ref[i] * (1 + 1e-6*rng.Float32())
	}
	x, y := f32(ref...), f32(cand...)
	b.SetBytes(4 << 20)
	for b.Loop() {
		Compare(x, y, Balanced.Tolerance(EndToEnd, Features, ClassDefault))
	}
}

// No element beyond ten times its bound is forgiven, and elsewhere the smallest tolerance is a tenth of the largest error.
func TestRatioForgivesNothingFarBeyond(t *testing.T) {
	n := 1000
	ref, cand := make([]float64, n), make([]float64, n)
	rule := Tolerance{Abs: 1e-3, MismatchRatio: 0.01}
	for _, c := range []struct {
		error float64
		pass  bool
	}{{9.9e-3, true}, {1.01e-2, false}, {6000, false}} {
		cand[7] = c.error
		r := Compare(f64(ref...), f64(cand...), rule)
		if r.Passed != c.pass {
			t.Errorf("an error of %g passes: %v", c.error, r.Passed)
		}
		if got := float64(r.Smallest.Abs); math.Abs(got-c.error/10) > 1e-12*c.error {
			t.Errorf("an error of %g would pass with %g", c.error, got)
		}
	}
}

// Vectors are judged by their angle and length, whatever single elements do.
func TestEmbeddingsAreJudgedByAngle(t *testing.T) {
	rule := Tolerance{Angle: 1e-3}
	unit := tensor.Must(tensor.Of([]float64{1, 0, 0, 1}, 2, 2))
	for _, c := range []struct {
		name string
		cand []float64
		pass bool
	}{
		{"turned by 0.9e-3", []float64{math.Cos(0.9e-3), math.Sin(0.9e-3), 0, 1}, true},
		{"turned by 1.1e-3", []float64{1, 0, math.Sin(1.1e-3), math.Cos(1.1e-3)}, false},
		{"longer by 2e-3", []float64{1.002, 0, 0, 1}, false},
		{"zero", []float64{0, 0, 0, 1}, false},
		{"NaN", []float64{nan, 0, 0, 1}, false},
	} {
		r := Compare(unit, tensor.Must(tensor.Of(c.cand, 2, 2)), rule)
		if r.Passed != c.pass || c.pass != (r.MismatchCount == 0) {
			t.Errorf("%s: passed %v, %d mismatches, would pass with %v", c.name, r.Passed, r.MismatchCount, r.Smallest)
		}
	}
}
