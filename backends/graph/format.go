package graph

import (
	"fmt"
	"strings"
)

// Format is a floating-point format that values are rounded to. It is the name of a precision too.
type Format string

// The formats of Round, widest significand first, narrower exponent last.
const (
	TF32 Format = "tf32" // what NVIDIA's tensor cores read of a float32: 1 sign, 8 exponent and 10 mantissa bits
	FP16 Format = "fp16" // IEEE 754 binary16: 1, 5 and 10 bits
	BF16 Format = "bf16" // the upper half of a float32: 1, 8 and 7 bits
)

// Formats lists every format.
var Formats = []Format{TF32, FP16, BF16}

// Layout describes a binary floating-point format with subnormal numbers, infinities and NaN. A finite number is k·2^e with an
// integer |k| < 2^Significand and MinExponent ≤ e + Significand - 1 ≤ MaxExponent.
type Layout struct {
	Significand int // bits of precision, the implied one included
	MinExponent int // exponent of the smallest normal number
	MaxExponent int // exponent of the largest finite number
}

// Layout returns the format's layout; an error names a format that does not exist.
func (f Format) Layout() (Layout, error) {
	switch f {
	case TF32:
		return Layout{Significand: 11, MinExponent: -126, MaxExponent: 127}, nil
	case FP16:
		return Layout{Significand: 11, MinExponent: -14, MaxExponent: 15}, nil
	case BF16:
		return Layout{Significand: 8, MinExponent: -126, MaxExponent: 127}, nil
	}
	names := make([]string, len(Formats))
	for i, g := range Formats {
		names[i] = string(g)
	}
	return Layout{}, fmt.Errorf("unknown format %q (want one of %s)", f, strings.Join(names, ", "))
}
