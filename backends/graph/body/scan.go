package body

import "github.com/apex-x/apexx/backends/graph"

// tileSSMScan solves s_k = d·s_(k-1) + v_k, with v = (1-d)·(input_gain·x + state_bias), by doubling: with S_1 = v and
//
//	S_2n(k) = S_n(k) + dⁿ·S_n(k-n)
//
// S_n(k) holds the last n terms of s_k = Σ dʲ·v_(k-j), so that log2(K) steps give every state. A step is a few nodes on the
// whole sequence, where an ONNX Scan would run its body K times. Rounding is that of a balanced tree.
//
// Either direction runs over the sequence from its end, so that a step reads what lies n tokens further on. TensorRT 10.6 computes that; where a step
// reads the start of a sequence and moves it back, by Pad or Concat, it leaves the elements in their places.
func tileSSMScan(b *builder, o graph.TileSSMScan, in []graph.Type) *Function {
	batch, tokens, channels := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2]
	decay, inputGain, outputGain, bias := b.in(1), b.in(2), b.in(3), b.in(4)
	clip := func(x value, low, high float64) value { return b.do("Clip", x, b.float(low), b.float(high)) }
	fromTheEnd := func(x value) value {
		if o.Backward {
			return x
		}
		order := make([]int, tokens)
		for k := range order {
			order[k] = tokens - 1 - k
		}
		return b.gather(x, b.ints(order...), 1)
	}

	x := clip(b.replaceNaN(fromTheEnd(b.in(0)), 0), -o.Clamp, o.Clamp)
	d := clip(decay, 1e-6, 1-1e-6)
	drive := b.do("Add", b.do("Mul", inputGain, x), bias)
	state := b.do("Mul", b.do("Sub", b.float(1), d), drive)
	for n := 1; n < tokens; n *= 2 {
		if n > 1 {
			d = b.do("Mul", d, d)
		}
		ahead := b.do("Slice", state, b.ints(n), b.ints(tokens), b.ints(1))
		ahead = b.concat(1, ahead, b.do("ConstantOfShape", b.ints(batch, n, channels)))
		state = b.do("Add", state, b.do("Mul", d, ahead))
	}
	final := b.reshape(b.gather(state, b.ints(0), 1), batch, channels)
	return b.finish(b.do("Mul", outputGain, fromTheEnd(state)), final)
}
