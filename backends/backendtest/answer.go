package backendtest

import (
	"sync"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// answer is what the oracle says of a graph in a format. Every backend, in every precision of that format, is held to the same one, so it is
// computed once.
type answer struct {
	low    *graph.Graph // lowered to the format: what a session has to compute
	inputs tensor.List
	values map[*graph.Value]*tensor.Tensor // every value of low

	sums func() ([]float64, error) // termSums of the node that computes the first output
}

// answers holds the answers of the suite by format and name.
var answers sync.Map

// answerOf returns the answer to the question of that name. The graph and its inputs are those of the name, whenever they are built.
func answerOf(name string, f graph.Format, g *graph.Graph, inputs tensor.List) (*answer, error) {
	once, _ := answers.LoadOrStore(string(f)+" "+name, sync.OnceValues(func() (*answer, error) { return newAnswer(f, g, inputs) }))
	return once.(func() (*answer, error))()
}

func newAnswer(f graph.Format, g *graph.Graph, inputs tensor.List) (*answer, error) {
	low, err := graph.Lower(g, f)
	if err != nil {
		return nil, err
	}
	inherit(low)
	values, err := oracleValues(low, inputs)
	if err != nil {
		return nil, err
	}
	a := &answer{low: low, inputs: inputs, values: values}
	a.sums = sync.OnceValues(func() ([]float64, error) { return termSums(a.node(), operands(a.node(), values)) })
	return a, nil
}

// node is the one that computes the first output.
func (a *answer) node() *graph.Node { return a.low.Outputs[0].Value.Producer }

// output returns what the oracle computed for output i.
func (a *answer) output(i int) *tensor.Tensor { return a.values[a.low.Outputs[i].Value] }
