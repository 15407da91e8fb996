package body

import "github.com/apex-x/apexx/backends/graph"

// tileSSMScan solves s_k = d·s_(k-1) + v_k, with v = (1-d)·(input_gain·x + state_bias), by doubling: with S_1 = v and
//
//	S_2n(k) = S_n(k) + dⁿ·S_n(k-n)
//
// S_n(k) holds the last n terms of s_k = Σ dʲ·v_(k-j), so that log2(K) steps give every state. A step is a few nodes on the
// whole sequence, where an ONNX Scan would run its body K times. Rounding is that of a balanced tree.
func tileSSMScan(b *builder, o graph.TileSSMScan, in []graph.Type) *Function {
	batch, steps, channels := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2]
	decay, inputGain, outputGain, bias := b.in(1), b.in(2), b.in(3), b.in(4)
	clip := func(x value, low, high float64) value { return b.do("Clip", x, b.float(low), b.float(high)) }

	x := clip(b.replaceNaN(b.in(0), 0), -o.Clamp, o.Clamp)
	d := clip(decay, 1e-6, 1-1e-6)
	drive := b.do("Add", b.do("Mul", inputGain, x), bias)
	state := b.do("Mul", b.do("Sub", b.float(1), d), drive)
	for n := 1; n < steps; n *= 2 {
		if n > 1 {
			d = b.do("Mul", d, d)
		}
		state = b.do("Add", state, b.do("Mul", d, shift(b, state, batch, steps, channels, n, o.Backward)))
	}
	last := steps - 1
	if o.Backward {
		last = 0
	}
	final := b.reshape(b.gather(state, b.ints(last), 1), batch, channels)
	return b.finish(b.do("Mul", outputGain, state), final)
}

// shift moves a sequence [B,K,C] of the given length n places towards its end, or its start when backward, and fills with zeros. It joins
// them to what remains, although Pad would do: TensorRT 10.6 makes one step of a Slice and a Pad in front of it, and leaves the elements in their places.
func shift(b *builder, x value, batch, length, channels, n int, backward bool) value {
	zeros := b.do("ConstantOfShape", b.ints(batch, n, channels))
	if backward {
		return b.concat(1, b.do("Slice", x, b.ints(n), b.ints(length), b.ints(1)), zeros)
	}
	return b.concat(1, zeros, b.do("Slice", x, b.ints(0), b.ints(length-n), b.ints(1)))
}
