package lower

import "github.com/apex-x/apexx/backends"

// Describe returns the plan of a program whose nodes were lowered to steps, in an arena of so many bytes. A node without a step is a
// view. What the program does not know, how each step is executed, the executor adds: how is called for every step.
func Describe(p *Program, steps []*Step, arena int, how func(i int, s *backends.Step)) backends.Plan {
	plan := backends.Plan{Folded: p.Folded, Arena: int64(arena)}
	stepped := map[*Node]bool{}
	for i, s := range steps {
		n := s.Node
		stepped[n] = true
		plan.Steps = append(plan.Steps, backends.Step{
			Name: n.Name, Op: n.Op.OpType(), Nodes: n.Covers(), Inputs: valueNames(n.In), Outputs: valueNames(n.Out),
			Aside: valueNames(n.Aside()), Workspace: int64(s.Workspace()),
		})
		how(i, &plan.Steps[i])
	}
	for _, n := range p.Nodes {
		if !stepped[n] {
			plan.Views = append(plan.Views, n.Covers()...)
		}
	}
	for _, x := range p.Split {
		plan.Split = append(plan.Split, backends.Split{Node: x.Node, Step: x.Rule, Value: x.Value})
	}
	return plan
}

func valueNames(values []*Value) []string {
	var names []string
	for _, v := range values {
		if v != nil {
			names = append(names, v.Name)
		}
	}
	return names
}
