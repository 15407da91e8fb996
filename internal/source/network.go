package source

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/safetensors"
)

// Network is an ONNX model of anybody's, with static shapes.
type Network struct {
	Name   string // of the file, in small letters, digits, - and _: at most 60, at least one
	Graph  *graph.Graph
	Digest string // SHA-256 of the file, in hexadecimal
}

// OpenNetwork reads an ONNX model, whose symbolic dimensions have the values of dims. Errors name the file and, where there is one, the node.
func OpenNetwork(path string, dims map[string]int) (*Network, error) {
	data, err := input.Read(path, input.Model)
	if err != nil {
		return nil, err
	}
	g, err := onnx.ReadAny(data, dims)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	digest := sha256.Sum256(data)
	return &Network{Name: networkName(path), Graph: g, Digest: hex.EncodeToString(digest[:])}, nil
}

// networkName makes a name of the file's, which names of cells can hold.
func networkName(path string) string {
	const most = 60
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(stem(path)))
	return cmp.Or(name[:min(len(name), most)], "model")
}

// NetworkCase is one set of inputs of a network.
type NetworkCase struct {
	Name     string
	Network  *Network
	Inputs   tensor.List // in the graph's order
	Expected tensor.List // by output name; nil when unknown
	Seed     int64       // that the inputs were drawn from, 0 where they were read
}

// BuildGraph returns the network's graph, which has one shape alone. There are no ranges of it, and so no precision that needs them.
func (c *NetworkCase) BuildGraph(p backends.Precision) (*graph.Graph, error) {
	if p.Scaled() {
		return nil, notCalibrated{fmt.Errorf("%s needs ranges, which are found for Apex-X alone", p)}
	}
	return c.Network.Graph, nil
}

// Tensors returns the inputs.
func (c *NetworkCase) Tensors() tensor.List { return c.Inputs }

// Seeded returns n cases of drawn inputs, of the seeds 1 to n.
func (n *Network) Seeded(count int) []NetworkCase {
	cases := make([]NetworkCase, count)
	for i := range cases {
		cases[i] = n.Drawn(int64(i + 1))
	}
	return cases
}

// Drawn returns a case of inputs drawn from a seed: floats from a standard normal distribution, integers 0 or 1, which most tables and axes
// have, booleans by halves.
func (n *Network) Drawn(seed int64) NetworkCase {
	c := NetworkCase{Name: fmt.Sprintf("seed-%d", seed), Network: n, Seed: seed}
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	for _, v := range n.Graph.Inputs {
		c.Inputs = append(c.Inputs, tensor.Named{Name: v.Name, Tensor: draw(r, v.Type)})
	}
	return c
}

// draw fills a tensor.
func draw(r *rand.Rand, t graph.Type) *tensor.Tensor {
	out := tensor.New(t.DType, t.Shape...)
	switch t.DType {
	case tensor.Float32:
		each(out, func() float32 { return float32(r.NormFloat64()) })
	case tensor.Float64:
		each(out, r.NormFloat64)
	case tensor.Int32:
		each(out, func() int32 { return r.Int32N(2) })
	case tensor.Int64:
		each(out, func() int64 { return r.Int64N(2) })
	default:
		each(out, func() bool { return r.IntN(2) == 1 })
	}
	return out
}

func each[T tensor.Element](t *tensor.Tensor, f func() T) {
	data := tensor.Data[T](t)
	for i := range data {
		data[i] = f()
	}
}

// NetworkFolder is what a folder of cases of a network holds.
type NetworkFolder struct {
	Cases   []NetworkCase // in order of name
	LeftOut []string      // as Folder's
}

// Remark says in one line what was left out, "" where nothing was.
func (f NetworkFolder) Remark() string { return Folder{LeftOut: f.LeftOut}.Remark() }

