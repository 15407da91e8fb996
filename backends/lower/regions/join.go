package regions

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
)

// Parts of the graph with several results, which no rule of package lower describes, become one node each: the proxies, the gates, and the router
// with the selections that follow it. Where the graph is another one, or larger than what the kernels hold, it stays single steps.
const (
	Proxies = "Proxies"
	Gates   = "Gates"
	Route   = "Route"
)

// members are nodes under their roles.
type members map[string]*lower.Node

// Join makes one node of each of them, where a program has it.
func Join(p *lower.Program) {
	for _, n := range slices.Clone(p.Nodes) {
		if n.ForTaps() {
			continue
		}
		switch n.Op.(type) {
		case graph.Concat:
			if m := proxiesOf(n, readersOf(p)); m != nil {
				p.Join(lower.Fused(Proxies), m)
			}
		case graph.TileAggregate:
			if m := routeOf(n, readersOf(p)); m != nil {
				p.Join(lower.Fused(Route), m)
			}
		}
	}
	if m := gatesOf(p, readersOf(p)); m != nil {
		p.Join(lower.Fused(Gates), m)
	}
}

// readers are the nodes that read each value for the sake of outputs.
type readers map[*lower.Value][]*lower.Node

func readersOf(p *lower.Program) readers {
	r := readers{}
	for _, n := range p.Nodes {
		if n.ForTaps() {
			continue
		}
		for _, v := range n.In {
			if v != nil && !slices.Contains(r[v], n) {
				r[v] = append(r[v], n)
			}
		}
	}
	return r
}

// only returns the one reader of a node's first result if that is an operator of the given type, or nil. It takes a nil node.
func (r readers) only(n *lower.Node, op string) *lower.Node {
	if n == nil || len(r[n.Out[0]]) != 1 || r[n.Out[0]][0].Op.OpType() != op {
		return nil
	}
	return r[n.Out[0]][0]
}

// first returns the first reader of a value that is an operator of the given type and accept agrees to, or nil.
func (r readers) first(v *lower.Value, op string, accept func(*lower.Node) bool) *lower.Node {
	for _, n := range r[v] {
		if n.Op.OpType() == op && accept(n) {
			return n
		}
	}
	return nil
}

// complete tells whether no member is missing.
func (m members) complete() bool {
	for _, n := range m {
		if n == nil {
			return false
		}
	}
	return true
}

// producer returns the node that computes a value if it is an operator of the given type, or nil.
func producer(v *lower.Value, op string) *lower.Node {
	if v == nil || v.Producer == nil || v.Producer.Op.OpType() != op {
		return nil
	}
	return v.Producer
}

// proxiesOf returns the nodes that make the proxies which a Concat stacks: boundary, objectness, uncertainty and variance (backends/model, pv).
func proxiesOf(stack *lower.Node, r readers) members {
	if stack.Op.(graph.Concat).Axis != 1 || len(stack.In) != 4 || slices.ContainsFunc(stack.In, func(v *lower.Value) bool { return len(v.Shape) != 4 || v.Shape[1] != 1 }) {
		return nil
	}
	product := producer(stack.In[2], "Mul")
	m := members{
		"boundary": producer(stack.In[0], "Sigmoid"), "objectness": producer(stack.In[1], "Sigmoid"), "uncertainty": product,
		"variance": producer(stack.In[3], "Softplus"), "stack": stack,
	}
	if product != nil {
		m["4p"], m["1-p"] = producer(product.In[0], "Mul"), producer(product.In[1], "Sub")
	}
	if !m.complete() {
		return nil
	}
	p, four, rest := stack.In[1], m["4p"].In, m["1-p"].In
	if four[0] != p || !isNumber(four[1], 4) || rest[1] != p || !isNumber(rest[0], 1) || len(r[m["4p"].Out[0]]) != 1 || len(r[m["1-p"].Out[0]]) != 1 {
		return nil
	}
	return m
}

const (
	routeInputs, routeHidden  = 32, 64
	routeTiles, routeChildren = 512, 1024
)

// routeOf returns the nodes of the router that begins with the statistics of tiles, and of the selections that follow.
func routeOf(statistics *lower.Node, r readers) members {
	rows := r.only(statistics, "Reshape")
	first := r.only(rows, "Gemm")
	firstRelu := r.only(first, "Relu")
	secondLayer := r.only(firstRelu, "Gemm")
	m := members{"statistics": statistics, "rows": rows, "first": first, "first relu": firstRelu, "second": secondLayer, "second relu": r.only(secondLayer, "Relu")}
	if !m.complete() || statistics.Out[0].Shape[2] > routeInputs || !windowsFit(statistics) || !isLayer(first) || !isLayer(secondLayer) {
		return nil
	}
	heads := r[m["second relu"].Out[0]]
	var utilities []*lower.Node
	for _, head := range heads {
		u := r.only(head, "Reshape")
		if head.Op.OpType() != "Gemm" || !isLinear(head, 1) || u == nil || len(u.Out[0].Shape) != 2 {
			return nil
		}
		utilities = append(utilities, u)
	}
	if len(heads) < 1 || len(heads) > 2 {
		return nil
	}
	if len(heads) == 2 && r.first(utilities[1].Out[0], "GreedySelect", always) != nil {
		slices.Reverse(utilities)
	}
	for i, role := range []string{"utilities", "split utilities"}[:len(heads)] {
		m[role], m[role+" head"] = utilities[i], utilities[i].In[0].Producer
	}
	m.addSelection(r)
	return m
}

