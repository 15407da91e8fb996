package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// render writes a file into memory.
func render(t testing.TB, metadata map[string]string, tensors ...Tensor) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, metadata, tensors); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// mustTensor parses data and returns one tensor.
func mustTensor(t testing.TB, data []byte, name string) Tensor {
	t.Helper()
	file, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	tensor, ok := file.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %q in %q", name, file.Names())
	}
	return tensor
}

// equal compares two tensors bit by bit.
func equal(a, b Tensor) bool {
	return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Data, b.Data)
}

// randomTensor draws a tensor of any type, rank 0 to 3, dimensions 0 to 5.
func randomTensor(r *rand.Rand, name string) Tensor {
	t := Tensor{Name: name, DType: dtypes[r.IntN(len(dtypes))].dtype}
	for range r.IntN(4) {
		t.Shape = append(t.Shape, r.IntN(6))
	}
	t.Data = make([]byte, t.Len()*t.DType.Size())
	for i := range t.Data {
		t.Data[i] = byte(r.Uint32())
	}
	return t
}

func TestParseInvertsWrite(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"", "a", "b.weight", "é<&>", "tab\there", `quote"back\slash`, "z", "zz"}
	for range 500 {
		var tensors []Tensor
		for _, name := range names[:r.IntN(len(names)+1)] {
			tensors = append(tensors, randomTensor(r, name))
		}
		metadata := map[string]string{"profile": "nano", "classes": `["disk", "ring"]`}
		data := render(t, metadata, tensors...)
		file, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(file.Names()) != len(tensors) || !slices.IsSorted(file.Names()) {
			t.Fatalf("names %q, want the %d written, sorted", file.Names(), len(tensors))
		}
		for _, want := range tensors {
			if got, _ := file.Tensor(want.Name); !equal(got, want) {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
		if !maps.Equal(file.Metadata(), metadata) {
			t.Fatalf("metadata %v, want %v", file.Metadata(), metadata)
		}
		r.Shuffle(len(tensors), func(i, j int) { tensors[i], tensors[j] = tensors[j], tensors[i] })
		if !bytes.Equal(render(t, metadata, tensors...), data) {
			t.Fatal("the bytes depend on the tensors' order")
		}
	}
}

func TestWrittenDataIsAligned(t *testing.T) {
	data := render(t, nil,
		Tensor{"a", Uint8, []int{3}, []byte{0xa1, 0xa2, 0xa3}},
		FromInt64("b", []int{1}, []int64{1}),
		Tensor{"c", Float16, []int{1}, []byte{0xc1, 0xc2}},
		FromFloat32("d", []int{3}, []float32{1, 2, 3}))
	for _, name := range []string{"a", "b", "c", "d"} {
		tensor := mustTensor(t, data, name)
		offset := bytes.LastIndex(data, tensor.Data) // the contents differ
		if offset%tensor.DType.Size() != 0 {
			t.Errorf("tensor %s of %s begins at byte %d", name, tensor.DType, offset)
		}
	}
}

func TestConversionsRoundTrip(t *testing.T) {
	floats := []float32{0, float32(math.Copysign(0, -1)), 1, -1.5, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(1))}
	got, err := mustTensor(t, render(t, nil, FromFloat32("x", []int{7}, floats)), "x").Float32s()
	if err != nil || !slices.Equal(got, floats) || !math.Signbit(float64(got[1])) {
		t.Errorf("float32: got %v (%v), want %v", got, err, floats)
	}
	doubles := []float64{math.Pi, math.MaxFloat64, math.SmallestNonzeroFloat64}
	if got, err := mustTensor(t, render(t, nil, FromFloat64("x", []int{3, 1}, doubles)), "x").Float64s(); err != nil || !slices.Equal(got, doubles) {
		t.Errorf("float64: got %v (%v), want %v", got, err, doubles)
	}
	integers := []int64{math.MinInt64, -1, 0, math.MaxInt64}
	if got, err := mustTensor(t, render(t, nil, FromInt64("x", []int{2, 2}, integers)), "x").Int64s(); err != nil || !slices.Equal(got, integers) {
		t.Errorf("int64: got %v (%v), want %v", got, err, integers)
	}
	if got, err := FromFloat32("x", []int{1}, []float32{0.1}).Float64s(); err != nil || got[0] != float64(float32(0.1)) {
		t.Errorf("float32 widened: got %v (%v)", got, err)
	}
}

