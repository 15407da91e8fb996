package tensorrt

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// Batches are the batch sizes that one engine serves, its optimisation profile: Min to Max, with kernels that were chosen for Opt. The zero value is an
// engine of one size alone. Height and width are of one engine each, as routing depends on them.
type Batches struct{ Min, Opt, Max int }

// ParseBatches reads MIN:OPT:MAX, "" as the zero value.
func ParseBatches(text string) (b Batches, err error) {
	if text == "" {
		return b, nil
	}
	words := strings.Split(text, ":")
	for i, to := range []*int{&b.Min, &b.Opt, &b.Max} {
		if len(words) != 3 {
			break
		}
		if *to, err = strconv.Atoi(words[i]); err != nil {
			break
		}
	}
	if err != nil || b.Min < 1 || b.Opt < b.Min || b.Max < b.Opt {
		return Batches{}, fmt.Errorf("batches %q: want MIN:OPT:MAX, such as 1:4:8", text)
	}
	return b, nil
}

// String is what ParseBatches reads.
func (b Batches) String() string {
	if b == (Batches{}) {
		return ""
	}
	return fmt.Sprintf("%d:%d:%d", b.Min, b.Opt, b.Max)
}

// Serve tells whether an engine serves a batch of n.
func (b Batches) Serve(n int) bool { return b.Min <= n && n <= b.Max }

// MarshalText implements encoding.TextMarshaler.
func (b Batches) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Batches) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBatches(string(text))
	return err
}

// write writes the model of a session: of the batches that the options ask for, else of those of an engine file that serves the graph's batch, else of that
// batch alone.
func (c *compilation) write() (err error) {
	if asked := c.settings.batches; asked != (Batches{}) {
		if c.batch, err = batchOf(c.graph); err != nil {
			return err
		}
		if !asked.Serve(c.batch) {
			return unavailable(backends.BatchUnsupported, "a batch of %d is outside the batches %v", c.batch, asked)
		}
	} else if c.adopt() {
		return nil
	}
	c.export, err = c.exported()
	return err
}

func (c *compilation) exported() (*export, error) {
	return exportOf(c.graph, c.settings.precision.Format(), c.library.Facts(), c.settings.batches)
}

// adopt takes the batches of an engine file: of one that is named, which has to fit, or of a prebuilt one that does.
func (c *compilation) adopt() bool {
	n, err := batchOf(c.graph)
	if err != nil {
		return false
	}
	for _, path := range []string{c.settings.engine, c.settings.prebuilt} {
		rec, err := ReadRecord(path)
		if err != nil || !rec.Key.Batches.Serve(n) {
			continue
		}
		several := *c
		several.batch, several.settings.batches = n, rec.Key.Batches
		several.export, err = several.exported()
		if err == nil && (path == c.settings.engine || keyOf(several.export, several.settings, c.library.Facts()).check(rec.Key) == nil) {
			*c = several
			return true
		}
	}
	return false
}

// batchOf is the batch size of a graph, the first dimension of its inputs and outputs.
func batchOf(g *graph.Graph) (int, error) {
	n := 0
	for _, p := range slices.Concat(ports(g.Inputs), g.Outputs) {
		shape := p.Value.Shape
		if len(shape) == 0 || shape[0] < 1 || n > 0 && shape[0] != n {
			return 0, unavailable(backends.BatchUnsupported, "an engine of several batches: %s is %v, which does not begin with the batch", p.Name, p.Value.Type)
		}
		n = shape[0]
	}
	return n, nil
}

func ports(values []*graph.Value) []graph.Port {
	var list []graph.Port
	for _, v := range values {
		list = append(list, graph.Port{Name: v.Name, Value: v})
	}
	return list
}

// batchName is the name of the free dimension in the model.
const batchName = "batch"

