package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var convShapes = []ConvShape{
	{Batch: 1, InC: 3, InH: 32, InW: 32, OutC: 64, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 96, InH: 16, InW: 16, OutC: 96, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 2, InC: 64, InH: 16, InW: 16, OutC: 128, KH: 1, KW: 1},
	{Batch: 1, InC: 64, InH: 64, InW: 64, OutC: 9, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 5, InH: 64, InW: 128, OutC: 14, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 3, InC: 5, InH: 7, InW: 9, OutC: 7, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 3, InH: 9, InW: 11, OutC: 5, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 37, InH: 40, InW: 24, OutC: 13, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 90, InH: 5, InW: 3, OutC: 11, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 4, InH: 1, InW: 1, OutC: 4, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1},
	{Batch: 1, InC: 300, InH: 4, InW: 4, OutC: 1, KH: 1, KW: 1},
	{Batch: 1, InC: 3, InH: 20, InW: 21, OutC: 6, KH: 5, KW: 4, StrideH: 3, StrideW: 2, PadT: 2, PadB: 1, PadR: 3},
	{Batch: 1, InC: 2, InH: 20, InW: 19, OutC: 4, KH: 7, KW: 7, PadT: 3, PadL: 3, PadB: 3, PadR: 3},
	{Batch: 2, InC: 8, InH: 16, InW: 16, OutC: 8, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1, Groups: 8},
	{Batch: 3, InC: 70, InH: 8, InW: 8, OutC: 70, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1, Groups: 70},
	{Batch: 2, InC: 5, InH: 7, InW: 3, OutC: 5, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1, Groups: 5},
	{Batch: 1, InC: 5, InH: 17, InW: 19, OutC: 5, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1, Groups: 5},
	{Batch: 1, InC: 12, InH: 9, InW: 9, OutC: 15, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1, Groups: 3},
	{Batch: 1, InC: 4, InH: 18, InW: 18, OutC: 4, KH: 3, KW: 3},
	{Batch: 0, InC: 4, InH: 8, InW: 8, OutC: 4, KH: 1, KW: 1},
	{Batch: 1, InC: 4, InH: 0, InW: 8, OutC: 4, KH: 1, KW: 1},
	{Batch: 1, InC: 4, InH: 2, InW: 2, OutC: 4, KH: 3, KW: 3},
}

func (s ConvShape) label() string {
	return fmt.Sprintf("%dx%dx%dx%d-%d-k%dx%d-s%dx%d-g%d", s.Batch, s.InC, s.InH, s.InW, s.OutC, s.KH, s.KW, s.StrideH, s.StrideW, s.Groups)
}

// naiveConv returns the convolution in float64 and, for each output, the sum of the absolute values of its terms.
func naiveConv[T Float](s ConvShape, x, w, bias []T) (y, scale []float64) {
	s = s.withDefaults()
	inC, outC := s.InC/s.Groups, s.OutC/s.Groups
	for b := range s.Batch {
		for o := range s.OutC {
			for oy := range s.OutH() {
				for ox := range s.OutW() {
					sum, abs := 0.0, 0.0
					for c := range inC {
						for ky := range s.KH {
							for kx := range s.KW {
								iy, ix := oy*s.StrideH-s.PadT+ky, ox*s.StrideW-s.PadL+kx
								v := 0.0
								if iy >= 0 && iy < s.InH && ix >= 0 && ix < s.InW {
									v = float64(x[((b*s.InC+o/outC*inC+c)*s.InH+iy)*s.InW+ix])
								}
								v *= float64(w[((o*inC+c)*s.KH+ky)*s.KW+kx])
								sum, abs = sum+v, abs+math.Abs(v)
							}
						}
					}
					if len(bias) > 0 {
						sum, abs = sum+float64(bias[o]), abs+math.Abs(float64(bias[o]))
					}
					y, scale = append(y, sum), append(scale, abs)
				}
			}
		}
	}
	return y, scale
}

func TestConv(t *testing.T) {
	t.Run("float32", testConv[float32])
	t.Run("float64", testConv[float64])
}

