package tensor

import (
	"math"
	"testing"
)

func TestElements(t *testing.T) {
	for _, c := range []struct {
		shape []int
		want  int
		ok    bool
	}{
		{nil, 1, true},
		{[]int{2, 3, 5}, 30, true},
		{[]int{2, 0, 5}, 0, true},
		{[]int{0, 1 << 62, 1 << 62}, 0, false},
		{[]int{-1}, 0, false},
		{[]int{0, -1}, 0, false},
		{[]int{1 << 40}, 1 << 40, true},
		{[]int{1 << 40, 2}, 0, false},
		{[]int{1 << 32, 1 << 32}, 0, false},
	} {
		got, err := Elements(c.shape)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("Elements(%v) = %d, %v; want %d, ok=%v", c.shape, got, err, c.want, c.ok)
		}
	}
}

func TestOfRejectsAShapeThatDoesNotFit(t *testing.T) {
	if _, err := Of([]float32{1, 2, 3}, 2, 2); err == nil {
		t.Error("3 elements were accepted for shape [2 2]")
	}
	x, err := Of([]int64{1, 2, 3, 4}, 2, 2)
	if err != nil || x.DType() != Int64 || x.String() != "int64[2 2]" {
		t.Errorf("got %v, %v", x, err)
	}
	if _, err := x.Reshaped(3); err == nil {
		t.Error("a reshape to fewer elements was accepted")
	}
}

func TestNonFinite(t *testing.T) {
	for _, c := range []struct {
		data []float64
		want int
	}{
		{nil, -1},
		{[]float64{0, math.Copysign(0, -1), 5e-324, math.MaxFloat64}, -1},
		{[]float64{1, math.NaN()}, 1},
		{[]float64{math.Inf(-1)}, 0},
		{[]float64{1, 2, math.Inf(1)}, 2},
	} {
		wide := Must(Of(c.data, len(c.data)))
		narrow := New(Float32, len(c.data))
		for i, v := range c.data {
			if v == math.MaxFloat64 {
				v = math.MaxFloat32
			}
			Data[float32](narrow)[i] = float32(v)
		}
		if got := wide.NonFinite(); got != c.want {
			t.Errorf("float64 %v: %d, want %d", c.data, got, c.want)
		}
		if got := narrow.NonFinite(); got != c.want {
			t.Errorf("float32 %v: %d, want %d", c.data, got, c.want)
		}
	}
}

func TestCloneIsDeepAndReshapedIsAView(t *testing.T) {
	x := Must(Of([]float32{1, 2}, 2))
	c := x.Clone()
	v, _ := x.Reshaped(1, 2)
	Data[float32](x)[0] = 7
	if Data[float32](c)[0] != 1 || Data[float32](v)[0] != 7 {
		t.Errorf("clone %v, view %v", Data[float32](c), Data[float32](v))
	}
}

func TestParseDTypeInvertsString(t *testing.T) {
	for d := Float32; d <= Bool; d++ {
		if got, err := ParseDType(d.String()); err != nil || got != d {
			t.Errorf("%v: got %v, %v", d, got, err)
		}
	}
	for _, bad := range []string{"", "invalid", "Float32", "float16"} {
		if _, err := ParseDType(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestOnInvertsBytes: a tensor on the bytes of another has its elements, and shares them.
func TestOnInvertsBytes(t *testing.T) {
	for _, x := range []*Tensor{
		Must(Of([]float32{1, -2}, 2, 1)), Must(Of([]float64{0.5}, 1)), Must(Of([]int32{7, 8, 9}, 3)), Must(Of([]int64{-1}, 1, 1)),
		Must(Of([]bool{true, false}, 2)), New(Float32, 0, 4), New(Int64),
	} {
		y := On(Bytes(x), x.DType(), x.Shape()...)
		if !Identical(x, y) {
			t.Errorf("%v%v: other elements", x.DType(), x.Shape())
		}
		if b := Bytes(x); len(b) > 0 {
			b[0] ^= 1
			if !Identical(x, y) {
				t.Errorf("%v%v: memory of its own", x.DType(), x.Shape())
			}
		}
	}
}
