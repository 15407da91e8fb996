package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The layout of kernel.tapCopy, in bytes.
const (
	copyFrom = 0  // int64: where lane 0 is read, from the start of the channel
	copyTo   = 8  // int64: where lane 0 is written, from the start of the channel's place in the panel
	copyMask = 16 // uint64: which lanes are read
	copySize = 24
)

// pack writes the copies of float32 input values into panels of two vectors. For each channel and each entry of a list, lane l is the
// l-th element from the entry's address, or with stride 2 the 2l-th, if bit l (or 2l) of the entry's mask is set; other lanes are
// zero and their memory is not touched.
func pack(c *build.Context) {
	for _, w := range []width{avx2, avx512} {
		for _, stride := range []int{1, 2} {
			(&panelCopy{lanesLoad{Context: c, width: w, stride: stride}}).generate()
		}
	}
}

// lanesLoad loads two vectors of lanes under the mask of a list entry.
type lanesLoad struct {
	*build.Context
	width
	stride int
}

// vectors is the number of vectors that hold the elements of two vectors of lanes.
func (l *lanesLoad) vectors() int { return 2 * l.stride }

// bit is the register that holds the mask bits of the lanes of the v-th vector (AVX2).
func (l *lanesLoad) bit(v int) reg.VecPhysical { return l.regs[12+v] }

func (l *lanesLoad) prepare() {
	if l.bytes == 64 {
		if l.stride == 2 {
			l.VMOVDQU32(evenLanes(l.Context), reg.Z31)
		}
		return
	}
	for v := range l.vectors() {
		l.VMOVDQU(laneBits(l.Context, v), l.bit(v))
	}
}

// load reads the lanes of an entry at base, using the registers 0 to 7 of the width.
func (l *lanesLoad) load(base, entry reg.GPPhysical) (lo, hi reg.VecPhysical) {
	mask := operand.Mem{Base: entry, Disp: copyMask}
	all := l.regs[8]
	if l.bytes == 32 {
		l.VPBROADCASTD(mask, all)
	}
	for v := range l.vectors() {
		from := operand.Mem{Base: base, Disp: v * l.bytes}
		if l.bytes == 64 {
			mask.Disp = copyMask + 2*v
			l.KMOVW(mask, reg.K1)
			l.VMOVUPS_Z(from, reg.K1, l.regs[v])
			continue
		}
		l.VPAND(l.bit(v), all, l.regs[4+v])
		l.VPCMPEQD(l.bit(v), l.regs[4+v], l.regs[4+v])
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
func (l *lanesLoad) deinterleave(a, b reg.VecPhysical) {
	if l.bytes == 64 {
		l.VPERMT2PS(b, reg.Z31, a)
		return
	}
	l.VSHUFPS(operand.U8(0x88), b, a, a)
	l.VPERMPD(operand.U8(0xD8), a, a)
}

type panelCopy struct{ lanesLoad }

func (p *panelCopy) generate() {
	text(p.Context, fmt.Sprintf("packStride%d%s", p.stride, p.isa), "func(dst, src *float32, channels, plane, step int, list *int64, entries int)",
		fmt.Sprintf("copies consecutive channels, plane bytes apart, into panels of %d lanes, step bytes apart.", 2*p.lanes32()))
	dst, src, channels, plane, step := reg.RDI, reg.RSI, reg.R8, reg.R9, reg.R10
	list, entries, entry, left, from, to := reg.R11, reg.R12, reg.RAX, reg.RBX, reg.RCX, reg.RDX
	arguments(p.Context, argument{"dst", dst}, argument{"src", src}, argument{"channels", channels}, argument{"plane", plane},
		argument{"step", step}, argument{"list", list}, argument{"entries", entries})
	p.prepare()
	p.Label("channel")
	p.MOVQ(list, entry)
	p.MOVQ(entries, left)
	p.Label("entry")
	p.MOVQ(operand.Mem{Base: entry, Disp: copyFrom}, from)
	p.MOVQ(operand.Mem{Base: entry, Disp: copyTo}, to)
	p.ADDQ(src, from)
	for line := range p.stride * p.bytes / 32 {
		p.PREFETCHT0(operand.Mem{Base: from, Index: plane, Scale: 1, Disp: 64 * line}) // the next channel, on another page
	}
	lo, hi := p.load(from, entry)
	p.VMOVUPS(lo, operand.Mem{Base: dst, Index: to, Scale: 1})
	p.VMOVUPS(hi, operand.Mem{Base: dst, Index: to, Scale: 1, Disp: p.bytes})
	p.ADDQ(operand.I32(copySize), entry)
	p.DECQ(left)
	p.JNZ(operand.LabelRef("entry"))
	p.ADDQ(plane, src)
	p.ADDQ(step, dst)
	p.DECQ(channels)
	p.JNZ(operand.LabelRef("channel"))
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
