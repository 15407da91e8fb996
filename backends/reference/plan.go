package reference

import (
	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// newPlan describes a compiled program.
func newPlan(p *lower.Program, c *compiler) backends.Plan {
	level, reason, precision := backends.Native, backends.Reason(""), backends.FP32
	switch {
	case c.rounded != "":
		level, reason, precision = backends.Emulated, backends.PrecisionEmulated, backends.Precision(c.rounded)
	case c.float == tensor.Float64:
		precision = backends.FP64
	}
	return lower.Describe(p, c.plannedSteps(), c.arena, func(i int, s *backends.Step) {
		s.Op, s.Level, s.Reason, s.Precision = operatorOf(c.steps[i]), level, reason, precision
	})
}

// operatorOf names what a step executes: its operator, behind the algorithm of its convolution if that is not the plain sum.
func operatorOf(s *step) string {
	if s.winograd {
		return "Winograd" + s.Node.Op.OpType()
	}
	return s.Node.Op.OpType()
}
