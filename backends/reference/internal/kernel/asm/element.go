package main

import (
	"math"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

// An element is a floating-point type with the instructions that depend on it.
type element struct {
	goType, suffix string
	bytes          int
	load           func(c *build.Context, from, to operand.Op) // also stores
	broadcast      instruction
	add, sub, mul  instruction
	div, max       instruction
	multiplyAdd    instruction // c += a·b
	multiplySub    instruction // c -= a·b
	multiplyInto   instruction // c = b·c + a
	constant       func(c *build.Context, v float64) operand.Mem
}

type instruction func(c *build.Context, ops ...operand.Op)

var (
	float32s = element{
		"float32", "F32", 4,
		func(c *build.Context, from, to operand.Op) { c.VMOVUPS(from, to) },
		(*build.Context).VBROADCASTSS,
		(*build.Context).VADDPS, (*build.Context).VSUBPS, (*build.Context).VMULPS, (*build.Context).VDIVPS, (*build.Context).VMAXPS,
		(*build.Context).VFMADD231PS, (*build.Context).VFNMADD231PS, (*build.Context).VFMADD213PS,
		float,
	}
	float64s = element{
		"float64", "F64", 8,
		func(c *build.Context, from, to operand.Op) { c.VMOVUPD(from, to) },
		(*build.Context).VBROADCASTSD,
		(*build.Context).VADDPD, (*build.Context).VSUBPD, (*build.Context).VMULPD, (*build.Context).VDIVPD, (*build.Context).VMAXPD,
		(*build.Context).VFMADD231PD, (*build.Context).VFNMADD231PD, (*build.Context).VFMADD213PD,
		double,
	}
)

// double is the constant v repeated over the widest vector, in memory.
func double(c *build.Context, v float64) operand.Mem { return repeated64(c, math.Float64bits(v)) }
