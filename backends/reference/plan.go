package reference

import (
	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// newPlan describes a compiled program.
func newPlan(p *lower.Program, c *compiler) backends.Plan {
	plan := backends.Plan{Folded: p.Folded, Views: c.views, Arena: int64(c.arena)}
	level, reason, precision := backends.Native, backends.Reason(""), backends.FP32
	switch {
	case c.rounded != "":
		level, reason, precision = backends.Emulated, backends.PrecisionEmulated, backends.Precision(c.rounded)
	case c.float == tensor.Float64:
		precision = backends.FP64
	}
	for _, s := range c.steps {
		n := s.Node
		plan.Steps = append(plan.Steps, backends.Step{
			Name: n.Name, Op: operatorOf(s), Nodes: n.Covers(),
			Inputs: valueNames(n.In), Outputs: valueNames(n.Out), Aside: valueNames(n.Aside()),
			Level: level, Reason: reason, Precision: precision, Workspace: int64(s.Workspace()),
		})
	}
	for _, x := range p.Split {
		plan.Split = append(plan.Split, backends.Split{Node: x.Node, Step: x.Rule, Value: x.Value})
	}
	return plan
}

// operatorOf names what a step executes: its operator, behind the algorithm of its convolution if that is not the plain sum.
func operatorOf(s *step) string {
	if s.winograd {
		return "Winograd" + s.Node.Op.OpType()
	}
	return s.Node.Op.OpType()
}

func valueNames(values []*lower.Value) []string {
	var names []string
	for _, v := range values {
		if v != nil {
			names = append(names, v.Name)
		}
	}
	return names
}
