package body

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

// groupNormalization: y = scale·(x - μ)/sqrt(σ² + ε) + bias, with μ and σ² of each group's n elements.
//
// Float32 sums over millions of elements lose digits when they run element by element, as the ready-made operators of
// ONNX Runtime do. Means of means over k rows of n/k elements each, k near sqrt(n), lose almost none.
func groupNormalization(b *builder, o graph.GroupNormalization, in []graph.Type) *Function {
	x, shape := b.in(0), in[0].Shape
	if in[0].Len() == 0 {
		return b.finish(b.do("Identity", x))
	}
	batch, channels, area := shape[0], shape[1], product(shape[2:]...)
	per := channels / o.Groups
	k := divisorNearRoot(per * area)
	mean := func(v value) value { return b.reduce("ReduceMean", b.reduce("ReduceMean", v, 2), 1) }

	rows := b.reshape(x, batch*o.Groups, k, per*area/k)
	centred := b.do("Sub", rows, mean(rows))
	variance := mean(b.do("Mul", centred, centred)) // [batch·groups, 1, 1]
	deviation := b.do("Sqrt", b.do("Add", variance, b.float(o.Epsilon)))

	// scale/deviation is one factor per sample and channel, so the map itself is multiplied only once.
	factor := b.do("Div", b.reshape(b.in(1), 1, o.Groups, per), b.reshape(deviation, batch, o.Groups, 1))
	scaled := b.do("Mul", b.reshape(centred, batch, channels, area), b.reshape(factor, batch, channels, 1))
	shifted := b.do("Add", scaled, b.reshape(b.in(2), channels, 1))
	return b.finish(b.reshape(shifted, shape...))
}

// Instances returns another body of a GroupNormalization of the types in, as exporters of frameworks write it: each group of a sample is an instance of
// one channel for InstanceNormalization, whose sums are the runtime's own. Runtimes know that pattern; in float32 it may be coarser than what For returns.
func Instances(o graph.GroupNormalization, in []graph.Type) (*Function, error) {
	if _, err := o.Infer(in); err != nil {
		return nil, fmt.Errorf("body of %s: %w", o.OpType(), err)
	}
	b, shape := newBuilder(len(in)), in[0].Shape
	ones, zeros := make([]float32, o.Groups), make([]float32, o.Groups)
	for i := range ones {
		ones[i] = 1
	}
	channels := append([]int{shape[1]}, slices.Repeat([]int{1}, len(shape)-2)...)
	rows := b.reshape(b.in(0), shape[0], o.Groups, product(shape[1:]...)/o.Groups)
	normal := b.with("InstanceNormalization", []Attr{{"epsilon", float32(o.Epsilon)}}, rows, constant(b, ones, o.Groups), constant(b, zeros, o.Groups))
	scaled := b.do("Mul", b.reshape(normal, shape...), b.reshape(b.in(1), channels...))
	return b.finish(b.do("Add", scaled, b.reshape(b.in(2), channels...))), nil
}

// divisorNearRoot returns the largest divisor of n that is at most sqrt(n); n is positive.
func divisorNearRoot(n int) int {
	k := int(math.Sqrt(float64(n)))
	for n%k != 0 {
		k--
	}
	return k
}
