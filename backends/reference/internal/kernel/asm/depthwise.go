package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// depthwise writes the depthwise convolution with stride 1: for each channel the weighted sum of the list's entries, one per tap, for two
// vectors of output pixels. Bit l of store says whether lane l is written.
func depthwise(c *build.Context) {
	for _, w := range []width{avx2, avx512} {
		(&depthwiseRow{lanesLoad{Context: c, width: w, stride: 1}}).generate()
	}
}

type depthwiseRow struct{ lanesLoad }

func (d *depthwiseRow) generate() {
	text(d.Context, "depthwise"+d.isa,
		"func(dst, src *float32, channels, plane, outPlane int, list *int64, taps int, weight, bias *float32, store uint64)",
		fmt.Sprintf("computes up to %d pixels of consecutive channels.", 2*d.lanes32()))
	dst, src, channels, plane, outPlane := reg.RDI, reg.RSI, reg.R8, reg.R9, reg.R10
	list, taps, weight, bias := reg.R11, reg.R12, reg.R13, reg.RBX
	entry, left, from := reg.RAX, reg.RDX, reg.RCX
	arguments(d.Context, argument{"dst", dst}, argument{"src", src}, argument{"channels", channels}, argument{"plane", plane},
		argument{"outPlane", outPlane}, argument{"list", list}, argument{"taps", taps}, argument{"weight", weight}, argument{"bias", bias}, argument{"store", reg.R14})
	d.prepare()
	sums, w := []reg.VecPhysical{d.regs[9], d.regs[10]}, d.regs[11]

	d.Label("channel")
	for _, s := range sums {
		d.VXORPS(s, s, s)
	}
	d.MOVQ(list, entry)
	d.MOVQ(taps, left)
	d.Label("tap")
	d.MOVQ(operand.Mem{Base: entry, Disp: copyFrom}, from)
	d.ADDQ(src, from)
	lo, hi := d.load(from, entry)
	d.VBROADCASTSS(operand.Mem{Base: weight}, w)
	d.VFMADD231PS(lo, w, sums[0])
	d.VFMADD231PS(hi, w, sums[1])
	d.ADDQ(operand.I8(4), weight)
	d.ADDQ(operand.I8(copySize), entry)
	d.DECQ(left)
	d.JNZ(operand.LabelRef("tap"))

	d.VBROADCASTSS(operand.Mem{Base: bias}, w)
	d.ADDQ(operand.I8(4), bias)
	for v, s := range sums {
		d.VADDPS(w, s, s)
		d.storeLanes(v, s, dst)
	}
	d.ADDQ(plane, src)
	d.ADDQ(outPlane, dst)
	d.DECQ(channels)
	d.JNZ(operand.LabelRef("channel"))
	d.VZEROUPPER()
	d.RET()
}

// storeLanes writes the v-th vector of a pixel run. Masked stores are slow on AVX2 processors, so a full vector takes another path.
func (d *depthwiseRow) storeLanes(v int, s reg.VecPhysical, dst reg.GPPhysical) {
	to := operand.Mem{Base: dst, Disp: v * d.bytes}
	store, lanes := reg.R14, reg.R15
	d.MOVQ(store, lanes)
	if v > 0 {
		d.SHRQ(operand.U8(v*d.lanes32()), lanes)
	}
	if d.bytes == 64 {
		d.KMOVW(lanes.As32(), reg.K1)
		d.VMOVUPS(s, reg.K1, to)
		return
	}
	some, done := fmt.Sprintf("some%d", v), fmt.Sprintf("done%d", v)
	d.CMPB(lanes.As8(), operand.U8(0xFF))
	d.JNE(operand.LabelRef(some))
	d.VMOVUPS(s, to)
	d.JMP(operand.LabelRef(done))
	d.Label(some)
	bits := d.regs[0]
	d.VMOVD(lanes.As32(), bits.AsX())
	d.VPBROADCASTD(bits.AsX(), bits)
	d.VPAND(d.bit(0), bits, bits)
	d.VPCMPEQD(d.bit(0), bits, bits)
	d.VMASKMOVPS(s, bits, to)
	d.Label(done)
}
