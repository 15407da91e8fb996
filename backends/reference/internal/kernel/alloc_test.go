package kernel

import "testing"

// TestNoAllocation checks that nothing is allocated after the first call, with one and with several threads.
func TestNoAllocation(t *testing.T) {
	t.Run("float32", testNoAllocation[float32])
	t.Run("float64", testNoAllocation[float64])
}

func testNoAllocation[T Float](t *testing.T) {
	s := conv3(64, 32, 64, 2)
	dw := tiles(conv3(64, 16, 64, 1), 1, 64)
	isa := chosen()
	for _, threads := range []int{1, 2} {
		p := NewPool(threads)
		defer p.Close()
		c, err := newConv(s, make([]T, 64*64*9), nil, isa)
		if err != nil {
			t.Fatal(err)
		}
		d, err := newConv(dw, make([]T, 64*9), nil, isa)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := NewWinogradWeights(conv3(64, 20, 64, 1), make([]T, 64*64*9), nil, isa)
		if err != nil {
			t.Fatal(err)
		}
		w, err := packed.Conv(conv3(64, 20, 64, 1))
		if err != nil {
			t.Fatal(err)
		}
		split, err := packed.Conv(conv3(64, 16, 64, 1)) // one panel for all threads
		if err != nil {
			t.Fatal(err)
		}
		n := 64 * 16 * 16
		x, y, scale := make([]T, 4*n), make([]T, 2*n), make([]T, 64)
		scratch := make([]T, max(c.ScratchLen(threads), d.ScratchLen(threads), w.ScratchLen(threads), split.ScratchLen(threads),
			MatMulScratchLen[T](1, 64, 64, 64, threads, isa)))
		st, wst := NewStats(1, 1, 64, 256), NewStats(1, 1, 64, 400)
		zero := func(i int) { y[i] = 0 }
		for name, f := range map[string]func(){
			"Conv":           func() { c.Run(p, x, y, scratch, st) },
			"depthwise":      func() { d.Run(p, x, y, scratch, st) },
			"Winograd":       func() { w.Run(p, x, y, scratch, wst) },
			"Winograd split": func() { split.Run(p, x, y, scratch, st) },
			"MatMul":         func() { MatMul(p, x, x, y, 1, 64, 64, 64, false, nil, isa, scratch) },
			"Moments":        func() { Moments(p, y, st) },
			"Finish":         func() { st.Finish(1e-5) },
			"GroupNormAct":   func() { GroupNormAct(p, y, y, st, scale, scale, SiLU, isa) },
			"GroupNormReGLU": func() { GroupNormReGLU(p, x, nil, y, st, scale, scale, isa) },
			"Sigmoid":        func() { Sigmoid(p, x, x, isa) },
			"Run":            func() { p.Run(n, zero) },
		} {
			if got := testing.AllocsPerRun(20, f); got != 0 {
				t.Errorf("%s on %d threads: %v allocations", name, threads, got)
			}
		}
	}
}