func TestInt64sWidens(t *testing.T) {
	tests := []struct {
		dtype DType
		data  []byte
		want  int64
	}{
		{Int8, []byte{0xfe}, -2}, {Uint8, []byte{0xfe}, 254},
		{Int16, []byte{0xfe, 0xff}, -2}, {Uint16, []byte{0xfe, 0xff}, 65534},
		{Int32, []byte{0xfe, 0xff, 0xff, 0xff}, -2}, {Uint32, []byte{0xfe, 0xff, 0xff, 0xff}, 4294967294},
	}
	for _, test := range tests {
		got, err := Tensor{"x", test.dtype, []int{1}, test.data}.Int64s()
		if err != nil || len(got) != 1 || got[0] != test.want {
			t.Errorf("%s: got %v (%v), want %d", test.dtype, got, err, test.want)
		}
	}
}

// Every binary16 is checked against its definition: (-1)^s · 2^(e-15) · (1 + f/1024), or 2^-14 · f/1024 when e is 0.
func TestHalfPrecision(t *testing.T) {
	for bits := range 1 << 16 {
		got, err := Tensor{"x", Float16, nil, []byte{byte(bits), byte(bits >> 8)}}.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		exponent, fraction := bits>>10&0x1f, float64(bits&0x3ff)
		want := math.Ldexp(1+fraction/1024, exponent-15)
		switch {
		case exponent == 0:
			want = math.Ldexp(fraction/1024, -14)
		case exponent == 31 && fraction == 0:
			want = math.Inf(1)
		case exponent == 31:
			want = math.NaN()
		}
		if bits>>15 == 1 {
			want = math.Copysign(want, -1)
		}
		same := float64(got[0]) == want && math.Signbit(float64(got[0])) == math.Signbit(want)
		if !same && !(math.IsNaN(want) && math.IsNaN(float64(got[0]))) {
			t.Fatalf("binary16 %#04x: got %v, want %v", bits, got[0], want)
		}
	}
	got, err := Tensor{"x", BFloat16, []int{2}, []byte{0x80, 0x3f, 0x49, 0xc0}}.Float32s()
	if want := []float32{1, -3.140625}; err != nil || !slices.Equal(got, want) {
		t.Errorf("bfloat16: got %v (%v), want %v", got, err, want)
	}
}

func TestWrongTypesAreNamed(t *testing.T) {
	integers := FromInt64("ids", []int{1}, []int64{1})
	floats := FromFloat32("x", []int{1}, []float32{1})
	wide := FromFloat64("w", []int{1}, []float64{1})
	tests := []struct {
		read func() error
		want string
	}{
		{func() error { _, err := integers.Float32s(); return err }, `tensor "ids": its type is I64, want F32, F16 or BF16`},
		{func() error { _, err := wide.Float32s(); return err }, `tensor "w": its type is F64, want F32, F16 or BF16`},
		{func() error { _, err := integers.Float64s(); return err }, `tensor "ids": its type is I64, want F64, F32, F16 or BF16`},
		{func() error { _, err := floats.Int64s(); return err }, `tensor "x": its type is F32, want I64, I32, I16, I8, U32, U16 or U8`},
	}
	for _, test := range tests {
		if err := test.read(); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

func TestUnalignedData(t *testing.T) {
	want := []float32{1, 2, 3}
	data := render(t, nil, FromFloat32("x", []int{3}, want))
	for shift := range 8 {
		moved := append(make([]byte, shift), data...)[shift:]
		if got, err := mustTensor(t, moved, "x").Float32s(); err != nil || !slices.Equal(got, want) {
			t.Errorf("shifted by %d: got %v (%v), want %v", shift, got, err, want)
		}
	}
}

func TestWriteRejects(t *testing.T) {
	good := FromFloat32("a", []int{1}, []float32{1})
	tests := []struct {
		name     string
		metadata map[string]string
		tensors  []Tensor
		want     string
	}{
		{"duplicate", nil, []Tensor{good, good}, `the name "a" is taken`},
		{"reserved", nil, []Tensor{FromFloat32("__metadata__", []int{1}, []float32{1})}, `the name "__metadata__" is taken`},
		{"name not UTF-8", nil, []Tensor{FromFloat32("\xff", []int{1}, []float32{1})}, "is not UTF-8"},
		{"metadata not UTF-8", map[string]string{"k": "\xff"}, nil, "is not UTF-8"},
		{"too few elements", nil, []Tensor{FromFloat32("a", []int{2}, []float32{1})}, "4 bytes do not fit shape [2] of F32"},
		{"negative", nil, []Tensor{FromFloat32("a", []int{-1, -1}, []float32{1})}, "do not fit shape [-1 -1]"},
		{"unknown type", nil, []Tensor{{"a", "F31", nil, nil}}, `unknown type "F31"`},
		{"rank", nil, []Tensor{FromFloat32("a", slices.Repeat([]int{1}, 65), []float32{1})}, "65 dimensions, at most 64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := Write(&out, test.metadata, test.tensors)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if out.Len() > 0 {
				t.Errorf("%d bytes were written before the check", out.Len())
			}
		})
	}
}

