package execute

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/locate"
)

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

// RemoveReproducer takes away what WriteReproducer wrote to a folder, and the folder where it holds nothing else. One that is not there is none to remove.
func RemoveReproducer(dir string) error {
	for _, name := range []string{stepFile, inputsFile, exactFile, wrongFile, commandFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	os.Remove(dir) // fails where somebody keeps something there
	return nil
}

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
	tensors := func(name string, list tensor.List) error {
		return source.WriteTensors(filepath.Join(dir, name), nil, storable(list))
	}
	for _, write := range []func() error{
		func() error { return atomicfile.WriteBytes(filepath.Join(dir, stepFile), 0o644, model) },
		func() error { return tensors(inputsFile, r.Inputs) },
		func() error { return tensors(exactFile, r.Exact) },
		func() error { return tensors(wrongFile, r.Outputs) },
		func() error {
			return atomicfile.WriteBytes(filepath.Join(dir, commandFile), 0o644, []byte(command+"\n"))
		},
	} {
		if err := write(); err != nil {
			return "", err
		}
	}
	return command, nil
}
