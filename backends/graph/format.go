package graph

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Format is a number format that values are rounded to. It is the name of a precision too.
type Format string

// The formats of Round that a value is rounded to as it is, widest significand first, narrower exponent last.
const (
	TF32 Format = "tf32" // what NVIDIA's tensor cores read of a float32: 1 sign, 8 exponent and 10 mantissa bits
	FP16 Format = "fp16" // IEEE 754 binary16: 1, 5 and 10 bits
	BF16 Format = "bf16" // the upper half of a float32: 1, 8 and 7 bits
)

// The formats of Round that are too narrow for the range of a value: it is divided by a scale before it is rounded, and multiplied by it
// afterwards.
const (
	INT8 Format = "int8" // the integers from -128 to 127
	FP8  Format = "fp8"  // E4M3: 1 sign, 4 exponent and 3 mantissa bits, no infinity, at most 448
)

// Formats lists the formats without a scale.
var Formats = []Format{TF32, FP16, BF16}

// ScaledFormats lists the formats with one.
var ScaledFormats = []Format{INT8, FP8}

// Scaled tells whether numbers of the format are multiples of a scale.
func (f Format) Scaled() bool { return slices.Contains(ScaledFormats, f) }

// Known returns an error that names the format if it does not exist.
func (f Format) Known() error {
	all := slices.Concat(Formats, ScaledFormats)
	if slices.Contains(all, f) {
		return nil
	}
	names := make([]string, len(all))
	for i, g := range all {
		names[i] = string(g)
	}
	return fmt.Errorf("unknown format %q (want one of %s)", f, strings.Join(names, ", "))
}

// Layout describes a binary floating-point format with subnormal numbers, infinities and NaN. A finite number is k·2^e with an
// integer |k| < 2^Significand and MinExponent ≤ e + Significand - 1 ≤ MaxExponent.
type Layout struct {
	Significand int // bits of precision, the implied one included
	MinExponent int // exponent of the smallest normal number
	MaxExponent int // exponent of the largest finite number
}

// E4M3 is the layout of fp8, but for its largest numbers: it has no infinity, and 480 is its NaN, so that 448 is its largest number.
var E4M3 = Layout{Significand: 4, MinExponent: -6, MaxExponent: 8}

// Layout returns the layout of a format without a scale; an error names one that has a scale or does not exist.
func (f Format) Layout() (Layout, error) {
	switch f {
	case TF32:
		return Layout{Significand: 11, MinExponent: -126, MaxExponent: 127}, nil
	case FP16:
		return Layout{Significand: 11, MinExponent: -14, MaxExponent: 15}, nil
	case BF16:
		return Layout{Significand: 8, MinExponent: -126, MaxExponent: 127}, nil
	}
	if err := f.Known(); err != nil {
		return Layout{}, err
	}
	return Layout{}, fmt.Errorf("a value is not rounded to %s without a scale", f)
}

// Limits returns the least and the largest number of a format with a scale, of which larger magnitudes become one. A symmetric range
// uses the largest on both sides.
func (f Format) Limits() (least, largest float64) {
	if f == INT8 {
		return -128, 127
	}
	return -448, 448
}

// ScaleOf returns the scale that maps magnitudes up to range to the largest number of the format: range / Largest, in float32. A range
// so small that this is 0, and that of zeros, get 1, since any scale represents 0.
func (f Format) ScaleOf(largest float32) float32 {
	_, limit := f.Limits()
	if scale := largest / float32(limit); scale > 0 && !math.IsInf(float64(scale), 0) {
		return scale
	}
	return 1
}
