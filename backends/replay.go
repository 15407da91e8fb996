package backends

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// RecordTaps returns the taps by which a session of g records the named decisions; "all" stands for every decision.
func RecordTaps(g *graph.Graph, names []string) ([]string, error) {
	decisions, err := g.FindDecisions(names)
	if err != nil {
		return nil, err
	}
	var taps []string
	for _, d := range decisions {
		taps = append(taps, d.Name())
		if d.Count != nil {
			taps = append(taps, d.Count.Name)
		}
	}
	return taps, nil
}

// ReplayInputs returns what a session of g under Options.Replay = names takes: the inputs of g, and the decisions that another
// session recorded, whose outputs are recorded. They are not copied.
func ReplayInputs(g *graph.Graph, names []string, inputs, recorded tensor.List) (tensor.List, error) {
	taps, err := RecordTaps(g, names)
	if err != nil {
		return nil, err
	}
	out := append(tensor.List{}, inputs...)
	for _, name := range taps {
		t := recorded.Get("tap." + name)
		if t == nil {
			return nil, fmt.Errorf("the decision %q was not recorded: the session has no tap of it", name)
		}
		out = append(out, tensor.Named{Name: graph.ReplayInput(name), Tensor: t})
	}
	return out, nil
}

// checkDecisions holds the decisions among inputs, whose types have been checked, to what they can be.
func checkDecisions(g *graph.Graph, inputs tensor.List) error {
	for _, d := range g.Replayed() {
		var count *tensor.Tensor
		if d.Count != nil {
			count = inputs.Get(graph.ReplayInput(d.Count.Name))
		}
		if err := d.Check(inputs.Get(graph.ReplayInput(d.Name())), count); err != nil {
			return err
		}
	}
	return nil
}
