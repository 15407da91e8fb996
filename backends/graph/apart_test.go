package graph

import (
	"strings"
	"testing"
)

// partsOf reads "a p -> p.1 | y -> y": the nodes of every part, and what is wanted of it.
func partsOf(g *Graph, text string) (parts []Part) {
	for _, one := range strings.Split(text, "|") {
		nodes, wanted, _ := strings.Cut(one, "->")
		p := Part{Outputs: valuesOf(g, wanted)}
		for _, v := range valuesOf(g, nodes) {
			p.Nodes = append(p.Nodes, v.Producer)
		}
		parts = append(parts, p)
	}
	return parts
}

func TestApart(t *testing.T) {
	for _, c := range []struct{ name, parts, want string }{
		{"every node by itself", "a -> a | p -> p p.1 | r0 -> r0 | r1 -> r1 | y -> y", `input  given.x float32[2 4]
input  given.a float32[2 4]
input  given.p.0 float32[2 2]
input  given.p.1 float32[2 2]
input  given.r0 float32[2 2]
input  given.r1 float32[2 2]
node   fixed = Tanh(const.2) → fixed float32[]
node   a = Mul(given.x, fixed) → a float32[2 4]
node   p = Split(given.a) → p.0 float32[2 2] p.1 float32[2 2]
node   r0 = Relu(given.p.0) → r0 float32[2 2]
node   r1 = Sigmoid(given.p.1) → r1 float32[2 2]
node   y = Add(given.r0, given.r1) → y float32[2 2]
output a float32[2 4]
output p.0 float32[2 2]
output p.1 float32[2 2]
output r0 float32[2 2]
output r1 float32[2 2]
output y float32[2 2]
`},
		{"a chain and its rest, in another order", "r1 y -> y | a p r0 -> r0 a", `input  given.x float32[2 4]
input  given.p.1 float32[2 2]
input  given.r0 float32[2 2]
node   fixed = Tanh(const.2) → fixed float32[]
node   a = Mul(given.x, fixed) → a float32[2 4]
node   p = Split(a) → p.0 float32[2 2] p.1 float32[2 2]
node   r0 = Relu(p.0) → r0 float32[2 2]
node   r1 = Sigmoid(given.p.1) → r1 float32[2 2]
node   y = Add(given.r0, r1) → y float32[2 2]
output y float32[2 2]
output r0 float32[2 2]
output a float32[2 4]
`},
		{"of constants alone", "fixed -> fixed", "node   fixed = Tanh(const.2) → fixed float32[]\noutput fixed float32[]\n"},
		{"twice", "a p -> a | p -> p", `! graph chain apart: node "p" is in two parts`},
		{"of another part", "a -> a | r0 -> r1", `! graph chain apart: the value "r1" is not computed in its part`},
		{"an input", "a -> x", `! graph chain apart: the value "x" is not computed in its part`},
	} {
		g := chain(t)
		before := g.Dump()
		got, err := g.Apart(partsOf(g, c.parts))
		checkMade(t, c.name, c.want, g, before, got, err)
		if err == nil && len(got.Parts) != strings.Count(c.parts, "|")+1 {
			t.Errorf("%s: the graph names the parts %q", c.name, got.Parts)
		}
	}
}

func TestFixed(t *testing.T) {
	if f := chain(t).Fixed(); len(f) != 1 || f[0].Name != "fixed" {
		t.Errorf("fixed are %v", f)
	}
}
