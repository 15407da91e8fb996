package graph

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// Calibration is what Lower needs to know to round to a format with a scale. Values and nodes are named as in every graph that is made
// of the same one.
type Calibration struct {
	// Ranges are the magnitudes up to which values are represented, by the name of the value: what is beyond saturates. A range is symmetric,
	// and so has 0 in it.
	Ranges map[string]float32
	// Wide are the names of nodes whose operands stay float32.
	Wide []string
}

// Validate checks that ranges are finite and not negative.
func (c *Calibration) Validate() error {
	for name, r := range c.Ranges {
		if !(r >= 0) || math.IsInf(float64(r), 0) {
			return fmt.Errorf("the range of the value %q is %g", name, r)
		}
	}
	return nil
}

// Ranged returns the values of which Lower must know the range to round to a format with a scale, in the order in which they are read:
// those operands at Points that are computed. The ranges of constants are those of their elements.
func (g *Graph) Ranged() []*Value {
	l := &lowering{format: INT8, router: g.Routed()}
	if g.Calibration != nil {
		l.wide = g.Calibration.Wide
	}
	var out []*Value
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			if l.point(n, i) && v.Const == nil && !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	return out
}

// Products returns the nodes that have a point in a format with a scale, in the order of the graph: what Calibration.Wide may name.
func (g *Graph) Products() []*Node {
	l := &lowering{format: INT8, router: g.Routed()}
	var out []*Node
	for _, n := range g.Nodes {
		for i := range n.Inputs {
			if l.point(n, i) {
				out = append(out, n)
				break
			}
		}
	}
	return out
}

// scale returns the scale of operand i of a node and, where it has one for each slice, the axis. The output channels of constant weights
// have one each, anything else has one. v is the operand in the lowered graph, a constant or a computed value.
func (l *lowering) scale(n *Node, i int, v *Value) (scale *tensor.Tensor, axis int) {
	if v.Const == nil {
		largest, known := float32(0), false
		if l.ranges != nil {
			largest, known = l.ranges[n.Inputs[i].Name]
		}
		if !known && l.err == nil {
			l.err = fmt.Errorf("the range of the value %q is not known: the graph was not calibrated, or as another one", n.Inputs[i].Name)
		}
		return tensor.Scalar(l.format.ScaleOf(largest)), 0
	}
	if axis, ok := outputChannels(n, i); ok {
		scales := perSlice(l.format, v.Const, axis)
		return tensor.Must(tensor.Of(scales, len(scales))), axis
	}
	largest := float32(0)
	for _, x := range tensor.Data[float32](v.Const) {
		largest = max(largest, x, -x)
	}
	return tensor.Scalar(l.format.ScaleOf(largest)), 0
}

// outputChannels returns the axis of a weight along which each slice makes one output channel.
func outputChannels(n *Node, i int) (axis int, ok bool) {
	switch op := n.Op.(type) {
	case Conv:
		return 0, i == 1
	case Gemm:
		if op.TransB {
			return 0, i == 1
		}
		return 1, i == 1
	case MatMul:
		return 1, i == 1 && len(n.Inputs[1].Shape) == 2
	}
	return 0, false
}
