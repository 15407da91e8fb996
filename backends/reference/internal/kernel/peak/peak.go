// Package peak runs multiply-adds on registers alone, to measure what share of a core's arithmetic a kernel reaches.
package peak

// Run performs about the given number of loop steps with the widest vectors of an instruction set (0 portable, 1 AVX2, 2 AVX-512, as
// kernel.ISA) and returns the number of floating-point operations, two per multiply-add. The processor must have the instructions.
func Run[T float32 | float64](steps, isa int) (flops float64) {
	if isa > 0 {
		return vectorLoop[T](steps, isa)
	}
	var sink [8]T
	for range steps {
		for i := range sink {
			sink[i] += sink[i] * 0.5
		}
	}
	return float64(2 * len(sink) * steps)
}
