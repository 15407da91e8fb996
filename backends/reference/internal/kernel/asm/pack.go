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

// pack writes the copies of input values into panels of two vectors. For each channel and each entry of a list, lane l is the
// l-th element from the entry's address, or with stride 2 the 2l-th, if bit l (or 2l) of the entry's mask is set; other lanes are
// zero and their memory is not touched.
func pack(c *build.Context) {
	for _, e := range []element{float32s, float64s} {
		for _, w := range []width{avx2, avx512} {
			for _, stride := range []int{1, 2} {
				(&panelCopy{lanesLoad{Context: c, width: w, element: e, stride: stride}}).generate()
			}
		}
	}
}

// lanesLoad loads two vectors of lanes under the mask of a list entry.
type lanesLoad struct {
	*build.Context
	width
	element
	stride int
}

// vectors is the number of vectors that hold the elements of two vectors of lanes.
func (l *lanesLoad) vectors() int { return 2 * l.stride }

// bit is the register that holds the mask bits of the lanes of the v-th vector (AVX2).
func (l *lanesLoad) bit(v int) reg.VecPhysical { return l.regs[12+v] }

func (l *lanesLoad) wide() bool { return l.width.bytes == 64 }

func (l *lanesLoad) prepare() {
	if l.wide() {
		if l.stride == 2 {
			l.VMOVDQU32(l.evenLanes(), reg.Z31)
		}
		return
	}
	for v := range l.vectors() {
		l.VMOVDQU(l.laneBits(v), l.bit(v))
	}
}

// loadLanes reads the lanes of an entry at base, using the registers 0 to 8 of the width.
func (l *lanesLoad) loadLanes(base, entry reg.GPPhysical) (lo, hi reg.VecPhysical) {
	mask := operand.Mem{Base: entry, Disp: copyMask}
	all := l.regs[8]
	if !l.wide() {
		l.broadcast(l.Context, mask, all)
	}
	for v := range l.vectors() {
		from := operand.Mem{Base: base, Disp: v * l.width.bytes}
		if l.wide() {
			mask.Disp = copyMask + v*l.lanes(l.element)/8
			l.loadMasked(from, mask, l.regs[v])
			continue
		}
		some := l.regs[4+v]
		l.VPAND(l.bit(v), all, some)
		l.loadSome(from, l.bit(v), some, l.regs[v])
	}
	if l.stride == 1 {
		return l.regs[0], l.regs[1]
	}
	l.deinterleave(l.regs[0], l.regs[1])
	l.deinterleave(l.regs[2], l.regs[3])
	return l.regs[0], l.regs[2]
}

// loadMasked loads the lanes whose bits are set in memory (AVX-512).
func (l *lanesLoad) loadMasked(from, mask operand.Mem, to reg.VecPhysical) {
	if l.element.bytes == 8 {
		l.KMOVB(mask, reg.K1)
		l.VMOVUPD_Z(from, reg.K1, to)
		return
	}
	l.KMOVW(mask, reg.K1)
	l.VMOVUPS_Z(from, reg.K1, to)
}

// loadSome loads the lanes in which some has the lane's bit, and leaves their mask in some (AVX2).
func (l *lanesLoad) loadSome(from operand.Mem, bit, some, to reg.VecPhysical) {
	if l.element.bytes == 8 {
		l.VPCMPEQQ(bit, some, some)
		l.VMASKMOVPD(from, some, to)
		return
	}
	l.VPCMPEQD(bit, some, some)
	l.VMASKMOVPS(from, some, to)
}

// deinterleave leaves the even lanes of the pair (a, b) in a.
func (l *lanesLoad) deinterleave(a, b reg.VecPhysical) {
	switch {
	case l.wide() && l.element.bytes == 8:
		l.VPERMT2PD(b, reg.Z31, a)
	case l.wide():
		l.VPERMT2PS(b, reg.Z31, a)
	case l.element.bytes == 8:
		l.VUNPCKLPD(b, a, a)
		l.VPERMPD(operand.U8(0xD8), a, a)
	default:
		l.VSHUFPS(operand.U8(0x88), b, a, a)
		l.VPERMPD(operand.U8(0xD8), a, a)
	}
}

type panelCopy struct{ lanesLoad }

func (p *panelCopy) generate() {
	lanes := 2 * p.lanes(p.element)
	text(p.Context, fmt.Sprintf("packStride%d%s%s", p.stride, p.suffix, p.isa), fmt.Sprintf("func(dst, src *%s, channels, plane, step int, list *int64, entries int)", p.goType),
		fmt.Sprintf("copies consecutive channels, plane bytes apart, into panels of %d lanes, step bytes apart.", lanes))
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
	for line := range p.stride * p.width.bytes / 32 {
		p.PREFETCHT0(operand.Mem{Base: from, Index: plane, Scale: 1, Disp: 64 * line}) // the next channel, on another page
	}
	lo, hi := p.loadLanes(from, entry)
	p.VMOVUPS(lo, operand.Mem{Base: dst, Index: to, Scale: 1})
	p.VMOVUPS(hi, operand.Mem{Base: dst, Index: to, Scale: 1, Disp: p.width.bytes})
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

// laneBits is the vector of the bits of the lanes of the v-th vector.
func (l *lanesLoad) laneBits(v int) operand.Mem {
	lanes, words := l.lanes(l.element), l.element.bytes/4
	bits := make([]uint32, lanes*words)
	for i := range lanes {
		bits[i*words] = 1 << (lanes*v + i)
	}
	return table(l.Context, fmt.Sprintf("laneBits%s%d", l.suffix, v), bits)
}

// evenLanes is the vector 0, 2, 4, … of as many elements as the widest vector has.
func (l *lanesLoad) evenLanes() operand.Mem {
	words := l.element.bytes / 4
	lanes := make([]uint32, 16)
	for i := range lanes {
		if i%words == 0 {
			lanes[i] = uint32(2 * i / words)
		}
	}
	return table(l.Context, "evenLanes"+l.suffix, lanes)
}
