package main

import (
	"math"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// elementwise writes the functions of one and two variables. All of them are polynomials and divisions that work lane by lane,
// so the vector width does not change a result. The polynomials of float32 are minimax fits, relative to the function, by Lawson's
// iteration on a dense grid; their errors are given beside them.
func elementwise(c *build.Context) {
	for _, w := range []width{avx2, avx512} {
		v := vectors{c, w, float32s}
		v.unary("sigmoid", "1/(1 + e^-x)", func(x reg.VecVirtual) reg.VecVirtual { return v.sigmoid(x, float(c, 1)) })
		v.unary("silu", "x/(1 + e^-x)", func(x reg.VecVirtual) reg.VecVirtual { return v.sigmoid(x, x) })
		v.unary("softplus", "log(1 + e^x)", v.softplus)
		v.unary("tanh", "tanh x", v.tanh)
		v.norms()
		vectors{c, w, float64s}.norms()
	}
}

// norms writes what follows the moments of a normalisation.
func (v vectors) norms() {
	v.affine("affine", "(x - mean)·gain + shift", func(x reg.VecVirtual) reg.VecVirtual { return x })
	v.affine("affineSiLU", "silu((x - mean)·gain + shift)", func(x reg.VecVirtual) reg.VecVirtual { return v.sigmoid(x, x) })
	v.gate("gate", false)
	v.gate("gateAdd", true)
}

// vectors emits expressions over vectors of one width and element.
type vectors struct {
	*build.Context
	width
	element
}

// bytes64 tells whether an element has 64 bits.
func (v vectors) bytes64() bool { return v.element.bytes == 8 }

func (v vectors) new() reg.VecVirtual { return v.vec(v.Context) }

// copyOf returns a register with the value of a register or of memory.
func (v vectors) copyOf(op operand.Op) reg.VecVirtual {
	x := v.new()
	v.VMOVUPS(op, x)
	return x
}

func (v vectors) product(a, b operand.Op) reg.VecVirtual {
	r := v.new()
	v.element.mul(v.Context, a, b, r)
	return r
}

// horner evaluates the polynomial with coefficients c[0] + c[1]·x + …
func (v vectors) horner(x reg.VecVirtual, c ...float64) reg.VecVirtual {
	p := v.copyOf(v.constant(v.Context, c[len(c)-1]))
	for i := len(c) - 2; i >= 0; i-- {
		v.multiplyInto(v.Context, v.constant(v.Context, c[i]), x, p)
	}
	return p
}

// exp is e^x = 2^n·e^r with n = round(x/ln 2), r = x - n·ln 2 in two steps, and e^r = 1 + r + r²·q(r) (error 4e-9). Multiplying by 2^n in
// two halves rounds only once, also when the result is subnormal. Beyond the limits the result is 0 or Inf anyway.
func (v vectors) exp(x reg.VecVirtual) reg.VecVirtual {
	const low, high = -104, 89
	clamped := v.copyOf(float(v.Context, low))
	v.VMAXPS(x, clamped, clamped) // the second operand survives if it is NaN
	top := v.copyOf(float(v.Context, high))
	v.VMINPS(clamped, top, clamped)
	return v.expWithin(clamped)
}

func (v vectors) expWithin(x reg.VecVirtual) reg.VecVirtual {
	ln2 := float64(float32(math.Ln2))
	half, n := v.new(), v.new()
	v.VMULPS(float(v.Context, math.Log2E), x, n)
	v.VCVTPS2DQ(n, half)
	v.VCVTDQ2PS(half, n)
	r := v.copyOf(x)
	v.VFNMADD231PS(float(v.Context, ln2), n, r)
	v.VFNMADD231PS(float(v.Context, math.Ln2-ln2), n, r)
	p := v.horner(r, 0.4999999404, 0.1666652113, 0.04166838899, 0.008368716575, 0.001381459879)
	square := v.product(r, r)
	v.VFMADD213PS(r, square, p)
	v.VADDPS(float(v.Context, 1), p, p)

	whole := v.copyOf(half)
	v.VPSRAD(operand.U8(1), half, half)
	v.VPSUBD(half, whole, whole)
	for _, power := range []reg.VecVirtual{half, whole} {
		v.VPADDD(repeated(v.Context, 127), power, power)
		v.VPSLLD(operand.U8(23), power, power)
		v.VMULPS(power, p, p)
	}
	return p
}

// expWithin64 is e^x in float64 for x in [-708, 0]. n is added in a way that leaves it in the lowest bits of the sum, from where it
// moves into the exponent. e^r is the Taylor polynomial of degree 13 (error 4e-18).
func (v vectors) expWithin64(x reg.VecVirtual) reg.VecVirtual {
	const shift, ln2 = 0x1.8p52, 0x1.62e42fefa39efp-1 // the latter is ln 2, rounded; untyped, so that the rest is exact
	shifted, n := v.new(), v.new()
	v.VMULPD(double(v.Context, math.Log2E), x, shifted)
	v.VADDPD(double(v.Context, shift), shifted, shifted)
	v.VSUBPD(double(v.Context, shift), shifted, n)
	r := v.copyOf(x)
	v.VFNMADD231PD(double(v.Context, ln2), n, r)
	v.VFNMADD231PD(double(v.Context, math.Ln2-ln2), n, r)
	coefficients := make([]float64, 12)
	factorial := 1.0
	for i := range coefficients {
		factorial *= float64(i + 2)
		coefficients[i] = 1 / factorial
	}
	p := v.horner(r, coefficients...)
	square := v.product(r, r)
	v.VFMADD213PD(r, square, p)
	v.VADDPD(double(v.Context, 1), p, p)
	v.VPSLLQ(operand.U8(52), shifted, shifted)
	v.VPADDQ(shifted, p, p)
	return p
}

// expOfMinusAbs is e^-|x|, in [0, 1]. In float64 it is 0 below -708, where the result is hardly a normal number.
func (v vectors) expOfMinusAbs(x reg.VecVirtual) reg.VecVirtual {
	if v.bytes64() {
		minus, low := v.new(), v.copyOf(double(v.Context, -708))
		v.VORPD(repeated64(v.Context, 1<<63), x, minus)
		below, zero := v.new(), v.new()
		v.VSUBPD(low, minus, below)
		v.VXORPD(zero, zero, zero)
		v.VMAXPD(minus, low, minus)
		return v.ifNegative(below, zero, v.expWithin64(minus))
	}
	minus, low := v.new(), v.copyOf(float(v.Context, -104))
	v.VORPS(repeated(v.Context, 1<<31), x, minus)
	v.VMAXPS(minus, low, minus)
	return v.expWithin(minus)
}

// sigmoid is factor/(1 + e^-x): with e = e^-|x|, factor·(1 or, for negative x, e)/(1 + e).
func (v vectors) sigmoid(x reg.VecVirtual, factor operand.Op) reg.VecVirtual {
	e := v.expOfMinusAbs(x)
	one := v.copyOf(v.constant(v.Context, 1))
	denominator := v.new()
	v.add(v.Context, one, e, denominator)
	num := v.ifNegative(x, e, one)
	if _, register := factor.(reg.VecVirtual); register {
		v.element.mul(v.Context, factor, num, num)
	}
	v.div(v.Context, denominator, num, num)
	return num
}

// ifNegative selects yes in the lanes where the sign bit of x is set.
func (v vectors) ifNegative(x, yes, no reg.VecVirtual) reg.VecVirtual {
	r := v.new()
	switch {
	case v.width.bytes == 64 && v.bytes64():
		k := v.K()
		v.VPMOVQ2M(x, k)
		v.VBLENDMPD(yes, no, k, r)
	case v.width.bytes == 64:
		k := v.K()
		v.VPMOVD2M(x, k)
		v.VBLENDMPS(yes, no, k, r)
	case v.bytes64():
		v.VBLENDVPD(x, yes, no, r)
	default:
		v.VBLENDVPS(x, yes, no, r)
	}
	return r
}

// softplus is max(x, 0) + log(1 + e) with e = e^-|x| and, for u = e/(1 + e/2), log(1 + e) = 2·artanh(u/2) = u + u³·q(u²) (error 7e-10).
func (v vectors) softplus(x reg.VecVirtual) reg.VecVirtual {
	e := v.expOfMinusAbs(x)
	u := v.copyOf(float(v.Context, 0.5))
	v.VFMADD213PS(float(v.Context, 1), e, u)
	v.VDIVPS(u, e, u)
	w := v.product(u, u)
	q := v.horner(w, 0.08333334327, 0.01249964908, 0.00223569409, 0.0004185089492, 0.0001186569061)
	v.VMULPS(w, q, q)
	v.VFMADD213PS(u, u, q)
	r := v.relu(x)
	v.VADDPS(q, r, r)
	return r
}

// relu is max(x, 0), and NaN for NaN.
func (v vectors) relu(x reg.VecVirtual) reg.VecVirtual {
	r := v.new()
	v.VXORPS(r, r, r)
	v.max(v.Context, x, r, r)
	return r
}

// tanh is, for a = |x|, a + a³·q(a²) (error 6e-9) below 0.625 and 1 - 2/(e^2a + 1) above, with the sign of x.
func (v vectors) tanh(x reg.VecVirtual) reg.VecVirtual {
	a, sign := v.new(), v.new()
	v.VANDPS(repeated(v.Context, 1<<31-1), x, a)
	v.VANDPS(repeated(v.Context, 1<<31), x, sign)
	w := v.product(a, a)
	small := v.horner(w, -0.3333333135, 0.1333319098, -0.05394488946, 0.02169015445, -0.008150697686, 0.00211801799)
	cube := v.product(w, a)
	v.VFMADD213PS(a, cube, small)

	twice := v.new()
	v.VADDPS(a, a, twice)
	e := v.exp(twice)
	v.VADDPS(float(v.Context, 1), e, e)
	large := v.copyOf(float(v.Context, 2))
	v.VDIVPS(e, large, large)
	one := v.copyOf(float(v.Context, 1))
	v.VSUBPS(large, one, large)

	below := v.new()
	v.VSUBPS(float(v.Context, 0.625), a, below)
	r := v.ifNegative(below, small, large)
	v.VORPS(sign, r, r)
	return r
}
