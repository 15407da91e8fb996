//go:build amd64 && !purego

package kernel

func winogradRows[T Float](dst []T, pitch int, rows *[winogradInput][]T, n int, isa ISA) {
	d, ok := vector(dst, isa)
	if !ok {
		winogradRowsPortable(dst, pitch, rows, n)
		return
	}
	var r [winogradInput]*float32
	for i := range r {
		r[i] = &any(rows[i]).([]float32)[:n][0]
	}
	winogradRowsAVX2(&d[0], 4*pitch, r[0], r[1], r[2], r[3], r[4], r[5], n)
}

func winogradColumns[T Float](dst []T, step int, src []T, pitch int, list []int64, isa ISA) {
	d, ok := vector(dst, isa)
	if !ok {
		winogradColumnsPortable(dst, step, src, pitch, list)
		return
	}
	winogradColumnsAVX2(&d[0], 4*step, &any(src).([]float32)[0], 4*pitch, &list[0])
}

func winogradOutput[T Float](y []T, pitch int, list []int64, products []T, step int, bias T, isa ISA) {
	out, ok := vector(y, isa)
	if !ok {
		winogradOutputPortable(y, pitch, list, products, step, bias)
		return
	}
	winogradOutputAVX2(&out[0], 4*pitch, &list[0], &any(products).([]float32)[0], 4*step, float32(bias))
}
