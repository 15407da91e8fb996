package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// winogradShapes are whole and partial tiles, panels, row groups and paddings.
var winogradShapes = []ConvShape{
	{Batch: 1, InC: 26, InH: 64, InW: 64, OutC: 28, PadT: 1, PadL: 1, PadB: 1, PadR: 1}, // a row of tiles is a panel
	{Batch: 2, InC: 20, InH: 16, InW: 16, OutC: 30, PadT: 1, PadL: 1, PadB: 1, PadR: 1}, // an image is a panel
	{Batch: 1, InC: 70, InH: 32, InW: 32, OutC: 9, PadT: 1, PadL: 1, PadB: 1, PadR: 1},  // more than one block of k
	{Batch: 1, InC: 3, InH: 8, InW: 128, OutC: 26, PadT: 1, PadL: 1, PadB: 1, PadR: 1},  // two panels in a row of tiles
	{Batch: 1, InC: 17, InH: 20, InW: 80, OutC: 50, PadT: 1, PadL: 1, PadB: 1, PadR: 1}, // panels across rows of tiles
	{Batch: 3, InC: 2, InH: 37, InW: 23, OutC: 5, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 1, InH: 5, InW: 3, OutC: 1, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 2, InC: 4, InH: 19, InW: 41, OutC: 7},
	{Batch: 1, InC: 4, InH: 11, InW: 10, OutC: 7, PadT: 2, PadL: 0, PadB: 3, PadR: 5},
	{Batch: 1, InC: 2, InH: 1, InW: 1, OutC: 2, PadT: 4, PadL: 9, PadB: 3, PadR: 12}, // tiles that read padding alone
	{Batch: 1, InC: 2, InH: 2, InW: 300, OutC: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 2, InH: 300, InW: 1, OutC: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 0, InC: 4, InH: 8, InW: 8, OutC: 4, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 4, InH: 2, InW: 2, OutC: 4}, // no output
}

func TestWinograd(t *testing.T) {
	t.Run("float32", testWinograd[float32])
	t.Run("float64", testWinograd[float64])
}

// testWinograd compares with the naive sum. A transform multiplies magnitudes by up to 4.5 (input) and 6 (output) in each dimension, and
// so the bound on the error, which is far from being reached.
func testWinograd[T Float](t *testing.T) {
	for i, s := range winogradShapes {
		s.KH, s.KW = 3, 3
		t.Run(s.label(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			x, w := uniform[T](r, s.Batch*s.InC*s.InH*s.InW), uniform[T](r, s.OutC*s.InC*9)
			var bias []T
			if i%2 == 0 {
				bias = uniform[T](r, s.OutC)
			}
			want, scale := naiveConv(s, x, w, bias)
			for i := range scale {
				scale[i] = max(scale[i], float64(s.InC)) // elements of a tile share errors
			}
			var fused []T
			isas(t, func(t *testing.T, isa ISA) {
				got := winogradThreads(t, s, x, w, bias, isa)
				within(t, got, want, scale, 30)
				if isa != Portable && fused != nil {
					equalBits(t, "AVX2 and AVX-512", got, fused)
				} else if isa != Portable {
					fused = got
				}
			})
		})
	}
}

func winogradThreads[T Float](t *testing.T, s ConvShape, x, w, bias []T, isa ISA) []T {
	t.Helper()
	packed, err := NewWinogradWeights(s, w, bias, isa)
	if err != nil {
		t.Fatal(err)
	}
	c, err := packed.Conv(s)
	if err != nil {
		t.Fatal(err)
	}
	return runThreads(t, s, x, c)
}

func TestWinogradKernel(t *testing.T) {
	// The transformed unit kernels are the products of the points' powers, over their weights.
	p := [5]float64{0, math.Sqrt2, -math.Sqrt2, math.Sqrt2 / 2, -math.Sqrt2 / 2}
	factor := func(j, k int) float64 {
		if j == 5 {
			return map[int]float64{2: 1}[k]
		}
		weight := 1.0
		for l, q := range p {
			if l != j {
				weight *= p[j] - q
			}
		}
		return math.Pow(p[j], float64(k)) / weight
	}
	for tap := range 9 {
		var g [9]float64
		g[tap] = 1
		for i, got := range winogradKernel(g[:]) {
			if want := factor(i/6, tap/3) * factor(i%6, tap%3); math.Abs(got-want) > 1e-15 {
				t.Errorf("tap %d, point %d: %v, want %v", tap, i, got, want)
			}
		}
	}
}

