//go:build amd64 && !purego

package kernel

// The float32 functions of each instruction set, [AVX2, AVX512]. The moments are the same on both, so that their sums are, too.
var (
	unaryFns = map[fn][2]func(y, x *float32, n int){
		fnSigmoid:  {sigmoidAVX2, sigmoidAVX512},
		fnSiLU:     {siluAVX2, siluAVX512},
		fnSoftplus: {softplusAVX2, softplusAVX512},
		fnTanh:     {tanhAVX2, tanhAVX512},
	}
	affineFns = map[Act][2]func(y, x *float32, n int, mean, gain, shift float32){
		None: {affineAVX2, affineAVX512},
		SiLU: {affineSiLUAVX2, affineSiLUAVX512},
	}
	gateFns    = [2]func(y, a, b *float32, n int, meanA, gainA, shiftA, meanB, gainB, shiftB float32){gateAVX2, gateAVX512}
	gateAddFns = [2]func(y, a, b, r *float32, n int, meanA, gainA, shiftA, meanB, gainB, shiftB float32){gateAddAVX2, gateAddAVX512}
)

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
	v, ok := vector(x, isa)
	if !ok {
		affineActPortable(y, x, a, act)
		return
	}
	out, _ := vector(y, isa)
	affineFns[act][isa-AVX2](&out[0], &v[0], len(v), float32(a.mean), float32(a.gain), float32(a.shift))
}

func affineGate[T Float](y, xa, xb, residual []T, na, nb affine[T], isa ISA) {
	a, ok := vector(xa, isa)
	if !ok {
		affineGatePortable(y, xa, xb, residual, na, nb)
		return
	}
	out, _ := vector(y, isa)
	b, _ := vector(xb, isa)
	ma, ga, sa := float32(na.mean), float32(na.gain), float32(na.shift)
	mb, gb, sb := float32(nb.mean), float32(nb.gain), float32(nb.shift)
	if r, ok := vector(residual, isa); ok {
		gateAddFns[isa-AVX2](&out[0], &a[0], &b[0], &r[0], len(a), ma, ga, sa, mb, gb, sb)
		return
	}
	gateFns[isa-AVX2](&out[0], &a[0], &b[0], len(a), ma, ga, sa, mb, gb, sb)
}

// moments32 returns the mean of x and Σ(x - mean)² for float32 values if there is vector code. With d = x - x[0], they are
// x[0] + Σd/n and Σd² - (Σd)²/n; the shift keeps the difference from cancelling when the mean is far from zero.
func moments32[T Float](pixels []T) (mean, m2 float64, ok bool) {
	x, ok := vector(pixels, detected)
	if !ok {
		return 0, 0, false
	}
	var sum, squares float64
	whole := len(x) &^ 15
	if whole > 0 {
		sum, squares = sumsAVX2(&x[0], whole)
	}
	for _, v := range x[whole:] {
		d := float64(v) - float64(x[0])
		sum += d
		squares += d * d
	}
	n := float64(len(x))
	return float64(x[0]) + sum/n, max(0, squares-sum*sum/n), true
}
