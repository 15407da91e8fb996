package backendtest

import (
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

func TestCompare(t *testing.T) {
	single := floats(1, 2)
	double := tensor.Must(tensor.Of([]float64{1, 2}, 2))
	infinities := tensor.Must(tensor.Of([]float64{math.Inf(1), math.Inf(-1)}, 2))
	ids := tensor.Must(tensor.Of([]int64{1, 2}, 2))
	for _, c := range []struct {
		name      string
		precision backends.Precision
		got, want *tensor.Tensor
		err       string // a part of the error; "" for none
	}{
		{"fp32", backends.FP32, single, double, ""},
		{"fp64", backends.FP64, double, double, ""},
		{"float64 in fp32", backends.FP32, double, double, "element type float64, want float32"},
		{"float32 in fp64", backends.FP64, single, double, "element type float32, want float64"},
		{"ids", backends.FP64, ids, ids, ""},
		{"ids as floats", backends.FP32, single, ids, "element type float32, want int64"},
		{"shape", backends.FP32, tensor.New(tensor.Float32, 1, 2), double, "shape [1 2], want [2]"},
		{"value", backends.FP32, floats(1, 2.001), double, "element 1"},
		{"infinite", backends.FP32, floats(math.Inf(1), math.Inf(-1)), infinities, ""},
		{"finite where infinite", backends.FP32, floats(3, math.Inf(-1)), infinities, "element 0 is 3, want +Inf"},
		{"the other infinity", backends.FP64, tensor.Must(tensor.Of([]float64{math.Inf(1), math.Inf(1)}, 2)), infinities, "element 1 is +Inf, want -Inf"},
		{"NaN where infinite", backends.FP32, floats(math.NaN(), math.Inf(-1)), infinities, "element 0 is NaN"},
		{"infinite where finite", backends.FP32, floats(1, math.Inf(1)), double, "element 1 is +Inf"},
		{"NaN where finite", backends.FP32, floats(1, math.NaN()), double, "element 1 is NaN"},
		{"beyond float32", backends.FP32, floats(3, 2), tensor.Must(tensor.Of([]float64{1e300, 2}, 2)), "element 0 is 3, want +Inf"},
		{"other id", backends.FP32, tensor.Must(tensor.Of([]int64{1, 3}, 2)), ids, "element 1 is 3, want 2"},
	} {
		err := (Case{}).compare(c.precision, c.got, c.want)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}