func testConv[T Float](t *testing.T) {
	for i, s := range convShapes {
		t.Run(s.label(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			d := s.withDefaults()
			x, w := uniform[T](r, s.Batch*s.InC*s.InH*s.InW), uniform[T](r, s.OutC*s.InC/d.Groups*s.KH*s.KW)
			var bias []T
			if i%2 == 0 {
				bias = uniform[T](r, s.OutC)
			}
			want, scale := naiveConv(s, x, w, bias)
			var fused []T
			isas(t, func(t *testing.T, isa ISA) {
				got := convThreads(t, s, x, w, bias, isa)
				within(t, got, want, scale, s.InC/d.Groups*s.KH*s.KW+2)
				if isa != Portable && fused != nil {
					equalBits(t, "AVX2 and AVX-512", got, fused)
				} else if isa != Portable {
					fused = got
				}
			})
		})
	}
}

// convThreads runs a direct convolution as runThreads does.
func convThreads[T Float](t *testing.T, s ConvShape, x, w, bias []T, isa ISA) []T {
	t.Helper()
	c, err := newConv(s, w, bias, isa)
	if err != nil {
		t.Fatal(err)
	}
	return runThreads(t, s, x, c)
}

// convolution is what the algorithms of convolution have in common.
type convolution[T Float] interface {
	ScratchLen(threads int) int
	Run(p *Pool, x, y, scratch []T, stats *Stats)
}

// runThreads runs a convolution on 1, 2 and 3 threads, checks that results and moments are identical and nothing else is written.
func runThreads[T Float](t *testing.T, s ConvShape, x []T, c convolution[T]) []T {
	t.Helper()
	n := s.Batch * s.OutC * s.OutH() * s.OutW()
	var first []T
	var firstMean []float64
	for threads := 1; threads <= 3; threads++ {
		p := NewPool(threads)
		defer p.Close()
		y, intact := guarded[T](n)
		scratch, scratchIntact := guarded[T](c.ScratchLen(threads))
		st := NewStats(s.Batch, 1, s.OutC, s.OutH()*s.OutW())
		c.Run(p, x, y, scratch, st)
		if !intact() || !scratchIntact() {
			t.Fatalf("%d threads: wrote outside the output or the scratch", threads)
		}
		own := NewStats(s.Batch, 1, s.OutC, s.OutH()*s.OutW())
		Moments(p, y, own)
		equalBits(t, "fused and separate means", st.mean, own.mean)
		equalBits(t, "fused and separate squares", st.m2, own.m2)
		if first == nil {
			first, firstMean = y, st.mean
		}
		equalBits(t, fmt.Sprintf("1 and %d threads", threads), y, first)
		equalBits(t, fmt.Sprintf("means on 1 and %d threads", threads), st.mean, firstMean)
	}
	return first
}

func TestConvErrors(t *testing.T) {
	ok := ConvShape{Batch: 1, InC: 4, InH: 4, InW: 4, OutC: 4, KH: 1, KW: 1}
	groups, channels := ok, ok
	groups.Groups, channels.InC = 3, 0
	for _, c := range []struct {
		name            string
		s               ConvShape
		weights, biases int
	}{
		{"weights", ok, 15, 0},
		{"biases", ok, 16, 3},
		{"groups", groups, 16, 0},
		{"channels", channels, 0, 0},
	} {
		if _, err := newConv(c.s, make([]float32, c.weights), make([]float32, c.biases), Portable); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

// TestConvSpecialValues checks that a NaN and an infinity of the input reach the outputs that read them and no other, and that the
// padding is a zero that is multiplied like any other value.
func TestConvSpecialValues(t *testing.T) {
	s := ConvShape{Batch: 1, InC: 2, InH: 9, InW: 9, OutC: 3, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1}
	r := rand.New(rand.NewPCG(1, 2))
	x, w := uniform[float32](r, 2*81), uniform[float32](r, 3*2*9)
	x[0], x[81+40] = float32(math.NaN()), float32(math.Inf(1))
	w[0] = float32(math.Inf(1)) // top left tap of channel 0, output channel 0: Inf·0 = NaN where it reads the padding
	want, _ := naiveConv(s, x, w, nil)
	isas(t, func(t *testing.T, isa ISA) {
		for i, g := range convThreads(t, s, x, w, nil, isa) {
			switch v := want[i]; {
			case math.IsNaN(v) != math.IsNaN(float64(g)), math.IsInf(v, 0) && float64(g) != v:
				t.Fatalf("element %d: got %v, want %v", i, g, v)
			}
		}
	})
}

// TestConvRandomShapes compares every instruction set with the naive loop on small random geometries.
func TestConvRandomShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 150 {
		groups := 1 + r.IntN(3)
		s := ConvShape{
			Batch: 1 + r.IntN(2), InC: groups * (1 + r.IntN(40)), InH: 1 + r.IntN(24), InW: 1 + r.IntN(40), OutC: groups * (1 + r.IntN(20)),
			KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3),
			PadT: r.IntN(4), PadL: r.IntN(4), PadB: r.IntN(4), PadR: r.IntN(4), Groups: groups,
		}
		if r.IntN(3) == 0 { // a depthwise or a same-size shape, which take paths of their own
			s.KH, s.KW, s.PadT, s.PadL, s.PadB, s.PadR, s.StrideH, s.StrideW = 3, 3, 1, 1, 1, 1, 1, 1
			s.InC, s.OutC = groups, groups
		}
		x, w := uniform[float32](r, s.Batch*s.InC*s.InH*s.InW), uniform[float32](r, s.OutC*s.InC/groups*s.KH*s.KW)
		want, scale := naiveConv(s, x, w, nil)
		for isa := Portable; isa <= detect(); isa++ {
			t.Run(fmt.Sprintf("%s-%v", s.label(), isa), func(t *testing.T) {
				within(t, convThreads(t, s, x, w, nil, isa), want, scale, s.InC/groups*s.KH*s.KW+2)
			})
		}
	}
}

