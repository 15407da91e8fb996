package gate

import "time"

// The fixed reference workload: a triad over a working set beyond the second-level cache, about a millisecond. It tells a
// machine that changed its speed from a build that did.
const triadElements = 1 << 18

var triad = func() (a [3][]float32) {
	for i := range a {
		a[i] = make([]float32, triadElements)
		for j := range a[i] {
			a[i][j] = float32(i*j%7) + 1
		}
	}
	return a
}()

// timeWorkload runs the workload once and returns its time in nanoseconds.
func timeWorkload() float64 {
	start := time.Now()
	x, y, z := triad[0], triad[1], triad[2]
	for range 4 {
		for j := range x {
			x[j] = 0.5*y[j] + 0.25*z[j]
		}
		x, y, z = y, z, x
	}
	return float64(max(time.Since(start), 1))
}
