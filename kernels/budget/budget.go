package main

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// The cost model of a launch on an H100: stages·stageMicros + matrix FLOP / matrixRate + bytes / bandwidth. Rate and bandwidth are what
// an 8192³ matrix product and a device-to-device copy reach; a stage is what is left of the measured launches: starting, the first
// access, filling and draining the pipeline.
const (
	stageMicros = 4.5
	matrixRate  = 790e12 // FLOP/s, fp16 with fp32 accumulation
	bandwidth   = 3.0e12 // bytes/s
)

// cost is what one launch moves and computes.
type cost struct {
	launch
	count               int      // nodes
	after               []string // launches whose results it reads
	read, write, weight int      // bytes
	flop                float64  // of matrix products, a multiplication and an addition each one
}

// micros is the expected time.
func (c cost) micros() float64 {
	return float64(c.stages)*stageMicros + (c.flop/matrixRate+float64(c.read+c.write+c.weight)/bandwidth)*1e6
}

// budget distributes the nodes of a graph over the launches. Every node must be covered, and a launch may read only what
// launches before it in the plan computed.
func budget(g *graph.Graph, plan []launch) ([]cost, error) {
	costs := make([]cost, len(plan))
	at := map[*graph.Node]int{}
	for i, l := range plan {
		costs[i].launch = l
	}
	for _, n := range g.Nodes {
		i := slices.IndexFunc(plan, func(l launch) bool { return l.covers(n.Name) })
		if i < 0 {
			return nil, fmt.Errorf("no launch covers node %s (%s)", n.Name, n.Op.OpType())
		}
		at[n] = i
		costs[i].count++
		costs[i].flop += flop(n)
	}
	for i := range costs {
		if costs[i].count == 0 {
			return nil, fmt.Errorf("launch %q covers no node", costs[i].name)
		}
	}
	outputs := map[*graph.Value]bool{}
	for _, p := range g.Outputs {
		outputs[p.Value] = true
	}
	type edge struct {
		launch int
		value  *graph.Value
	}
	moved := map[edge]bool{} // each value is read once and written once by a launch
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			if v == nil || moved[edge{at[n], v}] {
				continue
			}
			moved[edge{at[n], v}] = true
			c := &costs[at[n]]
			switch {
			case v.Const != nil:
				c.weight += size(v, false)
			case v.Producer == nil:
				c.read += size(v, false)
			case at[v.Producer] > at[n]:
				return nil, fmt.Errorf("launch %q reads %s, which the later launch %q computes", c.name, v.Name, plan[at[v.Producer]].name)
			case at[v.Producer] < at[n]:
				from := at[v.Producer]
				c.read += size(v, false)
				if !slices.Contains(c.after, plan[from].name) {
					c.after = append(c.after, plan[from].name)
				}
				if !moved[edge{-1, v}] {
					moved[edge{-1, v}] = true
					costs[from].write += size(v, outputs[v])
				}
			}
		}
		for _, v := range n.Outputs {
			if outputs[v] && !moved[edge{-1, v}] {
				moved[edge{-1, v}] = true
				costs[at[n]].write += size(v, true)
			}
		}
	}
	return costs, nil
}

// size is how many bytes a value takes in device memory in fp16 mode: maps, tiles and matrices of weights in half precision; vectors, rows of
// tokens and boxes, and the model's outputs in single precision.
func size(v *graph.Value, output bool) int {
	element := v.DType.Size()
	isMatrix := v.Const != nil && len(v.Shape) == 2
	if v.DType == tensor.Float32 && !output && (len(v.Shape) >= 4 || isMatrix) {
		element = 2
	}
	return v.Len() * element
}

// flop counts the products of convolutions and matrices.
func flop(n *graph.Node) float64 {
	switch n.Op.(type) {
	case graph.Conv:
		w := n.Inputs[1].Shape
		return 2 * float64(n.Outputs[0].Len()) * float64(w[1]*w[2]*w[3])
	case graph.Gemm, graph.MatMul:
		x := n.Inputs[0].Shape
		return 2 * float64(n.Outputs[0].Len()) * float64(x[len(x)-1])
	}
	return 0
}

// criticalPath returns the launches of the longest chain by expected time, and that time in microseconds.
func criticalPath(costs []cost) (names []string, micros float64) {
	end := map[string]float64{}
	before := map[string]string{}
	last := ""
	for _, c := range costs {
		for _, a := range c.after {
			if end[a] > end[before[c.name]] {
				before[c.name] = a
			}
		}
		end[c.name] = end[before[c.name]] + c.micros()
		if end[c.name] > end[last] {
			last = c.name
		}
	}
	for name := last; name != ""; name = before[name] {
		names = append(names, name)
	}
	slices.Reverse(names)
	return names, end[last]
}
