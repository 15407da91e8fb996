package main

import (
	"math"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// winograd writes the transforms of F(4×4, 3×3) around the products, for the points 0, ±√2, ±√½ and ∞ (see winograd.go of package
// kernel for the matrices). There is one version, for eight tiles at a time, so that results are the same on every processor.
func winograd(c *build.Context) {
	w := tiles{vectors{c, avx2, float32s}}
	w.rows()
	w.columns()
	w.output()
}

const (
	points   = 6 // per dimension
	tileSize = 4 // output pixels per dimension
)

type tiles struct{ vectors }

// The points and their powers, in memory, since a function needs the registers for a tile.
func (w tiles) a() operand.Op      { return float(w.Context, math.Sqrt2) }
func (w tiles) b() operand.Op      { return float(w.Context, math.Sqrt2/2) }
func (w tiles) aCubed() operand.Op { return float(w.Context, 2*math.Sqrt2) }
func (w tiles) bCubed() operand.Op { return float(w.Context, math.Sqrt2/4) }
func (w tiles) half() operand.Op   { return float(w.Context, 0.5) }
func (w tiles) two() operand.Op    { return float(w.Context, 2) }

// minus returns x - f·y.
func (w tiles) minus(x reg.VecVirtual, f operand.Op, y reg.VecVirtual) reg.VecVirtual {
	r := w.copyOf(x)
	w.VFNMADD231PS(f, y, r)
	return r
}

// analyse returns t[j] = Σ Bᵀ[j][i]·d[i] for every point j.
func (w tiles) analyse(d []reg.VecVirtual) []reg.VecVirtual {
	outer := func(first int) reg.VecVirtual {
		t := w.new()
		w.VADDPS(d[first], d[first+4], t)
		w.VFNMADD231PS(float(w.Context, 2.5), d[first+2], t)
		return t
	}
	inner := func(point, other operand.Op) (plus, minus reg.VecVirtual) {
		even, odd := w.minus(d[4], other, d[2]), w.minus(d[3], other, d[1])
		plus = w.copyOf(even)
		w.VFMADD231PS(point, odd, plus)
		w.VFNMADD231PS(point, odd, even)
		return plus, even
	}
	zero, infinity := outer(0), outer(1)
	plusA, minusA := inner(w.a(), w.half())
	plusB, minusB := inner(w.b(), w.two())
	return []reg.VecVirtual{zero, plusA, minusA, plusB, minusB, infinity}
}

// rows transforms along the columns of the image: n pixels of six rows.
func (w tiles) rows() {
	text(w.Context, "winogradRowsAVX2", "func(dst *float32, pitch int, r0, r1, r2, r3, r4, r5 *float32, n int)",
		"writes t[j] = Σ Bᵀ[j][i]·r[i] of n > 0 pixels to six rows of dst, pitch bytes apart. It writes whole vectors: zeros behind the last pixel.")
	dst, pitch, left, at := w.GP64(), w.GP64(), w.GP64(), w.GP64()
	arguments(w.Context, argument{"dst", dst}, argument{"pitch", pitch}, argument{"n", left})
	rows := make([]reg.GPVirtual, points)
	for i, name := range []string{"r0", "r1", "r2", "r3", "r4", "r5"} {
		rows[i] = w.GP64()
		w.Load(w.Param(name), rows[i])
	}
	column := w.GP64()
	w.XORQ(column, column)
	step := func(load func(from operand.Mem, to reg.VecVirtual)) {
		d := make([]reg.VecVirtual, points)
		for i, r := range rows {
			d[i] = w.new()
			load(operand.Mem{Base: r, Index: column, Scale: 1}, d[i])
		}
		w.LEAQ(operand.Mem{Base: dst, Index: column, Scale: 1}, at)
		for _, t := range w.analyse(d) {
			w.VMOVUPS(t, operand.Mem{Base: at})
			w.ADDQ(pitch, at)
		}
	}
	w.SUBQ(operand.I8(8), left)
	w.JL(operand.LabelRef("tail"))
	w.Label("loop")
	step(func(from operand.Mem, to reg.VecVirtual) { w.VMOVUPS(from, to) })
	w.ADDQ(operand.I8(32), column)
	w.SUBQ(operand.I8(8), left)
	w.JGE(operand.LabelRef("loop"))
	w.Label("tail")
	w.ADDQ(operand.I8(8), left)
	w.JZ(operand.LabelRef("done"))
	step(w.firstLanes(left).load)
	w.Label("done")
	w.VZEROUPPER()
	w.RET()
}

// lanePointers returns the addresses of the elements list[l] from base for eight lanes.
func (w tiles) lanePointers(base, list reg.GPVirtual) []reg.GPVirtual {
	at := make([]reg.GPVirtual, 8)
	for l := range at {
		at[l] = w.GP64()
		w.MOVQ(operand.Mem{Base: list, Disp: 8 * l}, at[l])
		w.LEAQ(operand.Mem{Base: base, Index: at[l], Scale: 4}, at[l])
	}
	return at
}

// columns transforms along the rows what rows has written, for eight tiles, and spreads their values over lanes.
func (w tiles) columns() {
	text(w.Context, "winogradColumnsAVX2", "func(dst *float32, step int, src *float32, pitch int, list *int64)",
		"writes the 36 vectors of eight tiles, step bytes apart. Tile l has its six rows at element list[l] of src, pitch bytes apart.")
	dst, step, pitch, row, left := w.GP64(), w.GP64(), w.GP64(), w.GP64(), w.GP64()
	src, list := w.GP64(), w.GP64()
	arguments(w.Context, argument{"src", src}, argument{"list", list})
	at := w.lanePointers(src, list)
	arguments(w.Context, argument{"dst", dst}, argument{"step", step}, argument{"pitch", pitch})
	w.XORQ(row, row)
	w.MOVQ(operand.U32(points), left)
	w.Label("row")
	for _, t := range w.analyse(w.gather(at, row)) {
		w.VMOVUPS(t, operand.Mem{Base: dst})
		w.ADDQ(step, dst)
	}
	w.ADDQ(pitch, row)
	w.DECQ(left)
	w.JNZ(operand.LabelRef("row"))
	w.VZEROUPPER()
	w.RET()
}

// gather returns six vectors, the i-th of which has element i of each of eight addresses.
func (w tiles) gather(at []reg.GPVirtual, row reg.GPVirtual) []reg.VecVirtual {
	element := func(l, i int) operand.Mem { return operand.Mem{Base: at[l], Index: row, Scale: 1, Disp: 4 * i} }
	four := make([]reg.VecVirtual, 4) // elements 0 to 3 of the lanes l and l+4
	for l := range four {
		four[l] = w.new()
		w.VMOVUPS(element(l, 0), four[l].AsX())
		w.VINSERTF128(operand.U8(1), element(l+4, 0), four[l], four[l])
	}
	two := make([]reg.VecVirtual, 2) // elements 4 and 5 of the lanes 2h, 2h+1, 2h+4 and 2h+5
	for h := range two {
		two[h] = w.new()
		upper := w.new()
		w.VMOVSD(element(2*h, 4), two[h].AsX())
		w.VMOVHPS(element(2*h+1, 4), two[h].AsX(), two[h].AsX())
		w.VMOVSD(element(2*h+4, 4), upper.AsX())
		w.VMOVHPS(element(2*h+5, 4), upper.AsX(), upper.AsX())
		w.VINSERTF128(operand.U8(1), upper.AsX(), two[h], two[h])
	}
	d := w.transpose(four)
	for _, pick := range []uint8{0x88, 0xDD} {
		r := w.new()
		w.VSHUFPS(operand.U8(pick), two[1], two[0], r)
		d = append(d, r)
	}
	return d
}

// transpose exchanges the rows and columns of the two 4×4 matrices in the halves of four vectors.
func (w tiles) transpose(x []reg.VecVirtual) []reg.VecVirtual {
	pair := func(op func(...operand.Op), a, b reg.VecVirtual) reg.VecVirtual {
		r := w.new()
		op(b, a, r)
		return r
	}
	low, high := func(o ...operand.Op) { w.VUNPCKLPS(o[0], o[1], o[2]) }, func(o ...operand.Op) { w.VUNPCKHPS(o[0], o[1], o[2]) }
	lowPair, highPair := func(o ...operand.Op) { w.VUNPCKLPD(o[0], o[1], o[2]) }, func(o ...operand.Op) { w.VUNPCKHPD(o[0], o[1], o[2]) }
	a, b := pair(low, x[0], x[1]), pair(low, x[2], x[3])
	c, d := pair(high, x[0], x[1]), pair(high, x[2], x[3])
	return []reg.VecVirtual{pair(lowPair, a, b), pair(highPair, a, b), pair(lowPair, c, d), pair(highPair, c, d)}
}

// output transforms the products of eight tiles in both dimensions.
func (w tiles) output() {
	text(w.Context, "winogradOutputAVX2", "func(y *float32, pitch int, list *int64, m *float32, step int, bias float32)",
		"writes 4×4 pixels of eight tiles: tile l to four rows at element list[l] of y, pitch bytes apart. Their 36 vectors are step bytes apart.")
	m, step := w.GP64(), w.GP64()
	arguments(w.Context, argument{"m", m}, argument{"step", step})
	six, three, five := w.GP64(), w.GP64(), w.GP64() // times as many steps: the distances of vertical points
	w.LEAQ(operand.Mem{Base: step, Index: step, Scale: 2}, three)
	w.LEAQ(operand.Mem{Base: three, Index: three, Scale: 1}, six)
	w.LEAQ(operand.Mem{Base: six, Index: six, Scale: 2}, three)
	w.LEAQ(operand.Mem{Base: six, Index: six, Scale: 4}, five)
	between := w.AllocLocal(tileSize * points * 32)
	at := func(i, j int) operand.Mem { return between.Offset((i*points + j) * 32) }
	for j := range points {
		w.synthesise([]operand.Op{
			operand.Mem{Base: m}, operand.Mem{Base: m, Index: six, Scale: 1}, operand.Mem{Base: m, Index: six, Scale: 2},
			operand.Mem{Base: m, Index: three, Scale: 1}, operand.Mem{Base: m, Index: six, Scale: 4}, operand.Mem{Base: m, Index: five, Scale: 1},
		}, func(i int, t reg.VecVirtual) { w.VMOVUPS(t, at(i, j)) })
		w.ADDQ(step, m)
	}

	y, list, pitch, row := w.GP64(), w.GP64(), w.GP64(), w.GP64()
	arguments(w.Context, argument{"y", y}, argument{"list", list}, argument{"pitch", pitch})
	to := w.lanePointers(y, list)
	bias := w.new()
	addr, err := w.Param("bias").Resolve()
	if err != nil {
		panic(err)
	}
	w.VBROADCASTSS(addr.Addr, bias)
	w.XORQ(row, row)
	for i := range tileSize {
		in, out := make([]operand.Op, points), make([]reg.VecVirtual, tileSize)
		for j := range in {
			in[j] = at(i, j)
		}
		w.synthesise(in, func(k int, t reg.VecVirtual) {
			w.VADDPS(bias, t, t)
			out[k] = t
		})
		for l, px := range w.transpose(out) {
			w.VMOVUPS(px.AsX(), operand.Mem{Base: to[l], Index: row, Scale: 1})
			w.VEXTRACTF128(operand.U8(1), px, operand.Mem{Base: to[l+4], Index: row, Scale: 1})
		}
		w.ADDQ(pitch, row)
	}
	w.VZEROUPPER()
	w.RET()
}

// synthesise calls put(i, t) with t = Σ Aᵀ[i][j]·m[j] for every pixel i.
func (w tiles) synthesise(m []operand.Op, put func(i int, t reg.VecVirtual)) {
	sumDifference := func(x, y operand.Op) (sum, difference reg.VecVirtual) {
		sum, difference = w.new(), w.copyOf(x)
		w.VADDPS(y, difference, sum)
		w.VSUBPS(y, difference, difference)
		return sum, difference
	}
	sumA, diffA := sumDifference(m[1], m[2])
	sumB, diffB := sumDifference(m[3], m[4])
	y := make([]reg.VecVirtual, tileSize)
	y[0] = w.new()
	w.VADDPS(sumA, sumB, y[0])
	w.VADDPS(m[0], y[0], y[0])
	y[1] = w.product(w.a(), diffA)
	w.VFMADD231PS(w.b(), diffB, y[1])
	y[2] = w.product(w.two(), sumA)
	w.VFMADD231PS(w.half(), sumB, y[2])
	y[3] = w.copyOf(m[5])
	w.VFMADD231PS(w.aCubed(), diffA, y[3])
	w.VFMADD231PS(w.bCubed(), diffB, y[3])
	for i, t := range y {
		put(i, t)
	}
}
