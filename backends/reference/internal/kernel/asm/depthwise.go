package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// depthwise writes the depthwise convolution with stride 1: per channel the weighted sum of its taps, two vectors of output pixels at a
// time. It reads its input as the panel copies do; bit l of mask[taps] says whether lane l is written.
func depthwise(c *build.Context) {
	for _, w := range []width{avx2, avx512} {
		(&depthwiseRow{tapLoop: tapLoop{Context: c, width: w, stride: 1}}).generate()
	}
}

type depthwiseRow struct{ tapLoop }

func (d *depthwiseRow) generate() {
	name := "depthwise" + d.isa
	text(d.Context, name, "func(dst, src *float32, channels, plane, outPlane, taps int, offset *int64, mask *uint64, weight, bias *float32)",
		fmt.Sprintf("computes up to %d pixels of consecutive channels.", 2*d.lanes32()))
	d.prepare()
	dst, weight, bias, outPlane := reg.RDI, reg.R13, reg.R14, reg.RBX
	arguments(d.Context, argument{"dst", dst}, argument{"weight", weight}, argument{"bias", bias}, argument{"outPlane", outPlane})
	sums := []reg.VecPhysical{d.regs[8], d.regs[9]}
	d.each(func() {
		lo, hi := d.load()
		w := d.regs[10]
		d.VBROADCASTSS(operand.Mem{Base: weight}, w)
		d.VFMADD231PS(lo, w, sums[0])
		d.VFMADD231PS(hi, w, sums[1])
		d.ADDQ(operand.I8(4), weight)
	}, func() {
		for _, s := range sums {
			d.VXORPS(s, s, s)
		}
	}, func() {
		d.VBROADCASTSS(operand.Mem{Base: bias}, d.regs[10])
		d.ADDQ(operand.I8(4), bias)
		for v, s := range sums {
			d.VADDPS(d.regs[10], s, s)
			d.storeLanes(v, s, dst)
		}
		d.ADDQ(outPlane, dst)
	})
	d.VZEROUPPER()
	d.RET()
}

// storeLanes writes the v-th vector of a pixel run. Masked stores are slow on AVX2 processors, so a full vector takes another path.
func (d *depthwiseRow) storeLanes(v int, s, dst reg.Register) {
	to := operand.Mem{Base: dst, Disp: v * d.bytes}
	mask := operand.Mem{Base: d.masks, Index: d.taps, Scale: 8, Disp: v * d.lanes32() / 8}
	if d.bytes == 64 {
		d.KMOVW(mask, reg.K1)
		d.VMOVUPS(s, reg.K1, to)
		return
	}
	some, done := fmt.Sprintf("some%d", v), fmt.Sprintf("done%d", v)
	d.CMPB(mask, operand.U8(0xFF))
	d.JNE(operand.LabelRef(some))
	d.VMOVUPS(s, to)
	d.JMP(operand.LabelRef(done))
	d.Label(some)
	bits, lane := d.regs[11], d.regs[12]
	d.VPBROADCASTB(mask, bits)
	d.VMOVDQU(laneBits(d.Context, 0), lane)
	d.VPAND(lane, bits, bits)
	d.VPCMPEQD(lane, bits, bits)
	d.VMASKMOVPS(s, bits, to)
	d.Label(done)
}
