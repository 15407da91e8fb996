//go:build !amd64 || purego

package peak

func vectorLoop[T float32 | float64](steps, _ int) (flops float64) { return Run[T](steps, 0) }
