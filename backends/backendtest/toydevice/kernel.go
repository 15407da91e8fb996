package toydevice

import (
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// An instruction computes one node of the graph from registers to registers.
type instruction struct {
	node *graph.Node // operator and types of the outputs
	in   []int       // numbers of registers; -1 for an absent operand
	out  []int
}

// A program of a step: registers are loaded, computed and stored, in this order, so that what is stored may take the place of what was
// loaded.
type kernel struct {
	name         string
	loads        map[int]address
	instructions []instruction
	stores       map[int]address
	registers    int
}

// newKernel makes the program of a node, whose values lie where at says.
func newKernel(n *lower.Node, at func(*lower.Value) address) kernel {
	k := kernel{name: n.Name, loads: map[int]address{}, stores: map[int]address{}}
	numbers := map[*lower.Value]int{}
	number := func(v *lower.Value) int {
		if v == nil {
			return -1
		}
		if _, ok := numbers[v]; !ok {
			numbers[v] = k.registers
			k.registers++
		}
		return numbers[v]
	}
	for _, v := range n.In {
		if v != nil {
			k.loads[number(v)] = at(v)
		}
	}
	for _, part := range n.Parts() {
		i := instruction{node: plain(part)}
		for _, v := range part.In {
			i.in = append(i.in, number(v))
		}
		for _, v := range part.Out {
			i.out = append(i.out, number(v))
		}
		k.instructions = append(k.instructions, i)
	}
	for _, v := range n.Out {
		k.stores[number(v)] = at(v)
	}
	return k
}

// plain is a node of the graph as the evaluation wants it.
func plain(n *lower.Node) *graph.Node {
	out := &graph.Node{Name: n.Name, Op: n.Op.(graph.Op)}
	for _, v := range n.Out {
		out.Outputs = append(out.Outputs, &graph.Value{Name: v.Name, Type: graph.Type{DType: v.DType, Shape: v.Shape}})
	}
	return out
}

// run executes the program.
func (k *kernel) run(m memory) error {
	registers := make([]*tensor.Tensor, k.registers)
	for i, a := range k.loads {
		registers[i] = m.register(a)
	}
	for _, i := range k.instructions {
		var in []*tensor.Tensor
		for _, r := range i.in {
			if r < 0 {
				in = append(in, nil)
				continue
			}
			in = append(in, registers[r])
		}
		out, err := compute(i.node, in)
		if err != nil {
			return err
		}
		for j, r := range i.out {
			registers[r] = out[j]
		}
	}
	for i, a := range k.stores {
		m.write(a, narrow(registers[i]))
	}
	return nil
}

// compute evaluates a node in registers. Convolutions, which take nearly all of the time, have a loop of their own.
func compute(n *graph.Node, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if op, ok := n.Op.(graph.Conv); ok {
		return []*tensor.Tensor{convolve(op, in, n.Outputs[0].Shape)}, nil
	}
	return backendtest.Evaluate(n, in)
}

// convolve adds one weight at a time to a whole plane.
func convolve(op graph.Conv, in []*tensor.Tensor, shape []int) *tensor.Tensor {
	x, w := tensor.Data[float64](in[0]), tensor.Data[float64](in[1])
	xs, ws := in[0].Shape(), in[1].Shape()
	out := tensor.New(tensor.Float64, shape...)
	y, plane := tensor.Data[float64](out), shape[2]*shape[3]
	perGroup := ws[0] / op.Group
	for b := range shape[0] {
		for m := range shape[1] {
			to := y[(b*shape[1]+m)*plane:][:plane]
			if len(in) > 2 && in[2] != nil {
				for i := range to {
					to[i] = tensor.Data[float64](in[2])[m]
				}
			}
			for c := range ws[1] {
				from := x[(b*xs[1]+m/perGroup*ws[1]+c)*xs[2]*xs[3]:][:xs[2]*xs[3]]
				weights := w[(m*ws[1]+c)*ws[2]*ws[3]:][:ws[2]*ws[3]]
				for i, weight := range weights {
					addPlane(op, to, shape, from, xs, i/ws[3]-op.Pads[0], i%ws[3]-op.Pads[1], weight)
				}
			}
		}
	}
	return out
}

// addPlane adds a weight times the elements of a plane that lie dy rows and dx columns from those of the output.
func addPlane(op graph.Conv, to []float64, shape []int, from []float64, xs []int, dy, dx int, weight float64) {
	for oy := range shape[2] {
		iy := oy*op.Strides[0] + dy
		if iy < 0 || iy >= xs[2] {
			continue
		}
		row := from[iy*xs[3]:][:xs[3]]
		for ox := range shape[3] {
			if ix := ox*op.Strides[1] + dx; ix >= 0 && ix < xs[3] {
				to[oy*shape[3]+ox] += weight * row[ix]
			}
		}
	}
}
