// Package tensor holds the dense host tensors that travel between the graph, the backends and the comparers.
//
// A Tensor is a shape and one contiguous row-major slice (last axis fastest). Feature maps are NCHW. The element type is
// part of the value, not of the Go type, because sessions, files and reports handle tensors of every type alike; code that
// computes takes the typed slice with Data.
package tensor

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// DType is an element type.
type DType uint8

// The element types that cross a backend's border. Low precisions live inside backends: their outputs are widened.
const (
	Invalid DType = iota
	Float32
	Float64
	Int32
	Int64
	Bool
)

var dtypeNames = [...]string{"invalid", "float32", "float64", "int32", "int64", "bool"}
var dtypeSizes = [...]int{0, 4, 8, 4, 8, 1}

// String returns the lower-case name used in reports, such as "float32".
func (d DType) String() string {
	if int(d) >= len(dtypeNames) {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return dtypeNames[d]
}

// Size returns the bytes per element, 0 for an invalid type.
func (d DType) Size() int {
	if int(d) >= len(dtypeSizes) {
		return 0
	}
	return dtypeSizes[d]
}

// IsFloat reports whether d is a floating-point type.
func (d DType) IsFloat() bool { return d == Float32 || d == Float64 }

// ParseDType returns the type that String names.
func ParseDType(name string) (DType, error) {
	for i, n := range dtypeNames[1:] {
		if n == name {
			return DType(i + 1), nil
		}
	}
	return Invalid, fmt.Errorf("unknown element type %q (want one of %s)", name, strings.Join(dtypeNames[1:], ", "))
}

// Element lists the Go types of elements, in the order of the DType constants.
type Element interface {
	float32 | float64 | int32 | int64 | bool
}

// Float lists the floating-point element types.
type Float interface{ float32 | float64 }

// DTypeOf returns the DType of the Go type T.
func DTypeOf[T Element]() DType {
	var zero T
	switch any(zero).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case int32:
		return Int32
	case int64:
		return Int64
	default:
		return Bool
	}
}

// Tensor is a dense row-major array. The zero Tensor is invalid; make one with New, Of or Scalar.
type Tensor struct {
	dtype DType
	shape []int
	data  any // []T with T given by dtype
}

// MaxElements bounds the size of a tensor (2^40), so that sizes fit an int after multiplication by an element size.
const MaxElements = 1 << 40

// Elements returns the product of the dimensions: 1 for a scalar, 0 if any dimension is 0. It fails on a negative
// dimension and on more than MaxElements.
func Elements(shape []int) (int, error) {
	n, zero := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("shape %v has the negative dimension %d", shape, d)
		case d == 0:
			zero = true
		case n > MaxElements/d:
			return 0, fmt.Errorf("shape %v has more than 2^40 elements", shape)
		default:
			n *= d
		}
	}
	if zero {
		return 0, nil
	}
	return n, nil
}

// New returns a tensor of zeros. It panics on an invalid type or shape, which is a programming error: shapes that come
// from files or flags are checked with Elements first.
func New(dtype DType, shape ...int) *Tensor {
	n, err := Elements(shape)
	if err != nil {
		panic("tensor.New: " + err.Error())
	}
	t := &Tensor{dtype: dtype, shape: slices.Clone(shape)}
	switch dtype {
	case Float32:
		t.data = make([]float32, n)
	case Float64:
		t.data = make([]float64, n)
	case Int32:
		t.data = make([]int32, n)
	case Int64:
		t.data = make([]int64, n)
	case Bool:
		t.data = make([]bool, n)
	default:
		panic("tensor.New: " + dtype.String())
	}
	return t
}

// Of wraps data, which the tensor then shares. It fails when the shape does not hold exactly len(data) elements.
func Of[T Element](data []T, shape ...int) (*Tensor, error) {
	n, err := Elements(shape)
	if err != nil {
		return nil, err
	}
	if n != len(data) {
		return nil, fmt.Errorf("shape %v holds %d elements, the data has %d", shape, n, len(data))
	}
	return &Tensor{dtype: DTypeOf[T](), shape: slices.Clone(shape), data: data}, nil
}

// Must unwraps the result of Of where shape and data are known to fit, and panics otherwise.
func Must(t *Tensor, err error) *Tensor {
	if err != nil {
		panic(err)
	}
	return t
}

// Scalar returns a rank-0 tensor.
func Scalar[T Element](v T) *Tensor {
	return &Tensor{dtype: DTypeOf[T](), shape: []int{}, data: []T{v}}
}

// DType returns the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Shape returns the dimensions; the caller must not change them.
func (t *Tensor) Shape() []int { return t.shape }

