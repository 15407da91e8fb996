package source

import (
	"fmt"
	"io"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/safetensors"
)

// FromSafetensors converts a stored tensor to one of the graph's element types.
func FromSafetensors(t safetensors.Tensor) (*tensor.Tensor, error) {
	switch t.DType {
	case safetensors.Float64:
		return convert(t, t.Float64s)
	case safetensors.Float32, safetensors.Float16, safetensors.BFloat16:
		return convert(t, t.Float32s)
	default:
		return convert(t, t.Int64s)
	}
}

func convert[T tensor.Element](t safetensors.Tensor, decode func() ([]T, error)) (*tensor.Tensor, error) {
	data, err := decode()
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	return tensor.Of(data, t.Shape...)
}

// WriteTensors writes outputs to a safetensors file, complete or not at all.
func WriteTensors(path string, metadata map[string]string, list tensor.List) error {
	var out []safetensors.Tensor
	for _, t := range list {
		switch t.DType() {
		case tensor.Float32:
			out = append(out, safetensors.FromFloat32(t.Name, t.Shape(), tensor.Data[float32](t.Tensor)))
		case tensor.Float64:
			out = append(out, safetensors.FromFloat64(t.Name, t.Shape(), tensor.Data[float64](t.Tensor)))
		case tensor.Int64:
			out = append(out, safetensors.FromInt64(t.Name, t.Shape(), tensor.Data[int64](t.Tensor)))
		default:
			return fmt.Errorf("output %s is %v, which tensor files do not hold", t.Name, t.DType())
		}
	}
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return safetensors.Write(w, metadata, out) })
}