// freeBatch returns the graph of a model whose batch is free (onnx.WriteOptions.Batch): a constant with a row for each sample becomes one row, which is
// repeated as often as there are samples. The graph computes the same, so that the model does with its batch. For another batch the model is right if that
// batch's graph gives the same bytes, which is what the digest in the key of an engine says: nothing else has to be believed of this rewriting.
func freeBatch(g *graph.Graph) (*graph.Graph, error) {
	n, err := batchOf(g)
	if err != nil {
		return nil, err
	}
	f := &freer{batch: n, input: g.Inputs[0], ones: map[string]*graph.Value{}, first: map[*graph.Value]*graph.Value{}, rows: map[*graph.Value]*graph.Value{}}
	for _, node := range g.Nodes {
		operands := f.Operands(node)
		for i, v := range operands {
			if operands[i], err = f.operand(node, v); err != nil {
				return nil, err
			}
		}
		f.CopyWith(node, operands)
	}
	return f.Graph(bare(g)), nil
}

// A freer copies nodes, and repeats rows of constants.
type freer struct {
	graph.Rewriter
	batch int
	input *graph.Value                  // whose first dimension is the batch
	ones  map[string]*graph.Value       // by type and rank
	first map[*graph.Value]*graph.Value // row of a constant
	rows  map[*graph.Value]*graph.Value // and that row repeated
}

// operand returns what a node reads in the place of an operand: of a constant that has a row for each sample that row, repeated where the node does not
// do that itself. Weights have none, though their first dimension may be as large.
func (f *freer) operand(n *graph.Node, v *graph.Value) (*graph.Value, error) {
	if v == nil || v.Const == nil || len(v.Shape) == 0 || v.Shape[0] != f.batch {
		return v, nil
	}
	repeat := n.Op.OpDomain() == graph.Domain && len(v.Shape) > 1
	switch op := n.Op.(type) {
	case graph.Binary, graph.Where:
		if len(v.Shape) == len(n.Outputs[0].Shape) {
			return f.row(v, v.Name)
		}
	case graph.Concat:
		repeat = op.Axis != 0
	case graph.Unary:
		repeat = op.Fn == graph.Identity
	case graph.Opaque:
		repeat = repeat && v.DType == tensor.Int64 // a plugin for several nodes: its other constants are weights
	}
	if !repeat {
		return v, nil
	}
	return f.repeated(v)
}

// repeated multiplies the row of a constant by a column of ones, which is exact.
func (f *freer) repeated(v *graph.Value) (*graph.Value, error) {
	if f.rows[v] != nil {
		return f.rows[v], nil
	}
	row, err := f.row(v, v.Name+".row")
	if err != nil {
		return nil, err
	}
	ones, err := f.column(v.DType, len(v.Shape))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Name, err)
	}
	f.rows[v] = f.Add(v.Name+".rows", graph.Binary{Fn: graph.Mul}, v.Type, row, ones)
	return f.rows[v], nil
}

// row is the first row of a constant, which all others equal.
func (f *freer) row(v *graph.Value, name string) (*graph.Value, error) {
	if f.first[v] != nil {
		return f.first[v], nil
	}
	row := tensor.New(v.DType, append([]int{1}, v.Shape[1:]...)...)
	data, first := tensor.Bytes(v.Const), tensor.Bytes(row)
	copy(first, data)
	if !bytes.Equal(data, bytes.Repeat(first, f.batch)) {
		return nil, unavailable(backends.BatchUnsupported, "an engine of several batches: the constant %s is not the same for every sample", v.Name)
	}
	f.first[v] = graph.Constant(name, row)
	return f.first[v], nil
}

// column is a column of ones [B,1,…] of a rank.
func (f *freer) column(t tensor.DType, rank int) (*graph.Value, error) {
	key := fmt.Sprintf("%s.ones.%v", batchName, t)
	if f.ones[key] == nil {
		op, err := onnx.Ones(t, f.batch)
		if err != nil {
			return nil, err
		}
		size := f.Add(key+".count", onnx.BatchSize(), graph.Type{DType: tensor.Int64, Shape: []int{1}}, f.input)
		f.ones[key] = f.Add(key, op, graph.Type{DType: t, Shape: []int{f.batch}}, size)
	}
	if rank == 1 {
		return f.ones[key], nil
	}
	shaped := fmt.Sprintf("%s.%d", key, rank)
	if f.ones[shaped] == nil {
		shape := slices.Repeat([]int{1}, rank)
		shape[0] = f.batch
		f.ones[shaped] = f.Add(shaped, graph.Reshape{Shape: shape}, graph.Type{DType: t, Shape: shape}, f.ones[key])
	}
	return f.ones[shaped], nil
}