// failAfter is a writer that fails once n bytes are written.
type failAfter struct{ n int }

func (w *failAfter) Write(data []byte) (int, error) {
	if w.n -= len(data); w.n < 0 {
		return 0, io.ErrShortWrite
	}
	return len(data), nil
}

func TestWriteReportsTheWriter(t *testing.T) {
	tensor := FromFloat32("a", []int{1}, []float32{1})
	size := len(render(t, nil, tensor))
	for n := range size {
		if err := Write(&failAfter{n}, nil, []Tensor{tensor}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("failing after %d of %d bytes: got %v", n, size, err)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	want := []float32{1, 2, 3}
	if err := os.WriteFile(path, render(t, nil, FromFloat32("x", []int{3}, want)), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	tensor, _ := file.Tensor("x")
	if got, err := tensor.Float32s(); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
	if err := errors.Join(file.Close(), file.Close()); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	short, empty := filepath.Join(dir, "short"), filepath.Join(dir, "empty")
	if err := errors.Join(os.WriteFile(short, []byte("abc"), 0o600), os.WriteFile(empty, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v", err)
	}
	for path, want := range map[string]string{
		dir:   "is a folder; want a tensor file in a regular file",
		short: "3 bytes, too short",
		empty: "0 bytes, too short",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want the path and %q", path, err, want)
		}
	}
}

// A file truncated under the mapping must cost an error, not the process.
func TestTruncatedWhileOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("files are mapped on Linux only")
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, render(t, nil, FromFloat32("x", []int{1 << 16}, make([]float32, 1<<16))), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	tensor, _ := file.Tensor("x")
	if _, err := tensor.Float32s(); err == nil || !strings.Contains(err.Error(), "shrank") {
		t.Errorf("got %v, want an error that the file shrank", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(render(f, map[string]string{"k": "v"}, FromFloat32("a", []int{2}, []float32{1, 2}), FromInt64("b", nil, []int64{1})))
	f.Add(raw(`{"a":{"dtype":"BOOL","shape":[0,3],"data_offsets":[0,0]}}`, 0))
	f.Add(raw(one("[4611686018427387905,4]", "[0,4]"), 4))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		var tensors []Tensor
		for _, name := range file.Names() {
			tensor, ok := file.Tensor(name)
			if !ok || len(tensor.Data) != tensor.Len()*tensor.DType.Size() {
				t.Fatalf("tensor %q: %d bytes for shape %v of %s", name, len(tensor.Data), tensor.Shape, tensor.DType)
			}
			tensors = append(tensors, tensor)
		}
		again, err := Parse(render(t, file.Metadata(), tensors...))
		if err != nil {
			t.Fatalf("what was read and written cannot be read: %v", err)
		}
		for _, want := range tensors {
			if got, _ := again.Tensor(want.Name); !equal(got, want) {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	})
}

func Example() {
	var buffer bytes.Buffer
	if err := Write(&buffer, nil, []Tensor{FromFloat32("head.bias", []int{2}, []float32{0.5, -1})}); err != nil {
		panic(err)
	}
	file, err := Parse(buffer.Bytes())
	if err != nil {
		panic(err)
	}
	bias, _ := file.Tensor("head.bias")
	values, err := bias.Float32s()
	if err != nil {
		panic(err)
	}
	fmt.Println(file.Names(), bias.Shape, values)
	// Output: [head.bias] [2] [0.5 -1]
}
