package reference

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A randomGraph is a directed acyclic graph of the operators that alias memory (views, in-place results) and of some that
// do not, over values [2,4,6] or [1,4,6].
func randomGraph(t *testing.T, r *rand.Rand) (*graph.Graph, tensor.List) {
	b := graph.NewBuilder("random")
	batch := 1 + r.IntN(2)
	shape := []int{batch, 4, 6}
	values := []*graph.Value{b.Input("x0", graph.Type{DType: tensor.Float32, Shape: shape}), b.Input("x1", graph.Type{DType: tensor.Float32, Shape: shape})}
	pick := func() *graph.Value { return values[max(0, len(values)-1-r.IntN(5))] }
	for i := range 3 + r.IntN(25) {
		name := fmt.Sprintf("n%d", i)
		switch r.IntN(6) {
		case 0:
			parts := b.Add(name, graph.Split{Axis: 1, Sizes: []int{1, 3}}, pick())
			values = append(values, b.Add1(name+".c", graph.Concat{Axis: 1}, parts[1], parts[0]))
		case 1:
			flat := b.Add1(name, graph.Reshape{Shape: []int{batch * 24}}, pick())
			values = append(values, b.Add1(name+".r", graph.Reshape{Shape: shape}, flat))
		case 2:
			values = append(values, b.Add1(name, graph.Unary{Fn: graph.Identity}, pick()))
		case 3:
			parts := b.Add(name, graph.Split{Axis: 2, Sizes: []int{5, 1}}, pick())
			values = append(values, b.Add1(name+".b", graph.Binary{Fn: graph.Max}, pick(), parts[1]))
		case 4:
			parts := b.Add(name, graph.Split{Axis: 0, Sizes: slices.Repeat([]int{1}, batch)}, pick())
			values = append(values, b.Add1(name+".b", graph.Binary{Fn: graph.Sub}, parts[len(parts)-1], pick()))
		default:
			values = append(values, b.Add1(name, graph.Binary{Fn: graph.Add}, pick(), pick()))
		}
	}
	seen := map[*graph.Value]bool{values[0]: true, values[1]: true}
	for i := range 3 {
		if v := pick(); !seen[v] {
			seen[v] = true
			b.Output(fmt.Sprintf("y%d", i), v)
		}
	}
	if last := values[len(values)-1]; !seen[last] {
		b.Output("last", last)
	}
	return built(t, b), tensor.List{{Name: "x0", Tensor: wave(1, shape...)}, {Name: "x1", Tensor: wave(2, shape...)}}
}

// evaluate computes every node of a graph by its definition, each value in memory of its own.
func evaluate(g *graph.Graph, inputs tensor.List) map[*graph.Value]*array {
	known := map[*graph.Value]*array{}
	for _, v := range g.Inputs {
		known[v] = arrayOf(inputs.Get(v.Name))
	}
	for _, n := range g.Nodes {
		var in []*array
		for _, v := range n.Inputs {
			in = append(in, known[v])
		}
		switch op := n.Op.(type) {
		case graph.Reshape:
			known[n.Outputs[0]] = &array{op.Shape, in[0].v}
		case graph.Split:
			start := 0
			for i, v := range n.Outputs {
				known[v] = each(v.Shape, func(index []int) float64 {
					from := slices.Clone(index)
					from[op.Axis] += start
					return in[0].at(from...)
				})
				start += op.Sizes[i]
			}
		default:
			known[n.Outputs[0]] = naive(n.Op, in, n.Outputs[0].Shape)
		}
	}
	return known
}

// Views, values in the place of others and the arena must not show in any result.
func TestMemoryOfRandomGraphs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 150 {
		g, inputs := randomGraph(t, r)
		s := open(t, g, fp64())
		want := evaluate(g, inputs)
		for range 2 {
			got, err := backends.Run(t.Context(), s, inputs)
			if err != nil {
				t.Fatal(err)
			}
			for i, o := range g.Outputs {
				for j, v := range got[i].Float64s() {
					if v != want[o.Value].v[j] {
						t.Fatalf("output %s: element %d is %v, want %v\n%s", o.Name, j, v, want[o.Value].v[j], g.Dump())
					}
				}
			}
		}
	}
}