// LoadCases reads the cases of a folder: safetensors files with every input by its name, and, as out.NAME, expected outputs; and pictures,
// if the network has one input, of the shape [1,3,H,W], into which they are letterboxed with values in [0,1].
func (n *Network) LoadCases(dir string) (NetworkFolder, error) {
	files, others, err := caseFiles(dir)
	if err != nil {
		return NetworkFolder{}, fmt.Errorf("cases: %w", err)
	}
	var folder NetworkFolder
	for _, path := range others {
		folder.LeftOut = append(folder.LeftOut, relative(dir, path))
	}
	from, room := map[string]string{}, int64(maxCaseBytes)
	for _, path := range files {
		file := relative(dir, path)
		c := NetworkCase{Name: strings.TrimSuffix(file, filepath.Ext(file)), Network: n}
		if err := c.read(path); err != nil {
			return NetworkFolder{}, fmt.Errorf("case %s: %w", file, err)
		}
		for _, t := range c.Inputs {
			room -= int64(t.Len() * t.DType().Size())
		}
		if room < 0 {
			return NetworkFolder{}, fmt.Errorf("case %s: the inputs of all cases take more than %d GiB; divide the folder", file, int64(maxCaseBytes)>>30)
		}
		if other, dup := from[c.Name]; dup {
			return NetworkFolder{}, fmt.Errorf("cases: %s and %s would both be the case %s; rename one", other, file, c.Name)
		}
		from[c.Name] = file
		folder.Cases = append(folder.Cases, c)
	}
	if len(folder.Cases) == 0 {
		return NetworkFolder{}, fmt.Errorf("cases: %s holds no PNG, JPEG or safetensors file (it has %s)", dir, cmp.Or(abbreviate(folder.LeftOut), "no files"))
	}
	slices.SortFunc(folder.Cases, func(a, b NetworkCase) int { return cmp.Compare(a.Name, b.Name) })
	return folder, nil
}

// OpenCase reads one case: a file such as LoadCases takes.
func (n *Network) OpenCase(path string) (NetworkCase, error) {
	c := NetworkCase{Name: printable.Line(stem(path)), Network: n}
	if err := c.read(path); err != nil {
		return c, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	return c, nil
}

func (c *NetworkCase) read(path string) error {
	if IsPicture(path) {
		return c.readPicture(path)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(c.readTensors(f), f.Close())
}

func (c *NetworkCase) readTensors(f *safetensors.File) error {
	for _, v := range c.Network.Graph.Inputs {
		stored, ok := f.Tensor(v.Name)
		if !ok {
			return fmt.Errorf("no tensor %q, an input of the model (it has %s)", v.Name, cmp.Or(printable.Line(abbreviate(f.Names())), "no tensors"))
		}
		t, err := FromSafetensors(stored)
		if err != nil {
			return err
		}
		if t, err = cast(t, v.DType); err != nil {
			return fmt.Errorf("input %q: %w", v.Name, err)
		}
		if !slices.Equal(t.Shape(), v.Shape) {
			return fmt.Errorf("input %q has the shape %v, the model wants %v", v.Name, t.Shape(), v.Shape)
		}
		if i := t.NonFinite(); i >= 0 {
			return fmt.Errorf("input %q has a NaN or infinity at element %d", v.Name, i)
		}
		c.Inputs = append(c.Inputs, tensor.Named{Name: v.Name, Tensor: t})
	}
	for _, p := range c.Network.Graph.Outputs {
		stored, ok := f.Tensor("out." + p.Name)
		if !ok {
			continue
		}
		t, err := FromSafetensors(stored)
		if err != nil {
			return err
		}
		c.Expected = append(c.Expected, tensor.Named{Name: p.Name, Tensor: t})
	}
	return nil
}

// cast returns a tensor in the type of an input. Files hold int64 for what a model may want as int32 or booleans.
func cast(t *tensor.Tensor, to tensor.DType) (*tensor.Tensor, error) {
	if t.DType() == to {
		return t, nil
	}
	if t.DType() != tensor.Int64 || to != tensor.Int32 && to != tensor.Bool {
		return nil, fmt.Errorf("it is %v, want %v", t.DType(), to)
	}
	out, wide := tensor.New(to, t.Shape()...), tensor.Data[int64](t)
	for i, v := range wide {
		switch {
		case to == tensor.Bool && (v == 0 || v == 1):
			tensor.Data[bool](out)[i] = v == 1
		case to == tensor.Int32 && int64(int32(v)) == v:
			tensor.Data[int32](out)[i] = int32(v)
		default:
			return nil, fmt.Errorf("element %d is %d, which is no %v", i, v, to)
		}
	}
	return out, nil
}

func (c *NetworkCase) readPicture(path string) error {
	inputs := c.Network.Graph.Inputs
	if len(inputs) != 1 || inputs[0].DType != tensor.Float32 || len(inputs[0].Shape) != 4 || inputs[0].Shape[0] != 1 || inputs[0].Shape[1] != 3 {
		return errors.New("a picture is for a model with one input float32[1 3 H W]; give safetensors files with the inputs by name")
	}
	p, err := picture.Load(path)
	if err != nil {
		return err
	}
	s := inputs[0].Shape
	fit, err := picture.NewFit(p.Width, p.Height, s[3], s[2])
	if err != nil {
		return err
	}
	image := tensor.New(tensor.Float32, s...)
	if err := fit.Tensor(p, tensor.Data[float32](image)); err != nil {
		return err
	}
	c.Inputs = tensor.List{{Name: inputs[0].Name, Tensor: image}}
	return nil
}
