package flips

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
)

// The nodes at which the complete model is cut.
const (
	statisticsNode = "router.x"     // statistics of every tile, [B,K,12]
	selectionNode  = "ff.select_l0" // the tiles of level 0
)

// The outputs of routing, as the complete model names them.
var outputNames = []string{"utilities", "split_utilities", "tiles_l0", "tiles_l1", "valid_l0", "valid_l1"}

// parts are the pieces of the complete model that are executed here.
type parts struct {
	statistics *graph.Graph // image → statistics
	routing    *graph.Graph // statistics → outputNames, and the tiles of level 0
	held       *graph.Graph // statistics and the tiles of level 0 → outputNames
}

// cut takes the model for one picture, and the one for a batch of router inputs, apart.
func cut(single, batch *graph.Graph) (p parts, err error) {
	from, err := outputOf(single, statisticsNode)
	if err != nil {
		return p, err
	}
	if p.statistics, err = single.Cut(single.Inputs, []*graph.Value{from}); err != nil {
		return p, err
	}
	x, err := outputOf(batch, statisticsNode)
	if err != nil {
		return p, err
	}
	chosen, err := outputOf(batch, selectionNode)
	if err != nil {
		return p, err
	}
	var outputs []*graph.Value
	for _, name := range outputNames {
		v, ok := batch.Output(name)
		if !ok {
			return p, fmt.Errorf("the model has no output %q", name)
		}
		outputs = append(outputs, v)
	}
	if p.routing, err = batch.Cut([]*graph.Value{x}, append([]*graph.Value{chosen}, outputs...)); err != nil {
		return p, err
	}
	p.held, err = batch.Cut([]*graph.Value{x, chosen}, outputs)
	return p, err
}

// outputOf finds the first output of a node.
func outputOf(g *graph.Graph, node string) (*graph.Value, error) {
	for _, n := range g.Nodes {
		if n.Name == node {
			return n.Outputs[0], nil
		}
	}
	return nil, fmt.Errorf("the model has no node %q: it has to route by a budget that does not buy all tiles", node)
}
