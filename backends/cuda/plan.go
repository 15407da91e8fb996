package cuda

import (
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/lower"
)

// newPlan describes a compiled program. Moments and maps beside the values of the graph are the executor's own, and not in it.
func newPlan(p *lower.Program, c *compiler, arena int) backends.Plan {
	plan := lower.Describe(p, c.plannedSteps(), arena, func(i int, s *backends.Step) {
		s.Level, s.Precision = backends.Native, backends.FP32
		if c.rounded == "" {
			return
		}
		s.Precision = backends.Precision(c.rounded)
		if !strings.HasPrefix(s.Op, string(opConvTensor)) && s.Op != string(opNormMap) { // which compute and store in the very format
			s.Level, s.Reason = backends.Emulated, backends.PrecisionEmulated
		}
	})
	for i, s := range c.steps {
		of := &plan.Steps[i]
		of.Nodes = append(slices.Clone(s.covers), of.Nodes...)
		of.Inputs = c.publicNames(s.Node.In)
		if results := c.results(s.Node); results != nil {
			of.Outputs = c.publicNames(slices.DeleteFunc(slices.Clone(s.Node.Out), isConversion))
			of.Aside = slices.DeleteFunc(slices.Clone(of.Outputs), func(name string) bool { return slices.Contains(results, name) })
		}
	}
	return plan
}

// results names what the nodes of the network compute that a node stands for; nil for other nodes.
func (c *compiler) results(n *lower.Node) []string {
	var names []string
	for _, member := range c.members(n) {
		if v := c.convs[member]; v != nil {
			names = append(names, v.y.Name)
		} else if m := c.norms[member]; m != nil {
			names = append(names, m.y.Name)
		}
	}
	return names
}

func isConversion(v *lower.Value) bool { return v.Producer != nil && v.Producer.Op == opMap }

// publicNames names each value of the graph once, in whatever form: a map has the name of its value.
func (c *compiler) publicNames(values []*lower.Value) []string {
	var names []string
	for _, v := range values {
		if v != nil && !c.momentValues[v] && !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	return names
}