func TestSplitRows(t *testing.T) {
	for _, c := range []struct{ tasks, blocks, threads, parts int }{
		{1, 16, 1, 1}, {1, 16, 2, 2}, {3, 16, 2, 2}, {4, 16, 2, 1}, {7, 16, 2, 1}, {1, 16, 16, 16}, {1, 3, 16, 3}, {0, 5, 2, 1}, {1, 16, 3, 3}, {5, 7, 4, 3},
	} {
		parts, partBlocks := splitRows(c.tasks, c.blocks, c.threads)
		if parts != c.parts || parts*partBlocks < c.blocks || (parts-1)*partBlocks >= c.blocks {
			t.Errorf("%+v: got %d parts of %d blocks", c, parts, partBlocks)
		}
	}
}

// newConv packs weights for one convolution.
func newConv[T Float](s ConvShape, weight, bias []T, isa ISA) (*Conv[T], error) {
	w, err := NewWeights(s, weight, bias, isa)
	if err != nil {
		return nil, err
	}
	return w.Conv(s)
}

// Weights packed once serve every size of the input, and no other convolution.
func TestWeightsServeAnySize(t *testing.T) {
	isas(t, func(t *testing.T, isa ISA) {
		for _, groups := range []int{1, 4} {
			packedFor := ConvShape{Batch: 1, InC: 4, InH: 16, InW: 32, OutC: 4, KH: 3, KW: 3, PadT: 1, PadL: 1, PadB: 1, PadR: 1, Groups: groups}
			weight := uniform[float32](rand.New(rand.NewPCG(1, 2)), 4*4/groups*9)
			w, err := NewWeights(packedFor, weight, weight[:4], isa)
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []ConvShape{{Batch: 2, InH: 5, InW: 7}, {Batch: 1, InH: 33, InW: 64, StrideH: 2, StrideW: 2}, {Batch: 1, InH: 16, InW: 32}} {
				s := packedFor
				s.Batch, s.InH, s.InW, s.StrideH, s.StrideW = size.Batch, size.InH, size.InW, size.StrideH, size.StrideW
				c, err := w.Conv(s)
				if err != nil {
					t.Fatal(err)
				}
				own, err := newConv(s, weight, weight[:4], isa)
				if err != nil {
					t.Fatal(err)
				}
				p := NewPool(1)
				defer p.Close()
				x := uniform[float32](rand.New(rand.NewPCG(3, 4)), s.Batch*s.InC*s.InH*s.InW)
				y, want := make([]float32, s.Batch*s.OutC*s.OutH()*s.OutW()), make([]float32, s.Batch*s.OutC*s.OutH()*s.OutW())
				scratch := make([]float32, c.ScratchLen(1))
				c.Run(p, x, y, scratch, nil)
				own.Run(p, x, want, scratch, nil)
				equalBits(t, "shared weights", y, want)
			}
			for _, change := range []func(*ConvShape){
				func(s *ConvShape) { s.InC *= 2 }, func(s *ConvShape) { s.KH = 5 }, func(s *ConvShape) { s.OutC *= 2 }, func(s *ConvShape) { s.Groups = 2 },
			} {
				s := packedFor
				change(&s)
				if _, err := w.Conv(s); err == nil {
					t.Errorf("weights for %+v served %+v", packedFor, s)
				}
			}
		}
	})
}