// A NaN or an infinity reaches every output that reads it, and none of another tile.
func TestWinogradSpecialValues(t *testing.T) {
	s := ConvShape{Batch: 1, InC: 2, InH: 12, InW: 12, OutC: 3, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1}
	w := uniform[float32](rand.New(rand.NewPCG(1, 3)), 3*2*9)
	isas(t, func(t *testing.T, isa ISA) {
		for i := range 144 {
			x := uniform[float32](rand.New(rand.NewPCG(4, 3)), 2*144)
			x[i] = float32(math.Inf(1))
			if i%2 == 0 {
				x[i] = float32(math.NaN())
			}
			want, _ := naiveConv(s, x, w, nil)
			tainted := map[int]bool{} // tiles with an output that reads x[i]
			tile := func(o int) int { return o%144/48*3 + o%12/4 }
			for o, v := range want {
				tainted[tile(o)] = tainted[tile(o)] || v-v != 0
			}
			for o, got := range winogradThreads(t, s, x, w, nil, isa) {
				if finite := got-got == 0; finite && want[o]-want[o] != 0 || !finite && !tainted[tile(o)] {
					t.Fatalf("input %d is %v: output %d is %v, want %v", i, x[i], o, got, want[o])
				}
			}
		}
	})
}

func TestWinogradErrors(t *testing.T) {
	ok := ConvShape{Batch: 1, InC: 4, InH: 4, InW: 4, OutC: 4, KH: 3, KW: 3}
	packed, err := NewWinogradWeights(ok, make([]float32, 4*4*9), nil, Portable)
	if err != nil {
		t.Fatal(err)
	}
	for i, change := range []func(*ConvShape){
		func(s *ConvShape) { s.StrideW = 2 }, func(s *ConvShape) { s.KH, s.KW = 1, 9 }, func(s *ConvShape) { s.Groups, s.InC, s.OutC = 2, 8, 4 },
	} {
		s := ok
		change(&s)
		if _, err := NewWinogradWeights(s, make([]float32, 4*4*9), nil, Portable); err == nil {
			t.Errorf("change %d: no error from packing", i)
		}
		if _, err := packed.Conv(s); err == nil {
			t.Errorf("change %d: no error from %d weights", i, 4*4*9)
		}
	}
	if _, err := NewWinogradWeights(ok, make([]float32, 4*4*9), make([]float32, 3), Portable); err == nil {
		t.Error("3 biases for 4 channels: no error")
	}
}

func TestWinogradSuits(t *testing.T) {
	for _, c := range []struct {
		s    ConvShape
		want bool
	}{
		{conv3(96, 64, 96, 1), true}, {conv3(96, 16, 96, 1), true}, {conv3(96, 8, 96, 1), false}, {conv3(96, 4, 96, 1), false},
		{conv3(32, 16, 32, 1), false}, {conv3(8, 64, 96, 1), false}, {conv3(96, 64, 8, 1), false}, {conv3(96, 64, 96, 2), false}, {conv1(96, 64, 96), false},
		{tiles(conv3(96, 64, 96, 1), 1, 96), false}, {tiles(conv3(96, 8, 96, 1), 16, 1), false},
	} {
		if got := WinogradSuits(c.s); got != c.want {
			t.Errorf("%s: %v", c.s.label(), got)
		}
	}
}

// BenchmarkWinograd compares the layers that Winograd's algorithm suits with the direct sum, in turns: GFLOP/s of the direct sum's operations.
func BenchmarkWinograd(b *testing.B) {
	p := NewPool(2)
	defer p.Close()
	for _, s := range layers {
		if !WinogradSuits(s) {
			continue
		}
		b.Run(s.label(), func(b *testing.B) { benchWinograd(b, p, s) })
	}
}

func benchWinograd(b *testing.B, p *Pool, s ConvShape) {
	weight := make([]float32, s.OutC*s.InC*9)
	direct, err := newConv(s, weight, nil, chosen())
	if err != nil {
		b.Fatal(err)
	}
	packed, err := NewWinogradWeights(s, weight, nil, chosen())
	if err != nil {
		b.Fatal(err)
	}
	fast, err := packed.Conv(s)
	if err != nil {
		b.Fatal(err)
	}
	x, y := make([]float32, s.Batch*s.InC*s.InH*s.InW), make([]float32, s.Batch*s.OutC*s.OutH()*s.OutW())
	scratch := make([]float32, max(direct.ScratchLen(2), fast.ScratchLen(2)))
	st := NewStats(s.Batch, 1, s.OutC, s.OutH()*s.OutW())
	var times [2][]float64
	for b.Loop() {
		for i, run := range []func(){func() { direct.Run(p, x, y, scratch, st) }, func() { fast.Run(p, x, y, scratch, st) }} {
			times[i] = append(times[i], seconds(run))
		}
	}
	flop := 2 * float64(len(y)) * float64(s.InC) * 9
	b.ReportMetric(flop/median(times[0])/1e9, "direct-GFLOP/s")
	b.ReportMetric(flop/median(times[1])/1e9, "winograd-GFLOP/s")
}
