package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A width is a vector width to generate for.
type width struct {
	isa   string // suffix of function names
	bytes int
	regs  []reg.VecPhysical
}

var (
	avx2 = width{"AVX2", 32, []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}}
	avx512 = width{"AVX512", 64, []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}}
)

// vec returns a fresh virtual register of the width.
func (w width) vec(c *build.Context) reg.VecVirtual {
	if w.bytes == 64 {
		return c.ZMM()
	}
	return c.YMM()
}

// lanes is the number of elements in a vector.
func (w width) lanes(e element) int { return w.bytes / e.bytes }

// float is the constant v repeated over the widest vector, in memory, so that any instruction can read it.
func float(c *build.Context, v float64) operand.Mem { return repeated(c, math.Float32bits(float32(v))) }

// repeated is a 32-bit pattern, repeated over the widest vector.
func repeated(c *build.Context, bits uint32) operand.Mem {
	values := make([]uint32, 16)
	for i := range values {
		values[i] = bits
	}
	return table(c, fmt.Sprintf("all%08x", bits), values)
}

// repeated64 is a 64-bit pattern, repeated over the widest vector.
func repeated64(c *build.Context, bits uint64) operand.Mem {
	values := make([]uint32, 16)
	for i := range values {
		values[i] = uint32(bits >> (32 * (i % 2)))
	}
	return table(c, fmt.Sprintf("all%016x", bits), values)
}

// table is a vector of constants in memory, placed once per file.
func table(c *build.Context, name string, values []uint32) operand.Mem {
	if f, _ := c.Result(); f != nil {
		for _, s := range f.Sections {
			if g, ok := s.(*ir.Global); ok && g.Symbol.Name == name {
				return g.Base()
			}
		}
	}
	m := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i, v := range values {
		c.AddDatum(4*i, operand.U32(v))
	}
	return m
}

// text begins a function.
func text(c *build.Context, name, signature, doc string) {
	c.Function(name)
	c.SignatureExpr(signature)
	c.Doc(name + " " + doc)
	c.Pragma("noescape")
}

// An argument is a parameter of the current function and the register to load it into.
type argument struct {
	name string
	to   reg.Register
}

func arguments(c *build.Context, list ...argument) {
	for _, a := range list {
		c.Load(c.Param(a.name), a.to)
	}
}
