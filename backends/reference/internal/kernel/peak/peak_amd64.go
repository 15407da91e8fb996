//go:build amd64 && !purego

package peak

import "unsafe"

func vectorLoop[T float32 | float64](steps, isa int) (flops float64) {
	const chains = 12 // of a step; see asm/peak.go
	single := unsafe.Sizeof(T(0)) == 4
	switch {
	case single && isa == 1:
		loopF32AVX2(steps)
	case single:
		loopF32AVX512(steps)
	case isa == 1:
		loopF64AVX2(steps)
	default:
		loopF64AVX512(steps)
	}
	return 2 * chains * float64(steps*isa*32) / float64(unsafe.Sizeof(T(0)))
}
