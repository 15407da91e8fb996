package kernel

import "fmt"

// ConvShape is the geometry of a two-dimensional convolution. Sizes are in elements; the input is [Batch, InC, InH, InW], the weight
// [OutC, InC/Groups, KH, KW], the output [Batch, OutC, OutH(), OutW()]. Zero strides and groups mean 1.
type ConvShape struct {
	Batch, InC, InH, InW   int
	OutC, KH, KW           int
	StrideH, StrideW       int
	PadT, PadL, PadB, PadR int
	Groups                 int
}

// OutH returns the height of the output, (InH + PadT + PadB - KH)/StrideH + 1, or 0 if the kernel does not fit.
func (s ConvShape) OutH() int { return outLen(s.InH+s.PadT+s.PadB, s.KH, s.StrideH) }

// OutW returns the width of the output, (InW + PadL + PadR - KW)/StrideW + 1, or 0 if the kernel does not fit.
func (s ConvShape) OutW() int { return outLen(s.InW+s.PadL+s.PadR, s.KW, s.StrideW) }

func outLen(in, kernel, stride int) int {
	if in < kernel {
		return 0
	}
	return (in-kernel)/max(1, stride) + 1
}

func (s ConvShape) withDefaults() ConvShape {
	s.StrideH, s.StrideW, s.Groups = max(1, s.StrideH), max(1, s.StrideW), max(1, s.Groups)
	return s
}

func (s ConvShape) check(weights, biases int) error {
	if min(s.InC, s.OutC, s.KH, s.KW) <= 0 || min(s.Batch, s.InH, s.InW, s.PadT, s.PadL, s.PadB, s.PadR) < 0 {
		return fmt.Errorf("kernel: convolution %+v: channels and kernel must be positive, other sizes not negative", s)
	}
	if s.InC%s.Groups != 0 || s.OutC%s.Groups != 0 {
		return fmt.Errorf("kernel: convolution %+v: %d groups must divide %d input and %d output channels", s, s.Groups, s.InC, s.OutC)
	}
	if want := s.OutC * s.InC / s.Groups * s.KH * s.KW; weights != want {
		return fmt.Errorf("kernel: convolution %+v: got %d weights, want %d", s, weights, want)
	}
	if biases != 0 && biases != s.OutC {
		return fmt.Errorf("kernel: convolution %+v: got %d biases, want none or %d", s, biases, s.OutC)
	}
	return nil
}