// Rank returns the number of dimensions.
func (t *Tensor) Rank() int { return len(t.shape) }

// Len returns the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// Data returns the elements, shared with the tensor. It panics when T is not the tensor's element type.
func Data[T Element](t *Tensor) []T {
	d, ok := t.data.([]T)
	if !ok {
		panic(fmt.Sprintf("tensor.Data: %v elements asked of a %v tensor", DTypeOf[T](), t.dtype))
	}
	return d
}

// Clone returns a deep copy.
func (t *Tensor) Clone() *Tensor {
	c := &Tensor{dtype: t.dtype, shape: slices.Clone(t.shape)}
	switch d := t.data.(type) {
	case []float32:
		c.data = slices.Clone(d)
	case []float64:
		c.data = slices.Clone(d)
	case []int32:
		c.data = slices.Clone(d)
	case []int64:
		c.data = slices.Clone(d)
	case []bool:
		c.data = slices.Clone(d)
	}
	return c
}

// Reshaped returns a view of the same data under another shape with the same number of elements.
func (t *Tensor) Reshaped(shape ...int) (*Tensor, error) {
	n, err := Elements(shape)
	if err != nil {
		return nil, err
	}
	if n != t.Len() {
		return nil, fmt.Errorf("shape %v holds %d elements, the tensor %v has %d", shape, n, t.shape, t.Len())
	}
	return &Tensor{dtype: t.dtype, shape: slices.Clone(shape), data: t.data}, nil
}

// Float64s returns the elements widened to float64, booleans as 0 and 1: a copy, whatever the type. Integers beyond 2^53
// lose precision; compare integers as integers.
func (t *Tensor) Float64s() []float64 {
	switch d := t.data.(type) {
	case []float64:
		return slices.Clone(d)
	case []float32:
		return widen(d)
	case []int32:
		return widen(d)
	case []int64:
		return widen(d)
	case []bool:
		out := make([]float64, len(d))
		for i, b := range d {
			if b {
				out[i] = 1
			}
		}
		return out
	}
	return nil
}

func widen[T float32 | int32 | int64](d []T) []float64 {
	out := make([]float64, len(d))
	for i, v := range d {
		out[i] = float64(v)
	}
	return out
}

// NonFinite returns the flat index of the first NaN or infinity, or -1. Integer and boolean tensors have none.
func (t *Tensor) NonFinite() int {
	switch d := t.data.(type) {
	case []float32:
		for i, v := range d {
			if v-v != 0 { // NaN for NaN and ±Inf
				return i
			}
		}
	case []float64:
		return slices.IndexFunc(d, func(v float64) bool { return math.IsNaN(v - v) })
	}
	return -1
}

// Identical reports whether two tensors have the same type, shape and bits: NaNs are identical where their bits are, and -0 is not
// identical to +0.
func Identical(a, b *Tensor) bool {
	if a.dtype != b.dtype || !slices.Equal(a.shape, b.shape) {
		return false
	}
	switch d := a.data.(type) {
	case []float32:
		return slices.EqualFunc(d, b.data.([]float32), func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
	case []float64:
		return slices.EqualFunc(d, b.data.([]float64), func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
	case []int32:
		return slices.Equal(d, b.data.([]int32))
	case []int64:
		return slices.Equal(d, b.data.([]int64))
	case []bool:
		return slices.Equal(d, b.data.([]bool))
	}
	return true // two zero Tensors
}

// Float32s returns n elements of a floating-point tensor from an offset as float32: a view of them where that is their type.
func Float32s(t *Tensor, offset, n int) []float32 {
	if t.DType() == Float32 {
		return Data[float32](t)[offset : offset+n]
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(Data[float64](t)[offset+i])
	}
	return v
}

// String describes type and shape, such as "float32[1 3 512 512]".
func (t *Tensor) String() string { return fmt.Sprintf("%v%v", t.dtype, t.shape) }

// Named is a tensor with the name under which a graph knows it.
type Named struct {
	Name string
	*Tensor
}

// List is an ordered set of named tensors: the inputs or the outputs of a run, in the graph's order.
type List []Named

// Get returns the tensor of that name, or nil.
func (l List) Get(name string) *Tensor {
	for _, n := range l {
		if n.Name == name {
			return n.Tensor
		}
	}
	return nil
}

// Clone returns a deep copy, for callers that keep outputs beyond the next run of a session.
func (l List) Clone() List {
	out := make(List, len(l))
	for i, n := range l {
		out[i] = Named{n.Name, n.Tensor.Clone()}
	}
	return out
}
