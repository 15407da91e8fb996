package graph

import (
	"strings"
	"testing"
)

// chain is x → a → (p0, p1) → r0, r1 → y, with a constant and a node that depends on nothing but constants.
func chain(t *testing.T) *Graph {
	t.Helper()
	b := NewBuilder("chain")
	x := b.Input("x", f32(2, 4))
	fixed := b.Add1("fixed", Unary{Fn: Tanh}, b.Scalar(2))
	a := b.Add1("a", Binary{Fn: Mul}, x, fixed)
	p := b.Add("p", Split{Axis: 1, Sizes: []int{2, 2}}, a)
	r0 := b.Add1("r0", Unary{Fn: Relu}, p[0])
	r1 := b.Add1("r1", Unary{Fn: Sigmoid}, p[1])
	b.Output("y", b.Add1("y", Binary{Fn: Add}, r0, r1))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	g.Metadata["digest"] = "5a"
	return g
}

// valuesOf finds values by the names of the nodes that compute them; p.1 is the second output of p, and "const" a constant.
func valuesOf(g *Graph, names string) (list []*Value) {
	for _, name := range strings.Fields(names) {
		for _, v := range g.Inputs {
			if v.Name == name {
				list = append(list, v)
			}
		}
		for _, n := range g.Nodes {
			if n.Name == name {
				list = append(list, n.Outputs[0])
			}
			if n.Name+".1" == name {
				list = append(list, n.Outputs[1])
			}
		}
		if name == "const" {
			list = append(list, g.Constants()[0])
		}
	}
	return list
}

func TestCut(t *testing.T) {
	for _, c := range []struct{ name, inputs, outputs, want string }{
		{"all of it", "x", "y", `input  x float32[2 4]
node   fixed = Tanh(const.2) → fixed float32[]
node   a = Mul(x, fixed) → a float32[2 4]
node   p = Split(a) → p.0 float32[2 2] p.1 float32[2 2]
node   r0 = Relu(p.0) → r0 float32[2 2]
node   r1 = Sigmoid(p.1) → r1 float32[2 2]
node   y = Add(r0, r1) → y float32[2 2]
output y float32[2 2]
`},
		{"the middle", "a", "r1 r0", `input  a float32[2 4]
node   p = Split(a) → p.0 float32[2 2] p.1 float32[2 2]
node   r0 = Relu(p.0) → r0 float32[2 2]
node   r1 = Sigmoid(p.1) → r1 float32[2 2]
output r1 float32[2 2]
output r0 float32[2 2]
`},
		{"one of a node's outputs is given", "a p", "y", `input  a float32[2 4]
input  p.0 float32[2 2]
node   p = Split(a) → p.0.unused float32[2 2] p.1 float32[2 2]
node   r0 = Relu(p.0) → r0 float32[2 2]
node   r1 = Sigmoid(p.1) → r1 float32[2 2]
node   y = Add(r0, r1) → y float32[2 2]
output y float32[2 2]
`},
		{"a node whose outputs are given is left out", "p p.1", "y", `input  p.0 float32[2 2]
input  p.1 float32[2 2]
node   r0 = Relu(p.0) → r0 float32[2 2]
node   r1 = Sigmoid(p.1) → r1 float32[2 2]
node   y = Add(r0, r1) → y float32[2 2]
output y float32[2 2]
`},
		{"an input that nothing needs stays", "x a", "r0", `input  x float32[2 4]
input  a float32[2 4]
node   p = Split(a) → p.0 float32[2 2] p.1 float32[2 2]
node   r0 = Relu(p.0) → r0 float32[2 2]
output r0 float32[2 2]
`},
		{"of constants alone", "", "fixed", "node   fixed = Tanh(const.2) → fixed float32[]\noutput fixed float32[]\n"},
		{"missing input", "p", "y", `! cut of graph chain: node "a" needs the value "x", which no input gives`},
		{"constant input", "x const", "y", `! cut of graph chain: the input "const.2" is a constant`},
		{"input twice", "x x", "y", `! cut of graph chain: the input "x" is named twice`},
		{"output is an input", "a r0", "r0", `! cut of graph chain: the output "r0" is not computed between the inputs and the outputs`},
		{"output is the graph's input", "a", "x", `! cut of graph chain: the output "x" is not computed between the inputs and the outputs`},
		{"output is a constant", "x", "const", `! cut of graph chain: the output "const.2" is not computed between the inputs and the outputs`},
		{"output twice", "x", "r0 r0", `! cut of graph chain: the output "r0" is named twice`},
	} {
		g := chain(t)
		before := g.Dump()
		cut, err := g.Cut(valuesOf(g, c.inputs), valuesOf(g, c.outputs))
		checkMade(t, c.name, c.want, g, before, cut, err)
	}
}

// checkCut holds what executors rely on: operands come before their use, producers are the cut's own nodes, and the cut's metadata
// are not the graph's.
func checkCut(t *testing.T, name string, g, cut *Graph) {
	t.Helper()
	known := map[*Value]bool{nil: true}
	for _, v := range cut.Inputs {
		known[v] = true
	}
	for _, n := range cut.Nodes {
		for _, v := range n.Inputs {
			if !known[v] && v.Const == nil {
				t.Errorf("%s: node %s uses %q before it is computed", name, n.Name, v.Name)
			}
		}
		for _, v := range n.Outputs {
			if v.Producer != n {
				t.Errorf("%s: %q is not the value of node %s", name, v.Name, n.Name)
			}
			known[v] = true
		}
	}
	cut.Metadata["digest"] = "other"
	if g.Metadata["digest"] != "5a" {
		t.Errorf("%s: the metadata are shared", name)
	}
}

// checkMade compares what was made of a graph with its description, or the error with what follows "! ", and finds the graph as it was.
func checkMade(t *testing.T, name, want string, g *Graph, before string, made *Graph, err error) {
	t.Helper()
	switch text, fails := strings.CutPrefix(want, "! "); {
	case fails && (err == nil || err.Error() != text):
		t.Errorf("%s: %v, want %s", name, err, text)
	case fails:
	case err != nil:
		t.Errorf("%s: %v", name, err)
	default:
		if dump := made.Dump(); dump != want {
			t.Errorf("%s: got\n%swant\n%s", name, dump, want)
		}
		checkCut(t, name, g, made)
	}
	if g.Dump() != before {
		t.Errorf("%s: the graph itself changed", name)
	}
}
