//go:build !amd64 || purego

package kernel

var vectorEngines []any

func momentsVector[T Float]([]T) (mean, m2 float64, ok bool) { return 0, 0, false }

func affineAct[T Float](y, x []T, a affine[T], act Act, _ ISA) { affineActPortable(y, x, a, act) }

func affineGate[T Float](y, xa, xb, residual []T, na, nb affine[T], _ ISA) {
	affineGatePortable(y, xa, xb, residual, na, nb)
}

func apply[T Float](y, x []T, f fn, _ ISA) { applyPortable(y, x, f) }

func winogradRows[T Float](dst []T, pitch int, rows *[winogradInput][]T, n int, _ ISA) {
	winogradRowsPortable(dst, pitch, rows, n)
}

func winogradColumns[T Float](dst []T, step int, src []T, pitch int, list []int64, _ ISA) {
	winogradColumnsPortable(dst, step, src, pitch, list)
}

func winogradOutput[T Float](y []T, pitch int, list []int64, products []T, step int, bias T, _ ISA) {
	winogradOutputPortable(y, pitch, list, products, step, bias)
}
