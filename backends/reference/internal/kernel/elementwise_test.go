package kernel

import (
	"fmt"
	"math"
	"testing"
)

var elementFns = []struct {
	name string
	run  func(*Pool, []float32, []float32, ISA)
	run8 func(*Pool, []float64, []float64, ISA)
	of   func(float64) float64
	ulps float64
}{
	{"sigmoid", Sigmoid[float32], Sigmoid[float64], Logistic, 2},
	{"swish", Swish[float32], Swish[float64], func(v float64) float64 { return v * Logistic(v) }, 2.5},
	{"softplus", Softplus[float32], Softplus[float64], softplus64, 2.5},
	{"tanh", Tanh[float32], Tanh[float64], math.Tanh, 2},
}

// sweep returns every 65521st float32 bit pattern, in both signs, and the values at which functions change their course.
func sweep() []float32 {
	x := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, 0.625, -0.625, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32,
		88.72283, 88.72284, 88.8, -87.33655, -103.27892, -103.97208, -104, -105, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	}
	for bits := uint64(0); bits < 1<<32; bits += 65521 {
		x = append(x, math.Float32frombits(uint32(bits)))
	}
	for v := float32(-110); v < 110; v += 0.013 {
		x = append(x, v)
	}
	return x
}

// ulpError is the distance of got from want in units of want's last place as a float32.
func ulpError(got float32, want float64) float64 {
	exponent := -149
	if a := math.Abs(want); a >= 0x1p-126 {
		exponent = math.Ilogb(a) - 23
	}
	return math.Abs(float64(got)-want) / math.Ldexp(1, exponent)
}

func TestElementwise(t *testing.T) {
	x := sweep()
	p := NewPool(2)
	defer p.Close()
	for _, f := range elementFns {
		t.Run(f.name, func(t *testing.T) {
			var vector []float32
			isas(t, func(t *testing.T, isa ISA) {
				y, intact := guarded[float32](len(x))
				f.run(p, x, y, isa)
				if !intact() {
					t.Fatal("wrote outside the output")
				}
				worst, at := 0.0, float32(0)
				for i, v := range x {
					want := f.of(float64(v))
					if !sameClass(y[i], want) {
						t.Fatalf("%s(%v) = %v, want %v", f.name, v, y[i], want)
					}
					// The sigmoid in Swish may be subnormal, with few digits, when the product is not.
					tiny := f.name == "swish" && v < -86
					finite := !math.IsInf(float64(float32(want)), 0)
					if e := ulpError(y[i], want); finite && !tiny && e > worst {
						worst, at = e, v
					}
				}
				t.Logf("at most %.2f ULP, at %v", worst, at)
				if worst > f.ulps {
					t.Errorf("%.2f ULP at %v, allowed %v", worst, at, f.ulps)
				}
				if isa != Portable && vector != nil {
					equalBits(t, "AVX2 and AVX-512", y, vector)
				} else if isa != Portable {
					vector = y
				}
			})
		})
	}
}

// sameClass reports whether got is NaN, infinite, or a zero with the right sign, where want rounds to that.
func sameClass(got float32, want float64) bool {
	w := float32(want)
	switch {
	case w != w:
		return got != got
	case math.IsInf(float64(w), 0):
		return got == w || got == math.MaxFloat32 && want < 3.4028237e38
	case w == 0:
		return got == w && (want != 0 || math.Signbit(float64(got)) == math.Signbit(want)) || got == math.SmallestNonzeroFloat32
	}
	return !math.IsNaN(float64(got)) && (!math.IsInf(float64(got), 0) || w == math.MaxFloat32)
}

// TestElementwiseLengths checks every length around a vector, in place and apart, and that nothing else is written.
func TestElementwiseLengths(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	for _, f := range elementFns {
		isas(t, func(t *testing.T, isa ISA) {
			for n := range 70 {
				t.Run(fmt.Sprint(f.name, n), func(t *testing.T) {
					x, y8 := make([]float32, n), make([]float64, n)
					x8 := make([]float64, n)
					for i := range x {
						x[i] = float32(i) - 20
						x8[i] = float64(x[i])
					}
					y, intact := guarded[float32](n)
					f.run(p, x, y, isa)
					f.run8(p, x8, y8, isa)
					f.run(p, x, x, isa)
					equalBits(t, "in place", x, y)
					if !intact() {
						t.Fatal("wrote outside the output")
					}
					for i := range y {
						if ulpError(y[i], y8[i]) > 3 || y8[i] != f.of(x8[i]) {
							t.Fatalf("at %v: float32 %v, float64 %v, want %v", x8[i], y[i], y8[i], f.of(x8[i]))
						}
					}
				})
			}
		})
	}
}
