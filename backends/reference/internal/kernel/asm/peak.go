package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peakChains is the number of independent multiply-adds in a step, enough to hide their latency.
const peakChains = 12

// peak writes loops of fused multiply-adds on registers alone, for package peak.
func peak(c *build.Context) {
	for _, e := range []element{float32s, float64s} {
		for _, w := range []width{avx2, avx512} {
			text(c, "loop"+e.suffix+w.isa, "func(steps int)", fmt.Sprintf("runs %d multiply-adds on vectors per step.", peakChains))
			n := reg.RAX
			arguments(c, argument{"steps", n})
			for i := range peakChains + 2 {
				c.VXORPS(w.regs[i], w.regs[i], w.regs[i])
			}
			c.Label("loop")
			for i := range peakChains {
				e.multiplyAdd(c, w.regs[peakChains], w.regs[peakChains+1], w.regs[i])
			}
			c.SUBQ(operand.U8(1), n)
			c.JNZ(operand.LabelRef("loop"))
			c.VZEROUPPER()
			c.RET()
		}
	}
}
