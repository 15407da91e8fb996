package kernel

// maxTaps is the largest number of kernel taps that the vector copies of input values take (see asm/pack.go).
const maxTaps = 9

// tapCopy says where the lanes of one tap in one panel come from and go to: byte offsets from the start of a channel in the input and in
// the panels, and a mask with bit l·spread set if lane l reads the input. The assembly knows the layout.
type tapCopy struct {
	from, to int64
	mask     uint64
}

// tapMasks says which lanes of a panel each tap reads from the input and which from the padding, for convolutions whose input
// addresses advance evenly with the lanes.
type tapMasks struct {
	kh, kw, outW, spread int
	size                 int           // bytes of an element
	rowStep              int           // input elements from one output row to the next
	rows, cols           [maxTaps]span // output rows and columns for which row ky or column kx of the kernel reads the input
	offset               [maxTaps]int  // input elements from the first tap position of a pixel to the tap
}

type span struct{ lo, hi int }

// newTapMasks prepares the masks of a shape with at most maxTaps taps; spread is the distance of neighbouring lanes in the input, size
// that of neighbouring elements in bytes.
func newTapMasks(s ConvShape, spread, size int) tapMasks {
	m := tapMasks{kh: s.KH, kw: s.KW, outW: s.OutW(), spread: spread, size: size, rowStep: s.StrideH * s.InW}
	for ky := range s.KH {
		m.rows[ky] = insideSpan(s.InH, s.OutH(), s.StrideH, s.PadT-ky)
		for kx := range s.KW {
			m.offset[ky*s.KW+kx] = (ky-s.PadT)*s.InW + kx - s.PadL
		}
	}
	for kx := range s.KW {
		m.cols[kx] = insideSpan(s.InW, s.OutW(), s.StrideW, s.PadL-kx)
	}
	return m
}

// insideSpan returns the o in [0, out) with 0 <= o·stride - pad < in.
func insideSpan(in, out, stride, pad int) span {
	return span{min(out, ceilDiv(max(0, pad), stride)), min(out, ceilDiv(max(0, in+pad), stride))}
}

// at describes the taps of the pixels p to p+valid in list[:taps]. Mask bits between two set ones are set, too. Panel positions start at
// `to` and are lanes elements apart.
func (m *tapMasks) at(list []tapCopy, p, valid, to, lanes int) {
	row, col := p/m.outW, p%m.outW
	first := row*m.rowStep + col*m.spread
	list = list[:m.kh*m.kw]
	for t := range list {
		list[t] = tapCopy{from: int64(m.size * (first + m.offset[t])), to: int64(m.size * (to + t*lanes))}
	}
	for lane := 0; lane < valid; row, col = row+1, 0 {
		n := min(valid-lane, m.outW-col)
		for ky := range m.kh {
			if row < m.rows[ky].lo || row >= m.rows[ky].hi {
				continue
			}
			for kx := range m.kw {
				lo, hi := max(col, m.cols[kx].lo), min(col+n, m.cols[kx].hi)
				if lo < hi {
					list[ky*m.kw+kx].mask |= bitSpan((lane+lo-col)*m.spread, (lane+hi-col-1)*m.spread+1)
				}
			}
		}
		lane += n
	}
}

// bitSpan has the bits lo to hi-1 set.
func bitSpan(lo, hi int) uint64 { return (1<<hi - 1) &^ (1<<lo - 1) }
