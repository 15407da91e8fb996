package gate

import (
	"sync"
	"time"
)

// The fixed reference workload: a triad over a working set beyond the second-level cache, about a millisecond. It tells a
// machine that changed its speed from a build that did. Its factors sum to one: the numbers neither grow nor fade into
// subnormals, which some processors compute a hundred times slower.
const triadElements = 1 << 18

var triad = sync.OnceValue(func() (a [3][]float32) {
	for i := range a {
		a[i] = make([]float32, triadElements)
		for j := range a[i] {
			a[i][j] = float32(i*j%7) + 1
		}
	}
	return a
})

// timeWorkload runs the workload once and returns its time in nanoseconds.
func timeWorkload() float64 {
	a := triad()
	start := time.Now()
	x, y, z := a[0], a[1], a[2]
	for range 4 {
		for j := range x {
			x[j] = 0.5*y[j] + 0.5*z[j]
		}
		x, y, z = y, z, x
	}
	return float64(max(time.Since(start), 1))
}
