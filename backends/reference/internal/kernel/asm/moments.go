package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// moments writes the sum and the sum of squares of values, shifted and accumulated in float64. There is one version for each element
// type, so that the order of additions is the same on every processor.
func moments(c *build.Context) {
	for _, e := range []element{float32s, float64s} {
		sums(c, e)
	}
}

func sums(c *build.Context, e element) {
	text(c, "sums"+e.suffix+"AVX2", "func(x *"+e.goType+", n int, shift float64) (sum, squares float64)",
		"returns Σd and Σd² of n values in float64, with d = x[i] - shift; n is a positive multiple of 16.")
	x, n := reg.RAX, reg.RBX
	arguments(c, argument{"x", x}, argument{"n", n})
	sums := []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3}
	squares := []reg.VecPhysical{reg.Y4, reg.Y5, reg.Y6, reg.Y7}
	for _, r := range append(sums, squares...) {
		c.VXORPD(r, r, r)
	}
	shift := reg.Y9
	at, err := c.Param("shift").Resolve()
	if err != nil {
		panic(err)
	}
	c.VBROADCASTSD(at.Addr, shift)
	c.Label("loop")
	for i := range 4 {
		v, from := reg.Y8, operand.Mem{Base: x, Disp: 4 * e.bytes * i}
		if e.bytes == 4 {
			c.VCVTPS2PD(from, v)
		} else {
			c.VMOVUPD(from, v)
		}
		c.VSUBPD(shift, v, v)
		c.VADDPD(v, sums[i], sums[i])
		c.VFMADD231PD(v, v, squares[i])
	}
	c.ADDQ(operand.I32(16*e.bytes), x)
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
