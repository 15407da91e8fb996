package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// WeightsFile is the name of the file that holds the constants of a model that are not in the model itself, in the folder of the model: ONNX
// external data. Elements are in little-endian order, and each constant starts at a multiple of 64 bytes.
const WeightsFile = "weights"

const (
	weightsAlignment = 64
	// inModel is the size in bytes up to which constants stay in the model: runtimes read the values of small ones, such as shapes, while they
	// load it.
	inModel = 1024
)

// Places tells where in the file of weights constants lie: byte offsets, by tensor.
type Places map[*tensor.Tensor]int64

// WriteWeights writes the file of weights of a graph, its floating-point constants above 1 KiB, and returns their places, for
// WriteOptions.External.
func WriteWeights(w io.Writer, g *graph.Graph) (Places, error) {
	places, end := Places{}, int64(0)
	for _, v := range g.Constants() {
		t := v.Const
		if _, there := places[t]; there || rawSize(t) <= inModel || t.DType() != tensor.Float32 && t.DType() != tensor.Float64 {
			continue
		}
		gap := -end & (weightsAlignment - 1)
		if _, err := w.Write(make([]byte, gap)); err != nil {
			return nil, err
		}
		places[t] = end + gap
		if err := writeRaw(w, t); err != nil {
			return nil, err
		}
		end += gap + int64(rawSize(t))
	}
	return places, nil
}

// ReadExternal is Read for a model of which constants lie in a file of weights, whose content is given, usually mapped. Where the machine's byte
// order and the places allow it, these constants are views of the content, which must stay as it is for as long as the graph is used; their
// places are returned.
func ReadExternal(model, weights []byte) (*graph.Graph, Places, error) {
	ext := &external{data: weights, places: Places{}}
	g, err := readModel(model, ext, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("read ONNX model: %w", err)
	}
	return g, ext.places, nil
}

// external is the file of weights of a model that is read.
type external struct {
	data   []byte
	places Places
}

// location is the external_data of a TensorProto.
type location struct {
	file           string
	offset, length uint64
}

// decode adds an entry of external_data.
func (l *location) decode(b []byte) error {
	key, value, err := decodeEntry(b)
	if err != nil {
		return err
	}
	number := func(to *uint64) error {
		if _, err := fmt.Sscanf(value, "%d", to); err != nil || fmt.Sprint(*to) != value {
			return fmt.Errorf("%s of external data is %.40q, want a number of bytes", key, value)
		}
		return nil
	}
	switch key {
	case "location":
		l.file = value
	case "offset":
		return number(&l.offset)
	case "length":
		return number(&l.length)
	}
	return nil
}

// tensor returns the constant at a location: a view where that is possible.
func (e *external) tensor(l location, dtype tensor.DType, shape []int) (*tensor.Tensor, error) {
	n, err := tensor.Elements(shape)
	if err != nil {
		return nil, err
	}
	want := uint64(n) * uint64(dtype.Size()) // at most 2^43
	switch {
	case e == nil:
		return nil, fmt.Errorf("its data are in an external file, %.40q, which is not supported", l.file)
	case path.Clean(l.file) != WeightsFile:
		return nil, fmt.Errorf("its data are in the file %.40q, want %s", l.file, WeightsFile)
	case l.length != want || l.offset > uint64(len(e.data)) || uint64(len(e.data))-l.offset < want:
		return nil, fmt.Errorf("its data are %d bytes at %d of a file of %d, want %d bytes", l.length, l.offset, len(e.data), want)
	}
	raw := e.data[l.offset : l.offset+want]
	var t *tensor.Tensor
	switch aligned := n > 0 && littleEndian && uintptr(unsafe.Pointer(&raw[0]))%uintptr(dtype.Size()) == 0; {
	case aligned && dtype == tensor.Float32:
		t, err = tensor.Of(unsafe.Slice((*float32)(unsafe.Pointer(&raw[0])), n), shape...)
	case aligned && dtype == tensor.Float64:
		t, err = tensor.Of(unsafe.Slice((*float64)(unsafe.Pointer(&raw[0])), n), shape...)
	default:
		return decodeRaw(dtype, shape, raw), nil
	}
	if err == nil {
		e.places[t] = int64(l.offset)
	}
	return t, err
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// externalHead encodes a TensorProto whose data lie in the file of weights.
func externalHead(name string, t *tensor.Tensor, offset int64) message {
	m := describedTensor(name, t)
	for _, entry := range [][2]string{{"location", WeightsFile}, {"offset", fmt.Sprint(offset)}, {"length", fmt.Sprint(rawSize(t))}} {
		var e message
		e.str(entryKey, entry[0])
		e.str(entryValue, entry[1])
		m.bytes(tensorExternalData, e)
	}
	m = protowire.AppendTag(m, tensorDataLocation, protowire.VarintType)
	return protowire.AppendVarint(m, 1) // EXTERNAL
}
