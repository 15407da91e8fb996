package cuda

import (
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/lower"
)

// newPlan describes a compiled program.
func newPlan(p *lower.Program, c *compiler, arena int) backends.Plan {
	plan := backends.Plan{Folded: p.Folded, Views: c.views, Arena: int64(arena)}
	level, reason, precision := backends.Native, backends.Reason(""), backends.FP32
	if c.rounded != "" {
		level, reason, precision = backends.Emulated, backends.PrecisionEmulated, backends.Precision(c.rounded)
	}
	for _, s := range c.steps {
		n, level, reason := s.Node, level, reason
		if c.rounded != "" && strings.Contains(n.Op.OpType(), string(opConvTensor)) { // products of the very format
			level, reason = backends.Native, ""
		}
		plan.Steps = append(plan.Steps, backends.Step{
			Name: n.Name, Op: n.Op.OpType(), Nodes: n.Covers(),
			Inputs: names(n.In), Outputs: names(n.Out), Aside: names(c.aside(n)),
			Level: level, Reason: reason, Precision: precision, Workspace: int64(s.Workspace()),
		})
	}
	for _, x := range slices.Concat(p.Split, c.split) {
		plan.Split = append(plan.Split, backends.Split{Node: x.Node, Step: x.Rule, Value: x.Value})
	}
	return plan
}

func names(values []*lower.Value) []string {
	var list []string
	for _, v := range values {
		if v != nil {
			list = append(list, v.Name)
		}
	}
	return list
}

// aside lists the values that a step stores for others than the executor itself.
func (c *compiler) aside(n *lower.Node) []*lower.Value {
	return slices.DeleteFunc(slices.Clone(n.Aside()), func(v *lower.Value) bool { return v == c.moments[n.Out[0]] })
}
