//go:build !amd64 || purego

package kernel

var vectorEngines []any

func moments32[T Float]([]T) (mean, m2 float64, ok bool) { return 0, 0, false }

func affineAct[T Float](y, x []T, a affine[T], act Act, _ ISA) { affineActPortable(y, x, a, act) }

func affineGate[T Float](y, xa, xb, residual []T, na, nb affine[T], _ ISA) {
	affineGatePortable(y, xa, xb, residual, na, nb)
}

func apply[T Float](y, x []T, f fn, _ ISA) { applyPortable(y, x, f) }
