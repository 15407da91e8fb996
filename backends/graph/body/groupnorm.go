package body

import (
	"math"

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

// divisorNearRoot returns the largest divisor of n that is at most sqrt(n); n is positive.
func divisorNearRoot(n int) int {
	k := int(math.Sqrt(float64(n)))
	for n%k != 0 {
		k--
	}
	return k
}
