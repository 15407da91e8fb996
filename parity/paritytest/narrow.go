package paritytest

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// productsTogether is how many products a matrix unit of NVIDIA's adds before it rounds the sum.
const productsTogether = 16

// NarrowSums returns what graph.Lower gives for fp16, but for the sums of convolutions to fp16: they are rounded to it behind every 16 products, one tap of
// the kernel after the other, as matrix units do that accumulate in the format. A backend that executes it in FP32 poses as one that computes so.
func NarrowSums(g *graph.Graph) (*graph.Graph, error) {
	low, err := graph.Lower(g, graph.FP16)
	if err != nil {
		return nil, err
	}
	out := *low
	out.Nodes = nil
	s := summer{readers: map[*graph.Value][]*graph.Node{}, parts: map[*graph.Value][]*graph.Value{}}
	for _, n := range low.Nodes {
		for _, v := range n.Inputs {
			s.readers[v] = append(s.readers[v], n)
		}
	}
	for _, n := range low.Nodes {
		if s.isNarrow(n) {
			if err := s.sum(n); err != nil {
				return nil, err
			}
		}
		out.Nodes = append(append(out.Nodes, s.nodes...), n)
		s.nodes = nil
	}
	return &out, nil
}

// A summer spells the sums of convolutions.
type summer struct {
	readers map[*graph.Value][]*graph.Node
	parts   map[*graph.Value][]*graph.Value // of an operand, productsTogether channels each
	nodes   []*graph.Node                   // in front of the one at hand
	err     error
}

// isNarrow tells the convolutions whose results are maps in the format: those that are rounded, or added to others first. The stem has too few channels to
// count.
func (s *summer) isNarrow(n *graph.Node) bool {
	op, conv := n.Op.(graph.Conv)
	if !conv || op.Group != 1 || n.Inputs[1].Shape[1]%productsTogether != 0 || len(s.readers[n.Outputs[0]]) == 0 {
		return false
	}
	return !slices.ContainsFunc(s.readers[n.Outputs[0]], func(r *graph.Node) bool {
		b, binary := r.Op.(graph.Binary)
		_, round := r.Op.(graph.Round)
		return !round && !(binary && b.Fn == graph.Add)
	})
}

// sum puts the sum of a convolution in front of it, and makes the node its last rounding.
func (s *summer) sum(n *graph.Node) error {
	op, x, round := n.Op.(graph.Conv), n.Inputs[0], n.Inputs[1].Producer
	if round == nil || round.Inputs[0].Const == nil {
		return fmt.Errorf("the weights of %s are no rounded constants", n.Name)
	}
	weights := round.Inputs[0].Const
	shape := weights.Shape()
	taps, groups := shape[2]*shape[3], shape[1]/productsTogether
	if s.parts[x] == nil {
		s.parts[x] = s.add(n.Name+".parts", graph.Split{Axis: 1, Sizes: slices.Repeat([]int{productsTogether}, groups)}, x)
	}
	var sum *graph.Value
	if bias := n.Inputs[2:]; len(bias) > 0 && bias[0] != nil {
		sum = s.add(n.Name+".bias", graph.Reshape{Shape: []int{1, shape[0], 1, 1}}, bias[0])[0]
	}
	for i := range taps * groups {
		name := fmt.Sprintf("%s.%d", n.Name, i)
		own := graph.Value{Name: name + ".weights", Type: graph.Type{DType: tensor.Float32, Shape: []int{shape[0], productsTogether, shape[2], shape[3]}},
			Const: oneTap(weights, i/groups, i%groups)}
		part := s.add(name+".products", op, s.parts[x][i%groups], s.add(name+".rounded", round.Op, &own)[0])[0]
		if sum != nil {
			part = s.add(name+".sum", graph.Binary{Fn: graph.Add}, sum, part)[0]
		}
		if i == taps*groups-1 {
			n.Op, n.Inputs = graph.Round{To: graph.FP16}, []*graph.Value{part}
			break
		}
		sum = s.add(name, graph.Round{To: graph.FP16}, part)[0]
	}
	return s.err
}

// oneTap returns a kernel of a group of channels in which one tap alone is not 0.
func oneTap(weights *tensor.Tensor, tap, group int) *tensor.Tensor {
	shape := weights.Shape()
	taps := shape[2] * shape[3]
	out, from := tensor.New(tensor.Float32, shape[0], productsTogether, shape[2], shape[3]), tensor.Data[float32](weights)
	for o := range shape[0] {
		for c := range productsTogether {
			tensor.Data[float32](out)[(o*productsTogether+c)*taps+tap] = from[(o*shape[1]+group*productsTogether+c)*taps+tap]
		}
	}
	return out
}

// add puts a node with its results before the one at hand.
func (s *summer) add(name string, op graph.Op, in ...*graph.Value) []*graph.Value {
	var types []graph.Type
	for _, v := range in {
		types = append(types, v.Type)
	}
	results, err := op.Infer(types)
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("%s: %w", name, err)
	}
	n := &graph.Node{Name: name, Op: op, Inputs: in}
	for i, t := range results {
		n.Outputs = append(n.Outputs, &graph.Value{Name: fmt.Sprintf("%s.%d", name, i), Type: t, Producer: n})
	}
	s.nodes = append(s.nodes, n)
	return n.Outputs
}
