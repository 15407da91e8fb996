package reference

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

// fuse rewrites chains of nodes into single ones. A chain is fused only when nothing else reads what is between its nodes, so
// outputs and taps keep their values. Every rule looks at the last node of a chain and changes that node alone: it then reads
// the inputs of the whole chain, all of which come earlier, and the rest of the chain is dead.
//
//  1. x·Sigmoid(x) becomes SiLU.
//  2. SiLU of a GroupNormalization becomes part of it.
//  3. GroupNormalization → Split in halves a, b → a·Relu(b), perhaps + residual, becomes GroupNormGate (spec/model.md 3.1).
//  4. Conv followed by one of these becomes part of it: the convolution takes the statistics as it writes its output, and
//     the normalisation is a single pass.
//  5. Resize, perhaps + a map common to all masks, before BoxMask: only the cells inside the boxes are interpolated.
func (c *compiler) fuse() {
	for _, rule := range []func(n *node, only func(*value) bool) bool{fuseSiLU, fuseNormSiLU, fuseGate, fuseGateResidual, fuseConvNorm, fuseResizeMask} {
		uses := c.consumers()
		only := func(v *value) bool { return uses[v] == 1 && v.producer != nil }
		changed := false
		for _, n := range c.nodes {
			changed = rule(n, only) || changed
		}
		if changed {
			c.dropDead()
		}
	}
}

// siluOp is x·sigmoid(x).
type siluOp struct{}

func (siluOp) OpType() string { return "SiLU" }

// normOp is a GroupNormalization with what was fused into it: inputs [conv's x, weight, bias or nil | x], scale, bias.
type normOp struct {
	graph.GroupNormalization
	silu bool
	conv *graph.Conv // nil when the input is normalised as it is
}

// gateOp normalises x with 2·C channels like normOp and gates the first half with the second: a·max(b, 0) + residual. Its
// last input is the residual or nil.
type gateOp struct{ normOp }

func (gateOp) OpType() string { return "GroupNormGate" }

func isUnary(n *node, fn graph.UnaryFn) bool {
	if n == nil {
		return false
	}
	op, ok := n.op.(graph.Unary)
	return ok && op.Fn == fn
}

func isBinary(n *node, fn graph.BinaryFn) bool {
	op, ok := n.op.(graph.Binary)
	return ok && op.Fn == fn
}

func fuseSiLU(n *node, only func(*value) bool) bool {
	if !isBinary(n, graph.Mul) {
		return false
	}
	for i, s := range n.in {
		x := n.in[1-i]
		if only(s) && isUnary(s.producer, graph.Sigmoid) && s.producer.in[0] == x {
			n.op, n.in = siluOp{}, []*value{x}
			return true
		}
	}
	return false
}

func fuseNormSiLU(n *node, only func(*value) bool) bool {
	if _, ok := n.op.(siluOp); !ok || !only(n.in[0]) {
		return false
	}
	norm, ok := n.in[0].producer.op.(graph.GroupNormalization)
	if !ok {
		return false
	}
	n.op, n.in = normOp{GroupNormalization: norm, silu: true}, n.in[0].producer.in
	return true
}

func fuseGate(n *node, only func(*value) bool) bool {
	if !isBinary(n, graph.Mul) {
		return false
	}
	for i, r := range n.in {
		a := n.in[1-i]
		if !only(r) || !isUnary(r.producer, graph.Relu) || !only(a) || !only(r.producer.in[0]) {
			continue
		}
		b, split := r.producer.in[0], a.producer
		if b.producer != split || !splitsInHalves(split) || split.out[0] != a || split.out[1] != b || !only(split.in[0]) {
			continue
		}
		norm, ok := split.in[0].producer.op.(graph.GroupNormalization)
		if !ok {
			continue
		}
		n.op, n.in = gateOp{normOp{GroupNormalization: norm}}, append(slices.Clone(split.in[0].producer.in), nil)
		return true
	}
	return false
}

func splitsInHalves(n *node) bool {
	op, ok := n.op.(graph.Split)
	return ok && op.Axis == 1 && len(op.Sizes) == 2 && op.Sizes[0] == op.Sizes[1]
}

func fuseGateResidual(n *node, only func(*value) bool) bool {
	if !isBinary(n, graph.Add) {
		return false
	}
	for i, g := range n.in {
		residual := n.in[1-i]
		if !only(g) || g == residual || !slices.Equal(g.shape, residual.shape) {
			continue
		}
		op, ok := g.producer.op.(gateOp)
		if !ok || g.producer.in[3] != nil {
			continue
		}
		n.op, n.in = op, slices.Clone(g.producer.in)
		n.in[3] = residual
		return true
	}
	return false
}

// fuseConvNorm needs constant weights, which are packed at compile time.
func fuseConvNorm(n *node, only func(*value) bool) bool {
	op, gated := n.op.(gateOp)
	if !gated {
		switch norm := n.op.(type) {
		case normOp:
			op.normOp = norm
		case graph.GroupNormalization:
			op.GroupNormalization = norm
		default:
			return false
		}
	}
	x := n.in[0]
	if !only(x) {
		return false
	}
	conv, ok := x.producer.op.(graph.Conv)
	if !ok || !packable(x.producer) {
		return false
	}
	op.conv = &conv
	in := []*value{x.producer.in[0], x.producer.in[1], x.producer.input(2)}
	n.in = append(in, n.in[1:]...)
	n.op = op.normOp
	if gated {
		n.op = op
	}
	return true
}

// maskOp is a BoxMask whose logits are interpolated from those of its first input, to which the last input, [B,1,H,W] or nil,
// is added.
type maskOp struct{ graph.BoxMask }

func (maskOp) OpType() string { return "ResizeBoxMask" }

func fuseResizeMask(n *node, only func(*value) bool) bool {
	op, ok := n.op.(graph.BoxMask)
	if !ok || !only(n.in[0]) {
		return false
	}
	resized, common := n.in[0], (*value)(nil)
	if sum := resized.producer; isBinary(sum, graph.Add) {
		for i, v := range sum.in {
			if s := v.shape; len(s) == 4 && s[1] == 1 && slices.Equal(sum.in[1-i].shape, resized.shape) && s[0] == resized.shape[0] && slices.Equal(s[2:], resized.shape[2:]) {
				resized, common = sum.in[1-i], v
				break
			}
		}
	}
	if !only(resized) {
		return false
	}
	if _, ok := resized.producer.op.(graph.Resize); !ok {
		return false
	}
	n.op, n.in = maskOp{op}, []*value{resized.producer.in[0], n.in[1], common}
	return true
}
