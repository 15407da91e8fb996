package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// maxTaps is the largest number of kernel taps that the panel copies take: their masks live in the stack frame.
const maxTaps = 9

// pack writes the copies of float32 input values into a panel of two vectors. Tap t of channel c comes from
// src + c·plane + offset[t] (bytes); lane l is read from the l-th element there, or with stride 2 from the 2l-th, and only if bit l
// (or 2l) of mask[t] is set; other lanes are zero and their memory is not touched.
func pack(c *build.Context) {
	for _, w := range []width{avx2, avx512} {
		for _, stride := range []int{1, 2} {
			(&panelCopy{tapLoop: tapLoop{Context: c, width: w, stride: stride}}).generate()
		}
	}
}

// A tapLoop walks over channels and taps and loads two vectors of input values for each.
type tapLoop struct {
	*build.Context
	width
	stride int

	src, offsets, masks, plane, taps, channels reg.GPPhysical
	maskFrame                                  operand.Mem
	frameStep                                  int
	even                                       reg.VecPhysical
}

// vectors is the number of vectors that are loaded for two vectors of lanes.
func (l *tapLoop) vectors() int { return 2 * l.stride }

// prepare loads the parameters and, for AVX2, expands each mask into vectors on the stack.
func (l *tapLoop) prepare() {
	l.src, l.offsets, l.masks, l.plane, l.taps, l.channels = reg.RSI, reg.R8, reg.R9, reg.R10, reg.R11, reg.R12
	arguments(l.Context, argument{"src", l.src}, argument{"offset", l.offsets}, argument{"mask", l.masks},
		argument{"plane", l.plane}, argument{"taps", l.taps}, argument{"channels", l.channels})
	if l.bytes == 64 {
		if l.stride == 2 {
			l.even = reg.Z31
			l.VMOVDQU32(evenLanes(l.Context), l.even)
		}
		return
	}
	l.frameStep = l.vectors() * l.bytes
	l.maskFrame = l.AllocLocal(maxTaps * l.frameStep)
	l.expandMasks()
}

// expandMasks turns bit i of a mask into lane i of the vectors at the tap's place in the frame.
func (l *tapLoop) expandMasks() {
	t, at := reg.RAX, reg.RBX
	l.XORQ(t, t)
	l.LEAQ(l.maskFrame, at)
	l.Label("expand")
	for v := range l.vectors() {
		bits, lane := reg.Y0, reg.Y1
		l.VPBROADCASTD(operand.Mem{Base: l.masks, Index: t, Scale: 8}, bits)
		l.VMOVDQU(laneBits(l.Context, v), lane)
		l.VPAND(lane, bits, bits)
		l.VPCMPEQD(lane, bits, bits)
		l.VMOVDQU(bits, operand.Mem{Base: at, Disp: v * l.bytes})
	}
	l.ADDQ(operand.I32(l.frameStep), at)
	l.INCQ(t)
	l.CMPQ(t, l.taps)
	l.JL(operand.LabelRef("expand"))
}

// load reads the lanes of tap t of the current channel into two registers. It uses the registers 0 to 3 of the width, and RAX and RBX:
// t is in RCX, the frame position of its masks in RDX.
func (l *tapLoop) load() (lo, hi reg.VecPhysical) {
	at := reg.RAX
	l.MOVQ(operand.Mem{Base: l.offsets, Index: reg.RCX, Scale: 8}, at)
	l.ADDQ(l.src, at)
	for v := range l.vectors() {
		from := operand.Mem{Base: at, Disp: v * l.bytes}
		if l.bytes == 64 {
			l.KMOVW(operand.Mem{Base: l.masks, Index: reg.RCX, Scale: 8, Disp: 2 * v}, reg.K1)
			l.VMOVUPS_Z(from, reg.K1, l.regs[v])
			continue
		}
		l.VMOVUPS(operand.Mem{Base: reg.RDX, Disp: v * l.bytes}, l.regs[4+v])
		l.VMASKMOVPS(from, l.regs[4+v], l.regs[v])
	}
	if l.stride == 1 {
		return l.regs[0], l.regs[1]
	}
	l.deinterleave(l.regs[0], l.regs[1])
	l.deinterleave(l.regs[2], l.regs[3])
	return l.regs[0], l.regs[2]
}

// deinterleave leaves the even lanes of the pair (a, b) in a.
func (l *tapLoop) deinterleave(a, b reg.VecPhysical) {
	if l.bytes == 64 {
		l.VPERMT2PS(b, l.even, a)
		return
	}
	l.VSHUFPS(operand.U8(0x88), b, a, a)
	l.VPERMPD(operand.U8(0xD8), a, a)
}

// each runs body for every tap of every channel, and after for every channel.
func (l *tapLoop) each(body, before, after func()) {
	l.Label("channel")
	before()
	l.XORQ(reg.RCX, reg.RCX)
	if l.bytes == 32 {
		l.LEAQ(l.maskFrame, reg.RDX)
	}
	l.Label("tap")
	body()
	if l.bytes == 32 {
		l.ADDQ(operand.I32(l.frameStep), reg.RDX)
	}
	l.INCQ(reg.RCX)
	l.CMPQ(reg.RCX, l.taps)
	l.JL(operand.LabelRef("tap"))
	after()
	l.ADDQ(l.plane, l.src)
	l.DECQ(l.channels)
	l.JNZ(operand.LabelRef("channel"))
}

type panelCopy struct{ tapLoop }

func (p *panelCopy) generate() {
	name := fmt.Sprintf("packStride%d%s", p.stride, p.isa)
	text(p.Context, name, "func(dst, src *float32, channels, plane, taps int, offset *int64, mask *uint64)",
		fmt.Sprintf("copies the taps of consecutive channels into a panel of %d lanes.", 2*p.lanes32()))
	p.prepare()
	dst := reg.RDI
	p.Load(p.Param("dst"), dst)
	none := func() {}
	p.each(func() {
		lo, hi := p.load()
		p.VMOVUPS(lo, operand.Mem{Base: dst})
		p.VMOVUPS(hi, operand.Mem{Base: dst, Disp: p.bytes})
		p.ADDQ(operand.I32(2*p.bytes), dst)
	}, none, none)
	p.VZEROUPPER()
	p.RET()
}

// laneBits is the vector of the bits 8v to 8v+7.
func laneBits(c *build.Context, v int) operand.Mem {
	bits := make([]uint32, 8)
	for i := range bits {
		bits[i] = 1 << (8*v + i)
	}
	return table(c, fmt.Sprintf("laneBits%d", v), bits)
}

// evenLanes is the vector 0, 2, 4, … 30.
func evenLanes(c *build.Context) operand.Mem {
	lanes := make([]uint32, 16)
	for i := range lanes {
		lanes[i] = uint32(2 * i)
	}
	return table(c, "evenLanes", lanes)
}
