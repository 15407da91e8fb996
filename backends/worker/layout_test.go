package worker

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
)

func TestLayout(t *testing.T) {
	var l layout
	for _, x := range []*tensor.Tensor{tensor.New(tensor.Float32, 3, 5), tensor.New(tensor.Int64, 0), tensor.New(tensor.Bool, 65),
		tensor.New(tensor.Float64)} {
		if err := l.add("x", x.DType(), x.Shape()); err != nil {
			t.Fatal(err)
		}
	}
	var offsets []int64
	for _, p := range l.places {
		offsets = append(offsets, p.Offset)
	}
	if want := []int64{0, 64, 64, 192}; !slices.Equal(offsets, want) || l.size != 256 {
		t.Errorf("offsets %v, size %d; want %v, 256", offsets, l.size, want)
	}
	if err := l.add("x", tensor.Float32, []int{1 << 30, 1 << 30}); err == nil {
		t.Error("2^60 elements were laid out")
	}
}

func TestHostilePlaces(t *testing.T) {
	data := make([]byte, 4096)
	data[1] = 2
	for _, c := range []struct {
		p    place
		want string // a part of the error
	}{
		{place{"x", "float16", []int{1}, 0}, `unknown element type "float16"`},
		{place{"x", "invalid", []int{1}, 0}, `unknown element type "invalid"`},
		{place{"x", "float32", []int{-1}, 0}, "negative dimension"},
		{place{"x", "float32", []int{1 << 40, 1 << 40}, 0}, "more than 2^40"},
		{place{"x", "float32", []int{1 << 40}, 0}, "do not fit"},
		{place{"x", "float32", []int{1025}, 0}, "4100 bytes at offset 0 do not fit 4096"},
		{place{"x", "float32", []int{1}, 4096}, "do not fit"},
		{place{"x", "float32", []int{1}, math.MaxInt64 / 64 * 64}, "do not fit"},
		{place{"x", "float32", []int{1}, -64}, "do not fit"},
		{place{"x", "float32", []int{1}, 4}, "multiple of 64"},
		{place{"x", "int32", []int{0}, 4160}, "do not fit"},
		{place{"x", "bool", []int{2}, 0}, "boolean 1 is the byte 2"},
	} {
		if got, err := c.p.view(data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, %v, want %s", c.p, got, err, c.want)
		}
	}
	for _, p := range []place{{"x", "float32", []int{1024}, 0}, {"x", "int64", []int{0, 9}, 4096}, {"x", "bool", nil, 4032}} {
		if _, err := p.view(data); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add([]byte(`{"name":"x","dtype":"float32","shape":[2,3],"offset":64}`), uint16(4096))
	f.Add([]byte(`{"dtype":"bool","shape":[0,9223372036854775807],"offset":-64}`), uint16(64))
	f.Add([]byte(`{"dtype":"float64","shape":[1099511627776],"offset":9223372036854775744}`), uint16(0))
	f.Fuzz(func(t *testing.T, text []byte, size uint16) {
		var p place
		if json.Unmarshal(text, &p) != nil {
			return
		}
		data := make([]byte, roundUp(int64(size), 4096))
		x, err := p.view(data)
		if err != nil {
			return
		}
		b := tensor.Bytes(x)
		if len(b) > len(data) {
			t.Fatalf("%+v views %d of %d bytes", p, len(b), len(data))
		}
		for i := range b { // faults if the view leaves the data
			b[i] = 1
		}
		if n := slices.Index(data, 1); len(b) > 0 && int64(n) != p.Offset {
			t.Fatalf("%+v starts at %d", p, n)
		}
	})
}
