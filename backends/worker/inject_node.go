package worker

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// condition is an option of a session that a wrong node is spared under.
type condition struct{ option, value string }

// parseNode reads NODE, or NODE unless OPTION=VALUE,…; ok is false where conditions cannot be read.
func parseNode(text string) (node string, unless []condition, ok bool) {
	node, list, conditional := strings.Cut(text, " unless ")
	if !conditional {
		return node, nil, true
	}
	for _, one := range strings.Split(list, ",") {
		option, value, given := strings.Cut(strings.TrimSpace(one), "=")
		if !given || option == "" || value == "" || node == "" {
			return "", nil, false
		}
		unless = append(unless, condition{option, value})
	}
	return node, unless, true
}

// holds tells whether a session has the option.
func (c condition) holds(opts backends.Options) bool {
	switch c.option {
	case "precision":
		return c.value == string(opts.Precision)
	case "threads":
		return c.value == strconv.Itoa(opts.Threads)
	case "tap":
		return slices.Contains(opts.Taps, c.value)
	}
	return slices.Contains(strings.Split(opts.Extra[c.option], ","), c.value)
}

// spares tells whether a session has all options under which the node is right.
func (i injection) spares(opts backends.Options) bool {
	return len(i.unless) > 0 && !slices.ContainsFunc(i.unless, func(c condition) bool { return !c.holds(opts) })
}

// misread lets nodes of a graph, which nobody else has, read the constants that the environment asks for.
func misread(g *graph.Graph, opts backends.Options) error {
	list, err := parseInjections(os.Getenv(InjectVariable))
	if err != nil {
		return badInput(err)
	}
	for _, i := range list {
		if i.node == "" || !i.matches(g.Metadata[CellKey]) || i.spares(opts) {
			continue
		}
		n, at, err := i.misreader(g)
		switch {
		case err != nil:
			return badInput(err)
		case n != nil:
			enlarge(n, at)
		}
	}
	return nil
}

// CheckInjectedNodes reads the value of InjectVariable for those who are going to execute a graph: a node that it lacks, or that reads nothing
// that could be wrong, is an error.
func CheckInjectedNodes(text string, g *graph.Graph) error {
	list, err := parseInjections(text)
	for _, i := range list {
		if i.node != "" && err == nil {
			_, _, err = i.misreader(g)
		}
	}
	return err
}

// misreader finds the node and the place of its first constant of floats among its operands. A part of a graph may lack it: nil.
func (i injection) misreader(g *graph.Graph) (n *graph.Node, operand int, err error) {
	at := slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return n.Name == i.node || n.Name == i.node+".unrounded" })
	switch {
	case at < 0 && g.Parts != nil:
		return nil, 0, nil
	case at < 0:
		return nil, 0, fmt.Errorf("%s: graph %s has no node %q", InjectVariable, g.Name, i.node)
	}
	n = g.Nodes[at]
	operand = slices.IndexFunc(n.Inputs, func(v *graph.Value) bool { return v != nil && v.Const != nil && v.DType == tensor.Float32 })
	if operand < 0 {
		return nil, 0, fmt.Errorf("%s: node %q reads no constant of floats that could be wrong", InjectVariable, i.node)
	}
	return n, operand, nil
}

// enlarge gives a node a constant of its own, 1 % larger, in the place of one that it reads.
func enlarge(n *graph.Node, at int) {
	of := n.Inputs[at]
	larger := of.Const.Clone()
	for i := range tensor.Data[float32](larger) {
		tensor.Data[float32](larger)[i] *= 1.01
	}
	n.Inputs[at] = &graph.Value{Name: of.Name + ".wrong", Type: of.Type, Const: larger}
}
