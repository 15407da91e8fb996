package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestMatMul(t *testing.T) {
	t.Run("float32", testMatMul[float32])
	t.Run("float64", testMatMul[float64])
}

func testMatMul[T Float](t *testing.T) {
	for i, c := range []struct{ batch, m, k, n int }{
		{1, 1, 1, 1}, {1, 100, 32, 600}, {2, 13, 300, 33}, {3, 6, 16, 16}, {1, 12, 12, 64}, {2, 5, 0, 3}, {0, 4, 4, 4}, {1, 1, 513, 7}, {4, 64, 12, 32},
	} {
		for _, trans := range []bool{false, true} {
			t.Run(fmt.Sprintf("%dx%dx%dx%d-%v", c.batch, c.m, c.k, c.n, trans), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(i), 3))
				a, b := uniform[T](r, c.batch*c.m*c.k), uniform[T](r, c.batch*c.k*c.n)
				var bias []T
				if i%2 == 0 {
					bias = uniform[T](r, c.n)
				}
				want, scale := naiveMatMul(a, b, bias, c.batch, c.m, c.k, c.n, trans)
				isas(t, func(t *testing.T, isa ISA) {
					var first []T
					for threads := 1; threads <= 3; threads++ {
						p := NewPool(threads)
						defer p.Close()
						y, intact := guarded[T](c.batch * c.m * c.n)
						MatMul(p, a, b, y, c.batch, c.m, c.k, c.n, trans, bias, isa, make([]T, MatMulScratchLen[T](c.batch, c.m, c.k, c.n, threads, isa)))
						if !intact() {
							t.Fatal("wrote outside the output")
						}
						within(t, y, want, scale, c.k+2)
						if first == nil {
							first = y
						}
						equalBits(t, "threads", y, first)
					}
				})
			})
		}
	}
}

func naiveMatMul[T Float](a, b, bias []T, batch, m, k, n int, trans bool) (y, scale []float64) {
	for q := range batch {
		for i := range m {
			for j := range n {
				sum, abs := 0.0, 0.0
				for l := range k {
					at := (q*k+l)*n + j
					if trans {
						at = (q*n+j)*k + l
					}
					v := float64(a[(q*m+i)*k+l]) * float64(b[at])
					sum, abs = sum+v, abs+math.Abs(v)
				}
				if bias != nil {
					sum, abs = sum+float64(bias[j]), abs+math.Abs(float64(bias[j]))
				}
				y, scale = append(y, sum), append(scale, abs)
			}
		}
	}
	return y, scale
}
