package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemm writes the micro-kernels: for each element type and width one with tall blocks, which leaves two registers for the panel and two
// for weights, and one with low blocks for what is left of the rows.
func gemm(c *build.Context) {
	for _, e := range []element{float32s, float64s} {
		for _, rows := range []int{6, 4} {
			(&microKernel{Context: c, width: avx2, element: e, rows: rows}).generate()
		}
		for _, rows := range []int{12, 8} {
			(&microKernel{Context: c, width: avx512, element: e, rows: rows}).generate()
		}
	}
}

// A microKernel computes tiles of `rows` rows by two vectors; all sums stay in registers.
type microKernel struct {
	*build.Context
	width
	element
	rows int

	weights, panel, out, pitch, bias, at reg.GPPhysical
}

func (m *microKernel) sum(r, v int) reg.VecPhysical   { return m.regs[2*r+v] }
func (m *microKernel) panelReg(v int) reg.VecPhysical { return m.regs[2*m.rows+v] }

// weightReg alternates between two registers, so that a broadcast does not wait for the previous product.
func (m *microKernel) weightReg(r int) reg.VecPhysical { return m.regs[2*m.rows+2+r%2] }

func (m *microKernel) generate() {
	lanes := 2 * m.width.bytes / m.element.bytes
	name := fmt.Sprintf("mul%dx%d%s%s", m.rows, lanes, m.suffix, m.isa)
	signature := fmt.Sprintf("func(blocks, k int, a, b, c *%[1]s, ldc int, bias *%[1]s, accumulate bool)", m.goType)
	text(m.Context, name, signature, fmt.Sprintf("is a tile of %d rows by %d lanes.", m.rows, lanes))
	m.weights, m.panel, m.out, m.pitch, m.bias, m.at = reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI
	blocks, depth, left, panelStart := reg.R8, reg.R9, reg.R10, reg.R11
	arguments(m.Context, argument{"blocks", blocks}, argument{"k", depth}, argument{"a", m.weights}, argument{"b", panelStart},
		argument{"c", m.out}, argument{"ldc", m.pitch}, argument{"bias", m.bias})
	m.SHLQ(operand.U8(log2(m.element.bytes)), m.pitch)

	m.Label("block")
	m.start()
	m.MOVQ(panelStart, m.panel)
	const unroll = 4
	m.MOVQ(depth, left)
	m.SUBQ(operand.U8(unroll), left)
	m.JL(operand.LabelRef("tail"))
	m.Label("deep")
	for u := range unroll {
		m.step(u)
	}
	m.advance(unroll)
	m.SUBQ(operand.U8(unroll), left)
	m.JGE(operand.LabelRef("deep"))
	m.Label("tail")
	m.ADDQ(operand.U8(unroll), left)
	m.JZ(operand.LabelRef("store"))
	m.Label("single")
	m.step(0)
	m.advance(1)
	m.DECQ(left)
	m.JNZ(operand.LabelRef("single"))
	m.Label("store")
	m.store()
	m.DECQ(blocks)
	m.JNZ(operand.LabelRef("block"))
	m.VZEROUPPER()
	m.RET()
}

// start sets the sums to zero.
func (m *microKernel) start() {
	for r := range m.rows {
		for v := range 2 {
			x := m.sum(r, v)
			if m.width.bytes == 64 {
				m.VPXORD(x, x, x)
			} else {
				m.VPXOR(x, x, x)
			}
		}
	}
}

// step adds the products of the u-th k after the current one.
func (m *microKernel) step(u int) {
	for v := range 2 {
		m.load(m.Context, operand.Mem{Base: m.panel, Disp: (2*u + v) * m.width.bytes}, m.panelReg(v))
	}
	for r := range m.rows {
		w := m.weightReg(r)
		m.broadcast(m.Context, operand.Mem{Base: m.weights, Disp: (u*m.rows + r) * m.element.bytes}, w)
		for v := range 2 {
			m.multiplyAdd(m.Context, m.panelReg(v), w, m.sum(r, v))
		}
	}
}

func (m *microKernel) advance(ks int) {
	m.ADDQ(operand.I32(ks*2*m.width.bytes), m.panel)
	m.ADDQ(operand.I32(ks*m.rows*m.element.bytes), m.weights)
}

// store adds the present output if asked to, and the bias if there is one, writes the tile and moves on to the next block.
func (m *microKernel) store() {
	flag := reg.R12
	m.Load(m.Param("accumulate"), flag.As8())
	m.TESTB(flag.As8(), flag.As8())
	m.JZ(operand.LabelRef("summed"))
	m.MOVQ(m.out, m.at)
	for r := range m.rows {
		for v := range 2 {
			m.add(m.Context, m.vector(m.at, v), m.sum(r, v), m.sum(r, v))
		}
		m.ADDQ(m.pitch, m.at)
	}
	m.Label("summed")
	m.TESTQ(m.bias, m.bias)
	m.JZ(operand.LabelRef("write"))
	for r := range m.rows {
		w := m.weightReg(r)
		m.broadcast(m.Context, operand.Mem{Base: m.bias, Disp: r * m.element.bytes}, w)
		for v := range 2 {
			m.add(m.Context, w, m.sum(r, v), m.sum(r, v))
		}
	}
	m.ADDQ(operand.I32(m.rows*m.element.bytes), m.bias)
	m.Label("write")
	for r := range m.rows {
		for v := range 2 {
			m.load(m.Context, m.sum(r, v), m.vector(m.out, v))
		}
		m.ADDQ(m.pitch, m.out)
	}
}

func (m *microKernel) vector(base reg.Register, v int) operand.Mem {
	return operand.Mem{Base: base, Disp: v * m.width.bytes}
}

func log2(n int) uint64 {
	bits := uint64(0)
	for ; n > 1; n /= 2 {
		bits++
	}
	return bits
}
