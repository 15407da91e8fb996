package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// unary writes the function y[i] = f(x[i]).
func (v vectors) unary(name, formula string, f func(reg.VecVirtual) reg.VecVirtual) {
	v.function(name, "func(y, x *"+v.goType+", n int)", formula)
	v.loop([]string{"x"}, func(x []reg.VecVirtual) reg.VecVirtual { return f(x[0]) })
}

// affine writes the function y[i] = f((x[i] - mean)·gain + shift).
func (v vectors) affine(name, formula string, f func(reg.VecVirtual) reg.VecVirtual) {
	v.function(name, fmt.Sprintf("func(y, x *%[1]s, n int, mean, gain, shift %[1]s)", v.goType), formula)
	norm := v.normalisation("mean", "gain", "shift")
	v.loop([]string{"x"}, func(x []reg.VecVirtual) reg.VecVirtual { return f(norm(x[0])) })
}

// gate writes the function y = normalised(a)·max(normalised(b), 0), plus a residual r if add is set.
func (v vectors) gate(name string, add bool) {
	formula := "((a - meanA)·gainA + shiftA)·max((b - meanB)·gainB + shiftB, 0)"
	inputs, list := []string{"a", "b"}, "a, b"
	if add {
		inputs, list, formula = append(inputs, "r"), list+", r", formula+" + r"
	}
	v.function(name, fmt.Sprintf("func(y, %s *%[2]s, n int, meanA, gainA, shiftA, meanB, gainB, shiftB %[2]s)", list, v.goType), formula)
	normA, normB := v.normalisation("meanA", "gainA", "shiftA"), v.normalisation("meanB", "gainB", "shiftB")
	v.loop(inputs, func(in []reg.VecVirtual) reg.VecVirtual {
		a, b := normA(in[0]), v.relu(normB(in[1]))
		v.element.mul(v.Context, a, b, b)
		if add {
			v.add(v.Context, in[2], b, b)
		}
		return b
	})
}

func (v vectors) function(name, signature, formula string) {
	if v.bytes64() {
		name += v.suffix
	}
	text(v.Context, name+v.isa, signature, fmt.Sprintf("computes y = %s for n values.", formula))
}

// normalisation loads three parameters and returns the expression (x - mean)·gain + shift.
func (v vectors) normalisation(mean, gain, shift string) func(reg.VecVirtual) reg.VecVirtual {
	m, g, s := v.new(), v.new(), v.new()
	for i, to := range []reg.VecVirtual{m, g, s} {
		at, err := v.Param([]string{mean, gain, shift}[i]).Resolve()
		if err != nil {
			panic(err)
		}
		v.broadcast(v.Context, at.Addr, to)
	}
	return func(x reg.VecVirtual) reg.VecVirtual {
		v.sub(v.Context, m, x, x)
		v.multiplyInto(v.Context, s, g, x)
		return x
	}
}

// loop evaluates body for each vector of the inputs and stores the result. What is left at the end is loaded and stored under a mask.
func (v vectors) loop(inputs []string, body func([]reg.VecVirtual) reg.VecVirtual) {
	y, left := v.GP64(), v.GP64()
	arguments(v.Context, argument{"y", y}, argument{"n", left})
	bases := make([]reg.GPVirtual, len(inputs))
	for i, name := range inputs {
		bases[i] = v.GP64()
		v.Load(v.Param(name), bases[i])
	}
	from := make([]reg.VecVirtual, len(inputs))

	v.SUBQ(operand.I32(v.lanes(v.element)), left)
	v.JL(operand.LabelRef("tail"))
	v.Label("loop")
	for i, base := range bases {
		from[i] = v.copyOf(operand.Mem{Base: base})
		v.ADDQ(operand.I32(v.width.bytes), base)
	}
	v.VMOVUPS(body(from), operand.Mem{Base: y})
	v.ADDQ(operand.I32(v.width.bytes), y)
	v.SUBQ(operand.I32(v.lanes(v.element)), left)
	v.JGE(operand.LabelRef("loop"))

	v.Label("tail")
	v.ADDQ(operand.I32(v.lanes(v.element)), left)
	v.JZ(operand.LabelRef("done"))
	mask := v.firstLanes(left)
	for i, base := range bases {
		from[i] = v.new()
		mask.load(operand.Mem{Base: base}, from[i])
	}
	mask.store(body(from), operand.Mem{Base: y})
	v.Label("done")
	v.VZEROUPPER()
	v.RET()
}

// A laneMask loads and stores some lanes of a vector.
type laneMask struct {
	load  func(from operand.Mem, to reg.VecVirtual)
	store func(from reg.VecVirtual, to operand.Mem)
}

// firstLanes is the mask of the first n lanes, 0 < n < lanes. An element of 64 bits is two lanes of 32.
func (v vectors) firstLanes(n reg.GPVirtual) laneMask {
	if v.bytes64() {
		v.ADDQ(n, n)
	}
	if v.width.bytes == 64 {
		bits, k := v.GP64(), v.K()
		v.MOVQ(operand.I32(-1), bits)
		v.BZHIQ(n, bits, bits)
		v.KMOVW(bits.As32(), k)
		return laneMask{
			func(from operand.Mem, to reg.VecVirtual) { v.VMOVUPS_Z(from, k, to) },
			func(from reg.VecVirtual, to operand.Mem) { v.VMOVUPS(from, k, to) },
		}
	}
	ones := make([]uint32, 16)
	for i := range 8 {
		ones[i] = 1<<32 - 1
	}
	at, mask := v.GP64(), v.YMM()
	v.LEAQ(table(v.Context, "lanesOnOff", ones), at)
	v.NEGQ(n)
	v.VMOVUPS(operand.Mem{Base: at, Index: n, Scale: 4, Disp: 32}, mask)
	return laneMask{
		func(from operand.Mem, to reg.VecVirtual) { v.VMASKMOVPS(from, mask, to) },
		func(from reg.VecVirtual, to operand.Mem) { v.VMASKMOVPS(from, mask, to) },
	}
}
