//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

var detected = detect()

// detect returns the widest instruction set that CPUID reports and for which the operating system saves the registers (XCR0).
func detect() ISA {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA:
		return Portable
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL:
		return AVX512
	}
	return AVX2
}
