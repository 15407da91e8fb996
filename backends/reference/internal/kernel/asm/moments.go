package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// moments writes the sum and the sum of squares of float32 values, shifted by the first one and accumulated in float64. There is one version, so that the order of
// additions is the same on every processor.
func moments(c *build.Context) {
	text(c, "sumsAVX2", "func(x *float32, n int) (sum, squares float64)",
		"returns Σd and Σd² of n values in float64, with d = x[i] - x[0]; n is a positive multiple of 16.")
	x, n := reg.RAX, reg.RBX
	c.Load(c.Param("x"), x)
	c.Load(c.Param("n"), n)
	sums := []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3}
	squares := []reg.VecPhysical{reg.Y4, reg.Y5, reg.Y6, reg.Y7}
	for _, r := range append(sums, squares...) {
		c.VXORPD(r, r, r)
	}
	shift := reg.Y9
	c.VBROADCASTSS(operand.Mem{Base: x}, shift.AsX())
	c.VCVTPS2PD(shift.AsX(), shift)
	c.Label("loop")
	for i := range 4 {
		v := reg.Y8
		c.VCVTPS2PD(operand.Mem{Base: x, Disp: 16 * i}, v)
		c.VSUBPD(shift, v, v)
		c.VADDPD(v, sums[i], sums[i])
		c.VFMADD231PD(v, v, squares[i])
	}
	c.ADDQ(operand.U8(64), x)
	c.SUBQ(operand.U8(16), n)
	c.JNZ(operand.LabelRef("loop"))
	reduce(c, sums)
	reduce(c, squares)
	c.Store(reg.X0, c.ReturnIndex(0))
	c.Store(reg.X4, c.ReturnIndex(1))
	c.VZEROUPPER()
	c.RET()
}

// reduce adds four vectors of four lanes into the lowest lane of the first.
func reduce(c *build.Context, v []reg.VecPhysical) {
	c.VADDPD(v[1], v[0], v[0])
	c.VADDPD(v[3], v[2], v[2])
	c.VADDPD(v[2], v[0], v[0])
	c.VEXTRACTF128(operand.U8(1), v[0], v[1].AsX())
	c.VADDPD(v[1].AsX(), v[0].AsX(), v[0].AsX())
	c.VUNPCKHPD(v[0].AsX(), v[0].AsX(), v[1].AsX())
	c.VADDSD(v[1].AsX(), v[0].AsX(), v[0].AsX())
}
