//go:build amd64 && !purego

package kernel

// vectorEngines are the engines in assembly.
var vectorEngines = []any{
	engine[float32]{isa: AVX2, lanes: 16, tall: 6, low: 4, mulTall: mul6x16F32AVX2, mulLow: mul4x16F32AVX2},
	engine[float64]{isa: AVX2, lanes: 8, tall: 6, low: 4, mulTall: mul6x8F64AVX2, mulLow: mul4x8F64AVX2},
	engine[float32]{isa: AVX512, lanes: 32, tall: 12, low: 8, mulTall: mul12x32F32AVX512, mulLow: mul8x32F32AVX512},
	engine[float64]{isa: AVX512, lanes: 16, tall: 12, low: 8, mulTall: mul12x16F64AVX512, mulLow: mul8x16F64AVX512},
}
