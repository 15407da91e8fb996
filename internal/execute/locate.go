package execute

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/safetensors"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/locate"
)

// OpenGraph reads an ONNX model of the operators that this project has, and its inputs from a safetensors file that has a tensor of each
// input's name. Integers and booleans are stored as I64 there.
func OpenGraph(model, tensors string) (*graph.Graph, tensor.List, error) {
	g, err := onnx.ReadFile(model)
	if err != nil {
		return nil, nil, err
	}
	f, err := safetensors.Open(tensors)
	if err != nil {
		return nil, nil, err
	}
	var inputs tensor.List
	for _, want := range g.Inputs {
		stored, ok := f.Tensor(want.Name)
		if !ok {
			err = fmt.Errorf("%s has no tensor %q, an input of %s (it has %s)", printable.Line(tensors), want.Name, printable.Line(model), printable.Line(strings.Join(f.Names(), ", ")))
			break
		}
		var t *tensor.Tensor
		if t, err = source.FromSafetensors(stored); err != nil {
			break
		}
		if t, err = asDeclared(t, want); err != nil {
			break
		}
		inputs = append(inputs, tensor.Named{Name: want.Name, Tensor: t})
	}
	return g, inputs, errors.Join(err, f.Close())
}

// asDeclared gives stored integers the type of the input.
func asDeclared(t *tensor.Tensor, want *graph.Value) (*tensor.Tensor, error) {
	if !slices.Equal(t.Shape(), want.Shape) {
		return nil, fmt.Errorf("tensor %q has shape %v, the model wants %v", want.Name, t.Shape(), want.Shape)
	}
	if t.DType() == want.DType || t.DType() != tensor.Int64 {
		return t, nil // the session refuses what is of another type
	}
	out := tensor.New(want.DType, want.Shape...)
	for i, v := range tensor.Data[int64](t) {
		switch want.DType {
		case tensor.Bool:
			tensor.Data[bool](out)[i] = v != 0
		case tensor.Int32:
			tensor.Data[int32](out)[i] = int32(v)
		default:
			return t, nil
		}
	}
	return out, nil
}

// storable widens booleans and int32 to int64, which tensor files hold.
func storable(list tensor.List) tensor.List {
	out := make(tensor.List, len(list))
	for i, n := range list {
		out[i] = n
		if d := n.DType(); d == tensor.Bool || d == tensor.Int32 {
			wide := tensor.New(tensor.Int64, n.Shape()...)
			for j, v := range n.Float64s() {
				tensor.Data[int64](wide)[j] = int64(v)
			}
			out[i].Tensor = wide
		}
	}
	return out
}

// The files of a reproducer.
const (
	stepFile    = "step.onnx"
	inputsFile  = "inputs.safetensors"
	exactFile   = "exact.safetensors"
	wrongFile   = "wrong.safetensors"
	commandFile = "command.txt"
)

// WriteReproducer writes a step by itself to a folder: the nodes as an ONNX file, the values that it reads, what float64 and what the backend
// makes of them, and the command that compares them again. other is the backend beside which the fault was found.
func WriteReproducer(dir string, r *locate.Reproducer, other, profile string) (command string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	model, err := onnx.Marshal(r.Graph, onnx.WriteOptions{})
	if err != nil {
		return "", err
	}
	if other == r.Side.Backend {
		other = "reference"
	}
	command = fmt.Sprintf("apexx locate --model %s --tensors %s --backends %s,%s --precision %s --profile %s", stepFile, inputsFile, other, r.Side.Backend, r.Side.Precision, profile)
	return command, errors.Join(
		atomicfile.WriteBytes(filepath.Join(dir, stepFile), 0o644, model),
		source.WriteTensors(filepath.Join(dir, inputsFile), nil, storable(r.Inputs)),
		source.WriteTensors(filepath.Join(dir, exactFile), nil, storable(r.Exact)),
		source.WriteTensors(filepath.Join(dir, wrongFile), nil, storable(r.Outputs)),
		atomicfile.WriteBytes(filepath.Join(dir, commandFile), 0o644, []byte(command+"\n")),
	)
}
