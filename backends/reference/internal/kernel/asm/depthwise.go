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
	for _, e := range []element{float32s, float64s} {
		for _, w := range []width{avx2, avx512} {
			(&depthwiseRow{lanesLoad{Context: c, width: w, element: e, stride: 1}}).generate()
		}
	}
}

type depthwiseRow struct{ lanesLoad }

func (d *depthwiseRow) generate() {
	text(d.Context, "depthwise"+d.suffix+d.isa,
		fmt.Sprintf("func(dst, src *%[1]s, channels, plane, outPlane int, list *int64, taps int, weight, bias *%[1]s, store uint64)", d.goType),
		fmt.Sprintf("computes up to %d pixels of consecutive channels.", 2*d.lanes(d.element)))
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
	lo, hi := d.loadLanes(from, entry)
	d.broadcast(d.Context, operand.Mem{Base: weight}, w)
	d.multiplyAdd(d.Context, lo, w, sums[0])
	d.multiplyAdd(d.Context, hi, w, sums[1])
	d.ADDQ(operand.I8(d.element.bytes), weight)
	d.ADDQ(operand.I8(copySize), entry)
	d.DECQ(left)
	d.JNZ(operand.LabelRef("tap"))

	d.broadcast(d.Context, operand.Mem{Base: bias}, w)
	d.ADDQ(operand.I8(d.element.bytes), bias)
	for v, s := range sums {
		d.add(d.Context, w, s, s)
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
	to := operand.Mem{Base: dst, Disp: v * d.width.bytes}
	store, lanes, n := reg.R14, reg.R15, d.lanes(d.element)
	d.MOVQ(store, lanes)
	if v > 0 {
		d.SHRQ(operand.U8(v*n), lanes)
	}
	if d.wide() {
		d.storeMasked(lanes, s, to)
		return
	}
	some, done := fmt.Sprintf("some%d", v), fmt.Sprintf("done%d", v)
	full := 1<<n - 1
	d.ANDL(operand.U32(full), lanes.As32())
	d.CMPB(lanes.As8(), operand.U8(full))
	d.JNE(operand.LabelRef(some))
	d.VMOVUPS(s, to)
	d.JMP(operand.LabelRef(done))
	d.Label(some)
	bits := d.regs[0]
	if d.element.bytes == 8 {
		d.VMOVQ(lanes, bits.AsX())
		d.VPBROADCASTQ(bits.AsX(), bits)
		d.VPAND(d.bit(0), bits, bits)
		d.VPCMPEQQ(d.bit(0), bits, bits)
		d.VMASKMOVPD(s, bits, to)
	} else {
		d.VMOVD(lanes.As32(), bits.AsX())
		d.VPBROADCASTD(bits.AsX(), bits)
		d.VPAND(d.bit(0), bits, bits)
		d.VPCMPEQD(d.bit(0), bits, bits)
		d.VMASKMOVPS(s, bits, to)
	}
	d.Label(done)
}

// storeMasked stores the lanes whose bits are set (AVX-512).
func (d *depthwiseRow) storeMasked(lanes reg.GPPhysical, s reg.VecPhysical, to operand.Mem) {
	if d.element.bytes == 8 {
		d.KMOVB(lanes.As32(), reg.K1)
		d.VMOVUPD(s, reg.K1, to)
		return
	}
	d.KMOVW(lanes.As32(), reg.K1)
	d.VMOVUPS(s, reg.K1, to)
}
