package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// isas lists the instruction sets to test; those that this machine lacks are skipped, with the reason.
func isas(t *testing.T, f func(t *testing.T, isa ISA)) {
	for _, isa := range []ISA{Portable, AVX2, AVX512} {
		t.Run(isa.String(), func(t *testing.T) {
			if supported(isa) != isa {
				t.Skipf("this processor or build lacks %v", isa)
			}
			f(t, isa)
		})
	}
}

func uniform[T Float](r *rand.Rand, n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(2*r.Float32() - 1)
	}
	return x
}

// epsilon is the unit roundoff of T.
func epsilon[T Float]() float64 {
	if T(1)/3 == T(float32(1)/3) {
		return 0x1p-24
	}
	return 0x1p-53
}

// within checks got against want, where scale[i] is the sum of the absolute values of want[i]'s terms and terms their number: a chain
// of n roundings is off by at most about n·u·scale.
func within[T Float](t *testing.T, got []T, want, scale []float64, terms int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d elements, want %d", len(got), len(want))
	}
	for i, g := range got {
		if d := math.Abs(float64(g) - want[i]); !(d <= float64(terms)*epsilon[T]()*scale[i]) {
			t.Fatalf("element %d: got %v, want %v: off by %.3g, allowed %.3g", i, g, want[i], d, float64(terms)*epsilon[T]()*scale[i])
		}
	}
}

func equalBits[T Float](t *testing.T, what string, got, want []T) {
	t.Helper()
	for i := range want {
		if math.Float64bits(float64(got[i])) != math.Float64bits(float64(want[i])) {
			t.Fatalf("%s: element %d: got %v, want %v", what, i, got[i], want[i])
		}
	}
}

// guarded returns a slice of n elements with `guard` NaNs on both sides, and a function that reports whether they were written to.
func guarded[T Float](n int) (x []T, intact func() bool) {
	const guard = 64
	buf := make([]T, n+2*guard)
	for i := range buf {
		buf[i] = T(math.NaN())
	}
	return buf[guard : guard+n : guard+n], func() bool {
		for i := range guard {
			if buf[i] == buf[i] || buf[len(buf)-1-i] == buf[len(buf)-1-i] {
				return false
			}
		}
		return true
	}
}

// chosen is what the environment asks of benchmarks and tests.
func chosen() ISA {
	isa, err := Chosen()
	if err != nil {
		panic(err)
	}
	return isa
}

func TestChosen(t *testing.T) {
	for _, asked := range []string{"", "portable", "avx2", "avx512", "mmx", "AVX2", "bogus", " "} {
		t.Setenv("APEXX_ISA", asked)
		want, wantErr := detect(), ""
		switch {
		case asked == "":
		case slices.Contains([]string{"portable", "avx2", "avx512"}, asked):
			for _, i := range []ISA{Portable, AVX2, AVX512} {
				if i.String() == asked {
					want = i
				}
			}
			if want > detect() {
				want, wantErr = 0, "APEXX_ISA is "+asked+", and "+detect().String()+" is the most that this machine and build have"
			}
		default:
			want, wantErr = 0, fmt.Sprintf("APEXX_ISA is %q (known: portable, avx2, avx512)", asked)
		}
		got, err := Chosen()
		if got != want || (err == nil) != (wantErr == "") || err != nil && err.Error() != wantErr {
			t.Errorf("APEXX_ISA=%q: %v, %v, want %v, %s", asked, got, err, want, wantErr)
		}
	}
}

func TestPoolRun(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 7} {
		p := NewPool(threads)
		for _, n := range []int{0, 1, 2, 100} {
			t.Run(fmt.Sprintf("%dx%d", threads, n), func(t *testing.T) {
				count := make([]int, n)
				p.Run(n, func(i int) { count[i]++ })
				for i, c := range count {
					if c != 1 {
						t.Fatalf("item %d ran %d times", i, c)
					}
				}
			})
		}
		p.Close()
	}
}
