package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
)

// MaxHeader is the largest header accepted, in bytes: the limit of the format's own implementation.
const MaxHeader = 100_000_000

// Tensor is a named array. Data holds the elements in row-major order, little-endian, len(Data) = elements × DType.Size().
// A tensor of a File shares the file's memory: neither Shape nor Data may be modified, nor used after Close.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // empty for a scalar; a dimension may be 0
	Data  []byte
}

// Len is the number of elements: the product of the dimensions, 1 for a scalar.
func (t Tensor) Len() int {
	n := 1
	for _, dim := range t.Shape {
		n *= dim
	}
	return n
}

// File is a parsed file. Its methods may be called from several goroutines, Close excepted.
type File struct {
	names    []string
	tensors  map[string]Tensor
	metadata map[string]string
	unmap    func() error
}

// Open reads the file at path. On Linux its data stays in the mapped file, so the file must not be truncated before Close:
// the typed readers then return an error, but touching Tensor.Data would crash the process.
// Errors name path; bad content is a *FormatError.
func Open(path string) (*File, error) {
	f, err := input.Open(path, input.Tensors)
	if err != nil {
		return nil, fmt.Errorf("open tensors: %w", err)
	}
	data, unmap, err := mapFile(f)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("open tensors %s: %w", path, err)
	}
	var file *File
	if fault := guard(func() { file, err = Parse(data) }); fault != nil {
		err = fault
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open tensors %s: %w", printable.Line(path), err), unmap())
	}
	file.unmap = unmap
	return file, nil
}

// Parse reads a file from memory. The result shares data. Bad content is a *FormatError.
func Parse(data []byte) (*File, error) {
	header, body, err := split(data)
	if err != nil {
		return nil, err
	}
	entries, metadata, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if err := checkLayout(entries, uint64(len(body))); err != nil {
		return nil, err
	}
	file := &File{tensors: make(map[string]Tensor, len(entries)), metadata: metadata}
	for _, e := range entries {
		file.names = append(file.names, e.name)
		file.tensors[e.name] = Tensor{e.name, e.dtype, e.shape, body[e.begin:e.end:e.end]}
	}
	slices.Sort(file.names)
	return file, nil
}

// split checks the header's length and cuts the file after it.
func split(data []byte) (header, body []byte, err error) {
	if len(data) < 8 {
		return nil, nil, badFile("%d bytes, too short for the 8-byte header length", len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	rest := uint64(len(data) - 8)
	switch {
	case length > MaxHeader:
		return nil, nil, badFile("header length %d, at most %d allowed: not a safetensors file?", length, MaxHeader)
	case length > rest:
		return nil, nil, badFile("header length %d, but only %d bytes follow: the file is truncated", length, rest)
	}
	header, body = data[8:8+length], data[8+length:]
	if length == 0 || header[0] != '{' {
		return nil, nil, badFile("the header does not begin with {: not a safetensors file?")
	}
	if !utf8.Valid(header) {
		return nil, nil, badFile("the header is not UTF-8")
	}
	return header, body, nil
}

// Names lists the tensors in ascending order. The caller must not modify the slice.
func (f *File) Names() []string { return f.names }

// Tensor returns the tensor called name, and whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Metadata is the file's "__metadata__" map, nil without one. The caller must not modify it.
func (f *File) Metadata() map[string]string { return f.metadata }

// Close releases the mapping; tensors must not be used afterwards. Closing twice does nothing.
func (f *File) Close() error {
	unmap := f.unmap
	f.unmap = nil
	if unmap == nil {
		return nil
	}
	return unmap()
}

// FormatError says what is wrong in a file's content.
type FormatError struct {
	Tensor string // the tensor at fault, "" when it is the file as a whole
	Reason string
}

// Error is "bad safetensors: REASON", or "bad safetensors: tensor NAME: REASON".
func (e *FormatError) Error() string {
	if e.Tensor == "" {
		return "bad safetensors: " + e.Reason
	}
	return fmt.Sprintf("bad safetensors: tensor %s: %s", clip(e.Tensor), e.Reason)
}

func badFile(format string, args ...any) error {
	return &FormatError{Reason: fmt.Sprintf(format, args...)}
}

func badTensor(name, format string, args ...any) error {
	return &FormatError{Tensor: name, Reason: fmt.Sprintf(format, args...)}
}

// clip quotes text from a file for a one-line message of bounded length.
func clip(text string) string {
	const most = 80
	if len(text) > most {
		return fmt.Sprintf("%q…", text[:most])
	}
	return fmt.Sprintf("%q", text)
}