// windowsFit tells whether the windows of tiles can be computed by reciprocals.
func windowsFit(statistics *lower.Node) bool {
	op, x := statistics.Op.(graph.TileAggregate), statistics.In[0].Shape
	return max((op.FeatureHeight+1)*x[2], (op.FeatureWidth+1)*x[3]) < mostCells
}

func always(*lower.Node) bool { return true }

// isLayer tells whether a node is a layer that the router's kernel holds.
func isLayer(n *lower.Node) bool {
	outputs := n.Out[0].Shape[1]
	return outputs <= routeHidden && isLinear(n, outputs)
}

// addSelection adds the selection among the first utilities, the order of what is selected, the split by the second ones, and the order of the
// children, as far as they are there.
func (m members) addSelection(r readers) {
	u := m["utilities"].Out[0]
	selection := r.first(u, "GreedySelect", always)
	if selection == nil || u.Shape[1] > routeTiles {
		return
	}
	m["select"] = selection
	chosen := selection.Out[0]
	if order := r.first(chosen, "TileOrder", always); order != nil {
		m["order"] = order
	}
	if m["split utilities"] == nil {
		return
	}
	split := r.first(m["split utilities"].Out[0], "SplitSelect", func(n *lower.Node) bool { return n.In[1] == chosen })
	if split == nil || split.Out[0].Shape[1] > routeChildren {
		return
	}
	m["split"] = split
	if order := r.first(split.Out[0], "TileOrder", always); order != nil {
		m["child order"] = order
	}
}

// MostGates is how many gates one node makes at most.
const MostGates = 4

// gatesOf returns the nodes that make the gates of all levels of boundary and uncertainty (backends/model, gateProxies and fusionGate). The two
// operands are those of the first gate in the program; a gate of others is not taken.
func gatesOf(p *lower.Program, r readers) members {
	m := members{}
	for _, n := range p.Nodes {
		g := gateOf(n, r)
		switch {
		case g == nil || n.ForTaps():
		case len(m) == 0 || g["boundary clean"] == m["boundary clean"] && g["uncertainty clean"] == m["uncertainty clean"] && m[GateRole(MostGates-1, "gate")] == nil:
			count := m.gates()
			for role, node := range g {
				switch role {
				case "boundary", "uncertainty", "sum", "logit", "gate":
					role = GateRole(count, role)
				}
				m[role] = node
			}
		}
	}
	if len(m) == 0 || !m.closed(r) {
		return nil
	}
	return m
}

// GateRole is the role of a part of the gate i in a node Gates.
func GateRole(i int, role string) string { return role + " " + string(rune('0'+i)) }

// gates counts the gates among the members.
func (m members) gates() int {
	n := 0
	for m[GateRole(n, "gate")] != nil {
		n++
	}
	return n
}

// closed tells whether nothing outside reads what members compute, but for the gates.
func (m members) closed(r readers) bool {
	inside := map[*lower.Node]bool{}
	for _, n := range m {
		inside[n] = true
	}
	for _, n := range m {
		if n.Op.OpType() == "Sigmoid" {
			continue
		}
		for _, v := range n.Out {
			if slices.ContainsFunc(r[v], func(n *lower.Node) bool { return !inside[n] }) {
				return false
			}
		}
	}
	return true
}

// gateOf returns the nodes of one gate, or nil where n is none.
func gateOf(n *lower.Node, r readers) members {
	if n.Op.OpType() != "Sigmoid" {
		return nil
	}
	logit := producer(n.In[0], "Add")
	if logit == nil {
		return nil
	}
	sum := producer(logit.In[0], "Add")
	if sum == nil || !isScalar(logit.In[1]) {
		return nil
	}
	m := members{"gate": n, "logit": logit, "sum": sum}
	for i, proxy := range []string{"boundary", "uncertainty"} {
		product := producer(sum.In[i], "Mul")
		if product == nil || !isScalar(product.In[0]) || !m.addProxy(proxy, product) {
			return nil
		}
	}
	a, b := m["boundary resize"], m["uncertainty resize"]
	if (a == nil) != (b == nil) || !slices.Equal(m["boundary clean"].In[2].Shape, m["uncertainty clean"].In[2].Shape) {
		return nil
	}
	return m
}

// addProxy adds how an operand of a gate is made: where it is a NaN it is 0, and it is resized unless it has the size.
func (m members) addProxy(proxy string, product *lower.Node) bool {
	x := product.In[1]
	if resize := producer(x, "Resize"); resize != nil {
		m[proxy+" resize"], x = resize, resize.In[0]
	}
	clean := producer(x, "Where")
	if clean == nil || !isNumber(clean.In[1], 0) {
		return false
	}
	odd := producer(clean.In[0], "IsNaN")
	if odd == nil || odd.In[0] != clean.In[2] {
		return false
	}
	m[proxy], m[proxy+" clean"], m[proxy+" odd"] = product, clean, odd
	return len(x.Shape) == 4 && x.Shape[1] == 1
}

// isScalar tells whether a value is one constant number.
func isScalar(v *lower.Value) bool { return v.Constant && v.Len() == 1 }
