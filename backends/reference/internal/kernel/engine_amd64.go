//go:build amd64 && !purego

package kernel

// engineFor returns the engine of a supported instruction set.
func engineFor[T Float](isa ISA) engine[T] {
	for _, e := range engines {
		if e, ok := e.(engine[T]); ok && e.isa == isa {
			return e
		}
	}
	return portableEngine[T]()
}

// engines lists the assembly engines as engine[float32] and engine[float64].
var engines = [...]any{
	engine[float32]{isa: AVX2, lanes: 16, tall: 6, low: 4, mulTall: mul6x16F32AVX2, mulLow: mul4x16F32AVX2, blockDepth: 256},
	engine[float64]{isa: AVX2, lanes: 8, tall: 6, low: 4, mulTall: mul6x8F64AVX2, mulLow: mul4x8F64AVX2, blockDepth: 256},
	engine[float32]{isa: AVX512, lanes: 32, tall: 12, low: 8, mulTall: mul12x32F32AVX512, mulLow: mul8x32F32AVX512, blockDepth: 192},
	engine[float64]{isa: AVX512, lanes: 16, tall: 12, low: 8, mulTall: mul12x16F64AVX512, mulLow: mul8x16F64AVX512, blockDepth: 192},
}
