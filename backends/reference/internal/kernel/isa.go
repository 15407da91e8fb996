package kernel

import "os"

// Float is the element type of a tensor.
type Float interface{ float32 | float64 }

// ISA names the instruction set that a kernel is written for.
type ISA int

const (
	// Portable is plain Go, without fused multiply-adds.
	Portable ISA = iota
	// AVX2 needs AVX2 and FMA.
	AVX2
	// AVX512 needs AVX-512 F, BW, DQ and VL.
	AVX512
)

// String returns the name that APEXX_ISA takes: portable, avx2 or avx512.
func (i ISA) String() string {
	switch i {
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	}
	return "portable"
}

// Best returns the widest instruction set that this processor, the operating system and the build support. The environment variable
// APEXX_ISA (portable, avx2 or avx512) asks for another one; Best falls back to the widest supported one when that one is not
// supported or not known.
func Best() ISA {
	widest := detect()
	asked := os.Getenv("APEXX_ISA")
	for i := Portable; i < widest; i++ {
		if i.String() == asked {
			return i
		}
	}
	return widest
}

// supported returns isa, or the widest supported instruction set when this machine lacks isa.
func supported(isa ISA) ISA { return min(isa, detect()) }
