package kernel

import "math"

// Sigmoid computes y = 1/(1 + e^-x). This and the other functions below work elementwise; x and y have one length and may be the same
// slice. For float64 they use package math. For float32 they are within 2.5 units in the last place of the true value, subnormal
// results included, and follow the limits of the function at ±Inf; NaN stays NaN.
func Sigmoid[T Float](p *Pool, x, y []T, isa ISA) { elementwise(p, x, y, fnSigmoid, isa) }

// Swish computes y = x·sigmoid(x), also called SiLU. At -Inf the product is NaN, as it is in ONNX.
func Swish[T Float](p *Pool, x, y []T, isa ISA) { elementwise(p, x, y, fnSiLU, isa) }

// Softplus computes y = log(1 + e^x).
func Softplus[T Float](p *Pool, x, y []T, isa ISA) { elementwise(p, x, y, fnSoftplus, isa) }

// Tanh computes the hyperbolic tangent.
func Tanh[T Float](p *Pool, x, y []T, isa ISA) { elementwise(p, x, y, fnTanh, isa) }

// fn names an elementwise function.
type fn int

const (
	fnSigmoid fn = iota
	fnSiLU
	fnSoftplus
	fnTanh
)

func elementwise[T Float](p *Pool, x, y []T, f fn, isa ISA) {
	run(p, ceilDiv(len(x), taskLen), elementJob[T]{x: x, y: y[:len(x)], f: f, isa: supported(isa)})
}

type elementJob[T Float] struct {
	x, y []T
	f    fn
	isa  ISA
}

func (j *elementJob[T]) do(_, i int) {
	lo, hi := i*taskLen, min((i+1)*taskLen, len(j.x))
	apply(j.y[lo:hi], j.x[lo:hi], j.f, j.isa)
}

func applyPortable[T Float](y, x []T, f fn) {
	y = y[:len(x)]
	switch f {
	case fnSigmoid:
		for i, v := range x {
			y[i] = T(Logistic(float64(v)))
		}
	case fnSiLU:
		for i, v := range x {
			y[i] = siluOf(v)
		}
	case fnSoftplus:
		for i, v := range x {
			y[i] = T(softplus64(float64(v)))
		}
	case fnTanh:
		for i, v := range x {
			y[i] = T(math.Tanh(float64(v)))
		}
	}
}

// softplus64 is log(1 + e^v) = max(v, 0) + log(1 + e^-|v|).
func softplus64(v float64) float64 { return max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))) }
