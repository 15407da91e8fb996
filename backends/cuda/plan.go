package cuda

import (
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/lower"
)

// newPlan describes a compiled program.
func newPlan(p *lower.Program, c *compiler, arena int) backends.Plan {
	plan := lower.Describe(p, c.plannedSteps(), arena, func(i int, s *backends.Step) {
		s.Level, s.Precision = backends.Native, backends.FP32
		if c.rounded == "" {
			return
		}
		s.Precision = backends.Precision(c.rounded)
		if !strings.Contains(s.Op, string(opConvTensor)) { // which has products of the very format
			s.Level, s.Reason = backends.Emulated, backends.PrecisionEmulated
		}
	})
	for i, s := range c.steps { // moments are the executor's own
		if m := c.moments[s.Node.Out[0]]; m != nil {
			plan.Steps[i].Aside = slices.DeleteFunc(plan.Steps[i].Aside, func(name string) bool { return name == m.Name })
		}
	}
	for _, x := range c.split {
		plan.Split = append(plan.Split, backends.Split{Node: x.Node, Step: x.Rule, Value: x.Value})
	}
	return plan
}
