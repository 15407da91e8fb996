package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var normShapes = []struct{ batch, groups, channels, spatial int }{
	{1, 1, 4, 1}, {2, 1, 6, 49}, {1, 8, 64, 256}, {3, 2, 8, 7}, {1, 1, 2, 1000}, {2, 4, 4, 513}, {1, 1, 2, 40000}, {0, 1, 2, 4}, {1, 1, 2, 0},
}

// TestFinish checks moments against two-pass sums for data far from zero, where a single pass over squares would cancel.
func TestFinish(t *testing.T) {
	t.Run("float32", testFinish[float32])
	t.Run("float64", testFinish[float64])
}

func testFinish[T Float](t *testing.T) {
	for i, s := range normShapes {
		r := rand.New(rand.NewPCG(uint64(i), 4))
		x := uniform[T](r, s.batch*s.channels*s.spatial)
		for i := range x {
			x[i] += 1000
		}
		var first *Stats
		for threads := 1; threads <= 3; threads++ {
			p := NewPool(threads)
			st := NewStats(s.batch, s.groups, s.channels, s.spatial)
			Moments(p, x, st)
			p.Close()
			st.Finish(1e-5)
			if first == nil {
				first = st
			}
			equalBits(t, "mean", st.Mean(), first.Mean())
			equalBits(t, "inverse standard deviation", st.InvStd(), first.InvStd())
		}
		if s.spatial == 0 {
			continue
		}
		n := s.channels / s.groups * s.spatial
		for g, mean := range first.Mean() {
			wantMean, m2 := moments64(x[g*n : (g+1)*n])
			want := 1 / math.Sqrt(m2/float64(n)+1e-5)
			if math.Abs(mean-wantMean) > 1e-10 || math.Abs(first.InvStd()[g]/want-1) > 1e-9 {
				t.Errorf("%v group %d: got mean %v, 1/σ %v, want %v, %v", s, g, mean, first.InvStd()[g], wantMean, want)
			}
		}
	}
}

func TestGroupNormAct(t *testing.T) {
	t.Run("float32", testGroupNormAct[float32])
	t.Run("float64", testGroupNormAct[float64])
}

func testGroupNormAct[T Float](t *testing.T) {
	for i, s := range normShapes {
		for _, act := range []Act{None, SiLU} {
			t.Run(fmt.Sprint(s, act), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(i), 5))
				x, scale, shift := uniform[T](r, s.batch*s.channels*s.spatial), uniform[T](r, s.channels), uniform[T](r, s.channels)
				p := NewPool(2)
				defer p.Close()
				st := NewStats(s.batch, s.groups, s.channels, s.spatial)
				Moments(p, x, st)
				st.Finish(1e-5)
				want, size := make([]float64, len(x)), make([]float64, len(x))
				for i, v := range x {
					want[i], size[i] = normalised(st, i, float64(v), scale, shift)
					if act == SiLU {
						want[i] *= Logistic(want[i])
					}
				}
				isas(t, func(t *testing.T, isa ISA) {
					y, intact := guarded[T](len(x))
					GroupNormAct(p, x, y, st, scale, shift, act, isa)
					if !intact() {
						t.Fatal("wrote outside the output")
					}
					within(t, y, want, size, 8)
					alias := append([]T(nil), x...)
					GroupNormAct(p, alias, alias, st, scale, shift, act, isa)
					equalBits(t, "in place", alias, y)
				})
			})
		}
	}
}

// normalised returns the normalised value of element i and the sum of the absolute values of the terms it is made of.
func normalised[T Float](st *Stats, i int, v float64, scale, shift []T) (want, size float64) {
	plane := i / st.spatial
	b, c := plane/st.channels, plane%st.channels
	g := b*st.groups + c/st.groupC
	gain := st.InvStd()[g] * float64(scale[c])
	return (v-st.Mean()[g])*gain + float64(shift[c]), (math.Abs(v)+math.Abs(st.Mean()[g]))*math.Abs(gain) + math.Abs(float64(shift[c]))
}

func TestGroupNormReGLU(t *testing.T) {
	t.Run("float32", testGroupNormReGLU[float32])
	t.Run("float64", testGroupNormReGLU[float64])
}

func testGroupNormReGLU[T Float](t *testing.T) {
	for i, s := range normShapes {
		for _, withResidual := range []bool{false, true} {
			t.Run(fmt.Sprint(s, withResidual), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(i), 6))
				x, scale, shift := uniform[T](r, s.batch*s.channels*s.spatial), uniform[T](r, s.channels), uniform[T](r, s.channels)
				var residual []T
				if withResidual {
					residual = uniform[T](r, len(x)/2)
				}
				p := NewPool(2)
				defer p.Close()
				st := NewStats(s.batch, s.groups, s.channels, s.spatial)
				Moments(p, x, st)
				st.Finish(1e-5)
				want, size := naiveReGLU(st, x, residual, scale, shift)
				isas(t, func(t *testing.T, isa ISA) {
					y, intact := guarded[T](len(x) / 2)
					GroupNormReGLU(p, x, residual, y, st, scale, shift, isa)
					if !intact() {
						t.Fatal("wrote outside the output")
					}
					within(t, y, want, size, 12)
				})
			})
		}
	}
}

func naiveReGLU[T Float](st *Stats, x, residual, scale, shift []T) (want, size []float64) {
	want, size = make([]float64, len(x)/2), make([]float64, len(x)/2)
	half := st.channels / 2 * st.spatial
	for i := range want {
		at := i/max(half, 1)*2*half + i%half
		a, sa := normalised(st, at, float64(x[at]), scale, shift)
		b, sb := normalised(st, at+half, float64(x[at+half]), scale, shift)
		want[i], size[i] = a*max(b, 0), sa*sb
		if residual != nil {
			want[i] += float64(residual[i])
			size[i] += math.Abs(float64(residual[i]))
		}
	}
	return want, size
}

// TestSiLU64 checks the float64 SiLU that follows a normalisation: within 4 units in the last place of package math's down to -700, NaN
// for NaN and -Inf, and 0 far below.
func TestSiLU64(t *testing.T) {
	x := []float64{0, math.Copysign(0, -1), 1e-300, -1e-300, math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(0x7FF0000000000ABC), -709, -1e300, 1e300}
	r := rand.New(rand.NewPCG(6, 4))
	for range 100_000 {
		x = append(x, (2*r.Float64()-1)*math.Pow(10, 6*r.Float64()-3.2))
	}
	isas(t, func(t *testing.T, isa ISA) {
		y := make([]float64, len(x))
		affineAct(y, x, affine[float64]{gain: 1}, SiLU, isa)
		for i, v := range x {
			want := siluOf(v)
			switch {
			case v <= -700 && !math.IsInf(v, -1):
				if !(math.Abs(y[i]) < 1e-300) {
					t.Errorf("SiLU(%v) is %v, want about 0", v, y[i])
				}
			case math.IsNaN(want) || math.IsInf(want, 0) || want == 0:
				if y[i] != want && !(math.IsNaN(want) && math.IsNaN(y[i])) {
					t.Errorf("SiLU(%v) is %v, want %v", v, y[i], want)
				}
			case !(math.Abs(y[i]-want) <= 4*0x1p-52*math.Abs(want)):
				t.Errorf("SiLU(%v) is %v, want %v", v, y[i], want)
			}
		}
	})
}
