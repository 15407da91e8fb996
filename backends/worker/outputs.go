package worker

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// results is the client's end of a session's file of outputs.
type results struct {
	file    *os.File
	want    []expected
	tensors map[string]*tensor.Tensor // what read loads into, made when an output is first wanted
}

// expected is an output of a compiled graph.
type expected struct {
	name  string
	dtype tensor.DType
	shape []int
	bytes int64
}

// String returns type and shape, such as float32[1 100 4].
func (e expected) String() string { return fmt.Sprintf("%v%v", e.dtype, e.shape) }

// expectedOutputs returns the outputs of a graph as a session of the precision has them: a float64 session widens what the graph
// declares as float32.
func expectedOutputs(g *graph.Graph, precision backends.Precision) (out []expected, err error) {
	for _, p := range g.Outputs {
		e := expected{name: p.Name, dtype: p.Value.DType, shape: p.Value.Shape}
		if precision == backends.FP64 && e.dtype == tensor.Float32 {
			e.dtype = tensor.Float64
		}
		n, err := tensor.Elements(e.shape)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", e.name, err)
		}
		e.bytes = int64(n) * int64(e.dtype.Size())
		out = append(out, e)
	}
	return out, nil
}

// named returns the outputs of these names, in the order of the names; all without names.
func (r *results) named(names []string) ([]expected, error) {
	if len(names) == 0 {
		return r.want, nil
	}
	var out []expected
	for _, name := range names {
		i := slices.IndexFunc(r.want, func(e expected) bool { return e.name == name })
		if i < 0 {
			return nil, fmt.Errorf("the session has no output %q", name)
		}
		out = append(out, r.want[i])
	}
	return out, nil
}

// read checks what a worker says of its outputs and reads them from the first size bytes of the file. The tensors are the session's:
// the next read overwrites them.
func (r *results) read(want []expected, layout []place, size int64) (tensor.List, error) {
	if err := r.check(want, layout, size); err != nil {
		return nil, err
	}
	if r.tensors == nil {
		r.tensors = map[string]*tensor.Tensor{}
	}
	var out tensor.List
	for i, p := range layout {
		t := r.tensors[p.Name]
		if t == nil {
			t = tensor.New(want[i].dtype, want[i].shape...)
			r.tensors[p.Name] = t
		}
		if err := r.receive(t, p.Offset); err != nil {
			return nil, fmt.Errorf("output %q: %w", p.Name, err)
		}
		out = append(out, tensor.Named{Name: p.Name, Tensor: t})
	}
	return out, nil
}

// receive reads one tensor.
func (r *results) receive(t *tensor.Tensor, offset int64) error {
	data := tensor.Bytes(t)
	n, err := r.file.ReadAt(data, offset)
	if n < len(data) {
		if errors.Is(err, io.EOF) {
			err = errors.New("the worker has made the file shorter")
		}
		return fmt.Errorf("got %d of %d bytes at offset %d: %w", n, len(data), offset, err)
	}
	if t.DType() != tensor.Bool {
		return nil
	}
	for i, b := range data {
		if b > 1 { // a Go bool with other bits set is neither true nor false
			clear(data)
			return fmt.Errorf("boolean %d is the byte %d, want 0 or 1", i, b)
		}
	}
	return nil
}

// check holds a layout against the graph and the file: every output once and in order, of its type and shape, within the file, at an
// offset that the protocol allows, and no two at the same place.
func (r *results) check(want []expected, layout []place, size int64) error {
	if err := checkNames(want, layout); err != nil {
		return err
	}
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	if size < 0 || size > info.Size() {
		return fmt.Errorf("size is %d, their file has %d bytes", size, info.Size())
	}
	for i, p := range layout {
		e := want[i]
		if p.DType != e.dtype.String() || !slices.Equal(p.Shape, e.shape) {
			return fmt.Errorf("output %q is %s%v, want %v", p.Name, p.DType, p.Shape, e)
		}
		if p.Offset < 0 || p.Offset%alignment != 0 || p.Offset > size-e.bytes {
			return fmt.Errorf("output %q: %d bytes at offset %d do not fit %d bytes at a multiple of %d", p.Name, e.bytes, p.Offset, size,
				alignment)
		}
	}
	return checkOverlap(want, layout)
}

// checkNames finds what is missing, renamed, additional or in another order.
func checkNames(want []expected, layout []place) error {
	for _, e := range want {
		if !slices.ContainsFunc(layout, func(p place) bool { return p.Name == e.name }) {
			return fmt.Errorf("output %q is missing", e.name)
		}
	}
	for i, p := range layout {
		switch {
		case !slices.ContainsFunc(want, func(e expected) bool { return p.Name == e.name }):
			return fmt.Errorf("output %q is none of the graph's", p.Name)
		case i >= len(want):
			return fmt.Errorf("output %q comes again, the graph has %d", p.Name, len(want))
		case p.Name != want[i].name:
			return fmt.Errorf("output %d is %q, want %q", i, p.Name, want[i].name)
		}
	}
	return nil
}

// checkOverlap finds two outputs that share bytes.
func checkOverlap(want []expected, layout []place) error {
	type span struct {
		name       string
		start, end int64
	}
	var spans []span
	for i, p := range layout {
		if n := want[i].bytes; n > 0 {
			spans = append(spans, span{p.Name, p.Offset, p.Offset + n})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(spans); i++ {
		if a, b := spans[i-1], spans[i]; b.start < a.end {
			return fmt.Errorf("outputs %q and %q overlap at offset %d", a.name, b.name, b.start)
		}
	}
	return nil
}
