package onnx

import (
	"math"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
)

// TestNarrowBits compares with the definition of a format (graph.Round): every element of fp16 stays itself, and what lies between two becomes the nearer, or
// the even one.
func TestNarrowBits(t *testing.T) {
	value := func(h uint16) float64 {
		mantissa, exponent := float64(h&0x3ff), int(h>>10&31)
		if exponent == 0 {
			return math.Ldexp(mantissa, -24)
		}
		return math.Ldexp(1024+mantissa, exponent-25)
	}
	for h := range uint16(0x7bff) {
		lower, upper := value(h), value(h+1)
		if fp16Value(h) != float32(lower) || fp16Value(h|0x8000) != float32(-lower) {
			t.Fatalf("%#x is %g and %g, want %g", h, fp16Value(h), fp16Value(h|0x8000), lower)
		}
		middle := (lower + upper) / 2
		even := h + h&1
		for x, want := range map[float64]uint16{lower: h, math.Nextafter(middle, 0): h, middle: even, upper: h + 1} {
			if float64(float32(x)) != x { // beside the middle a float32 may be the middle
				x = float64(math.Nextafter32(float32(middle), 0))
			}
			if got := fp16Bits(float32(x)); got != want {
				t.Fatalf("%g: %#x, want %#x", x, got, want)
			}
			if got := fp16Bits(float32(-x)); got != want|0x8000 {
				t.Fatalf("%g: %#x, want %#x", -x, got, want|0x8000)
			}
		}
	}
	for x, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, float32(math.Inf(-1)): 0xfc00} {
		if got := fp16Bits(x); got != want {
			t.Errorf("%g: %#x, want %#x", x, got, want)
		}
	}
	if got := fp16Bits(float32(math.NaN())); got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
		t.Errorf("NaN: %#x", got)
	}
	for x, want := range map[float32]uint16{1: 0x3f80, 1.00390625: 0x3f80, 1.01171875: 0x3f82, -2: 0xc000, math.MaxFloat32: 0x7f80} {
		if got := bf16Bits(x); got != want {
			t.Errorf("bf16 of %g: %#x, want %#x", x, got, want)
		}
	}
	if got := bf16Bits(float32(math.NaN())); got&0x7f80 != 0x7f80 || got&0x7f == 0 {
		t.Errorf("bf16 of NaN: %#x", got)
	}
	if _, err := NarrowConstant(graph.FP16, nil); err == nil {
		t.Error("no error for no constant")
	}
}
