package kernel

import (
	"fmt"
	"os"
)

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

// isaVariable names an instruction set in the environment.
const isaVariable = "APEXX_ISA"

// Chosen returns the instruction set that the environment variable APEXX_ISA names (portable, avx2 or avx512), by default the widest
// that this processor, the operating system and the build support. Another name is an *UnknownISA; one that is not supported here is an
// error too, so that nobody takes the times of one instruction set for those of another.
func Chosen() (ISA, error) {
	asked, widest := os.Getenv(isaVariable), detect()
	if asked == "" {
		return widest, nil
	}
	for i := Portable; i <= AVX512; i++ {
		switch {
		case i.String() == asked && i > widest:
			return 0, fmt.Errorf("%s is %s, and %s is the most that this machine and build have", isaVariable, asked, widest)
		case i.String() == asked:
			return i, nil
		}
	}
	return 0, &UnknownISA{asked}
}

// UnknownISA says that APEXX_ISA names no instruction set.
type UnknownISA struct{ Name string }

// Error quotes the name and lists the known ones.
func (e *UnknownISA) Error() string {
	return fmt.Sprintf("%s is %q (known: %s, %s, %s)", isaVariable, e.Name, Portable, AVX2, AVX512)
}

// supported returns isa, or the widest supported instruction set when this machine lacks isa.
func supported(isa ISA) ISA { return min(isa, detect()) }
