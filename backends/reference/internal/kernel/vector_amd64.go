//go:build amd64 && !purego

package kernel

// unaryFns are functions of float32 for [AVX2, AVX512].
var unaryFns = map[fn][2]func(y, x *float32, n int){
	fnSigmoid:  {sigmoidAVX2, sigmoidAVX512},
	fnSiLU:     {siluAVX2, siluAVX512},
	fnSoftplus: {softplusAVX2, softplusAVX512},
	fnTanh:     {tanhAVX2, tanhAVX512},
}

// normFns are the functions of one element type and instruction set that follow the moments of a normalisation.
type normFns[T Float] struct {
	affine, affineSiLU func(y, x *T, n int, mean, gain, shift T)
	gate               func(y, a, b *T, n int, meanA, gainA, shiftA, meanB, gainB, shiftB T)
	gateAdd            func(y, a, b, r *T, n int, meanA, gainA, shiftA, meanB, gainB, shiftB T)
}

// [AVX2, AVX512]
var (
	normFns32 = [2]normFns[float32]{
		{affineAVX2, affineSiLUAVX2, gateAVX2, gateAddAVX2},
		{affineAVX512, affineSiLUAVX512, gateAVX512, gateAddAVX512},
	}
	normFns64 = [2]normFns[float64]{
		{affineF64AVX2, affineSiLUF64AVX2, gateF64AVX2, gateAddF64AVX2},
		{affineF64AVX512, affineSiLUF64AVX512, gateF64AVX512, gateAddF64AVX512},
	}
)

// normFnsOf returns the functions of an instruction set that is not Portable.
func normFnsOf[T Float](isa ISA) *normFns[T] {
	if f, ok := any(&normFns32[isa-AVX2]).(*normFns[T]); ok {
		return f
	}
	return any(&normFns64[isa-AVX2]).(*normFns[T])
}

// vector returns x as []float32 if there is vector code for it.
func vector[T Float](x []T, isa ISA) ([]float32, bool) {
	if isa == Portable || len(x) == 0 {
		return nil, false
	}
	v, ok := any(x).([]float32)
	return v, ok
}

func apply[T Float](y, x []T, f fn, isa ISA) {
	v, ok := vector(x, isa)
	if !ok {
		applyPortable(y, x, f)
		return
	}
	out, _ := vector(y, isa)
	unaryFns[f][isa-AVX2](&out[0], &v[0], len(v))
}

func affineAct[T Float](y, x []T, a affine[T], act Act, isa ISA) {
	if isa == Portable || len(x) == 0 {
		affineActPortable(y, x, a, act)
		return
	}
	f := normFnsOf[T](isa).affine
	if act == SiLU {
		f = normFnsOf[T](isa).affineSiLU
	}
	f(&y[0], &x[0], len(x), a.mean, a.gain, a.shift)
}

func affineGate[T Float](y, xa, xb, residual []T, na, nb affine[T], isa ISA) {
	if isa == Portable || len(xa) == 0 {
		affineGatePortable(y, xa, xb, residual, na, nb)
		return
	}
	f := normFnsOf[T](isa)
	if residual != nil {
		f.gateAdd(&y[0], &xa[0], &xb[0], &residual[0], len(xa), na.mean, na.gain, na.shift, nb.mean, nb.gain, nb.shift)
		return
	}
	f.gate(&y[0], &xa[0], &xb[0], len(xa), na.mean, na.gain, na.shift, nb.mean, nb.gain, nb.shift)
}

// momentsVector returns the mean of x and Σ(x - mean)² if there is vector code, which is the same for every instruction set. Values of
// float32 are shifted by the first one, which keeps the difference from cancelling when the mean is far from zero; those of float64
// are shifted by their mean.
func momentsVector[T Float](pixels []T) (mean, m2 float64, ok bool) {
	if detected == Portable || len(pixels) == 0 {
		return 0, 0, false
	}
	mean, m2 = shiftedMoments(pixels, float64(pixels[0]))
	if _, ok := any(pixels).([]float64); ok {
		mean, m2 = shiftedMoments(pixels, mean)
	}
	return mean, m2, true
}

// shiftedMoments computes with d = x - shift the mean shift + Σd/n and Σd² - (Σd)²/n.
func shiftedMoments[T Float](x []T, shift float64) (mean, m2 float64) {
	var sum, squares float64
	whole := len(x) &^ 15
	if whole > 0 {
		if v, ok := any(x).([]float32); ok {
			sum, squares = sumsF32AVX2(&v[0], whole, shift)
		} else {
			sum, squares = sumsF64AVX2(&any(x).([]float64)[0], whole, shift)
		}
	}
	for _, v := range x[whole:] {
		d := float64(v) - shift
		sum += d
		squares += d * d
	}
	n := float64(len(x))
	return shift + sum/n, max(0, squares-sum*sum/n)
}
