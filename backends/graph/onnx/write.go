package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/body"
	"github.com/apex-x/apexx/backends/tensor"
)

// irVersion is the version of the file format: the first with metadata of nodes.
const irVersion = 10

// The metadata entries that list the declared taps, the decisions, the calibration and the parts, as JSON, and that names a domain whose
// operators are inlined.
const (
	tapsKey        = "apexx.taps"
	decisionsKey   = "apexx.decisions"
	calibrationKey = "apexx.calibration"
	partsKey       = "apexx.parts"
	inlinedKey     = "apexx.inlined"
)

// WriteOptions change what Write puts into a model. The zero value writes a file that any ONNX runtime executes.
type WriteOptions struct {
	// ProducerVersion is recorded as the version of the producer, apexx.
	ProducerVersion string
	// Form is how the operators of the domain "apexx" are spelled, and GroupNormalization, for which the single-precision reductions
	// of common runtimes are too coarse.
	Form Form
	// External are the constants whose data lie in the file of weights beside the model, which WriteWeights wrote: they are not written again.
	External Places
	// Batch names the first dimension of inputs and outputs, which is then free, in a model of the form Plugins; "" for none. Shapes of Reshape leave
	// theirs to the number of elements, and a Resize has scales instead of sizes. All else of the graph that depends on it is written as it is, constants
	// above all: with the size that the graph has, the model is the graph, and it is the model of every size whose graph gives the same bytes.
	Batch string
}

// Form is a way to spell the operators that have a body of standard operators.
type Form uint8

const (
	// Functions makes each a call of a model-local function. Every body is a function of its own name, TYPE_1, TYPE_2 and so on, as
	// there are runtimes that know functions by their names alone. A call is one node that has the operator's type in its name and its
	// attributes, so that Read gives the graph back.
	Functions Form = iota
	// Inlined puts the nodes of the body in the place of each, as NODE/INNER, for runtimes without functions. Read cannot go back.
	Inlined
	// Instances is Inlined with GroupNormalization as exporters of frameworks write it (body.Instances): for benchmarks of runtimes that know that
	// pattern.
	Instances
	// Plain leaves the bodies out, for runtimes that have the operators as plugins: those of the domain "apexx" stand alone, and
	// GroupNormalization is the standard operator.
	Plain
	// Plugins is Plain for TensorRT's parser, which finds the plugin of an operator by attributes of the node: plugin_namespace, which is Domain, and
	// plugin_version, PluginVersion. Round has no plugin, and GroupNormalization is wrong in TensorRT 10.6, which takes scale and bias for
	// those of groups, as opset 18 had them: their bodies stand in their places, as in Inlined. Types of intermediates are not declared.
	Plugins
)

// PluginVersion is the version of the plugins that stand for the operators of the domain "apexx", each under the operator's name.
const PluginVersion = "1"

// Marshal returns the ONNX model of a graph.
func Marshal(g *graph.Graph, opts WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	err := Write(&b, g, opts)
	return b.Bytes(), err
}

// Write writes a graph as an ONNX model: IR version 10, operator sets 21 of "" and 2 of "apexx", static shapes, weights as
// raw data. Equal graphs and options give equal bytes. An output whose name is not its value's is made by an Identity node that is
// marked as such: Read does not take it for a node of the graph.
// It fails, before anything is written, on a graph whose names clash, on an operator without a body, and when the file
// would exceed the 2 GiB of a protobuf message.
func Write(w io.Writer, g *graph.Graph, opts WriteOptions) error {
	wr := &writer{opts: opts, body: bodiesOf(opts.Form), names: map[string]bool{}, calls: map[string]string{}, bodies: map[string]int{}}
	return wr.write(w, g)
}

// inlined tells whether the bodies of all operators stand in their places.
func (f Form) inlined() bool { return f == Inlined || f == Instances }

// bodiesOf returns what finds the bodies of operators.
func bodiesOf(f Form) func(op graph.Op, in []graph.Type) (*body.Function, error) {
	if f != Instances {
		return body.For
	}
	return func(op graph.Op, in []graph.Type) (*body.Function, error) {
		if norm, ok := op.(graph.GroupNormalization); ok {
			return body.Instances(norm, in)
		}
		return body.For(op, in)
	}
}

// writer collects the parts of a model. The first error sticks.
type writer struct {
	opts         WriteOptions
	body         func(op graph.Op, in []graph.Type) (*body.Function, error)
	names        map[string]bool // of values
	initializers []initializer
	nodes        message           // the graph's field node
	selected     message           // the graph's field value_info, of values in inlined bodies whose size their data decide
	functions    message           // the model's field functions
	calls        map[string]string // names of functions, by operator type and signature
	bodies       map[string]int    // how many functions there are, by operator type
	err          error
}

type initializer struct {
	head message        // its TensorProto up to the raw data
	data *tensor.Tensor // nil where they lie in the file of weights
}

func (i initializer) size() int {
	if i.data == nil {
		return len(i.head)
	}
	return len(i.head) + rawSize(i.data)
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) write(out io.Writer, g *graph.Graph) error {
	w.collect(g)
	meta, err := metadata(g, w.opts.Form)
	w.fail(err)
	opsets, err := opsetsOf(g)
	w.fail(err)
	if w.err != nil {
		return fmt.Errorf("write graph %s as ONNX: %w", g.Name, w.err)
	}

	head := w.nodes
	head.str(graphName, g.Name)
	tail := append(declarations(g, w.opts), w.selected...)
	size := len(head) + len(tail)
	for _, i := range w.initializers {
		size += protowire.SizeTag(graphInitializer) + protowire.SizeBytes(i.size())
	}

	var start, end message
	start.int(modelIRVersion, irVersion)
	start.str(modelProducerName, "apexx")
	start.str(modelProducerVersion, w.opts.ProducerVersion)
	start = protowire.AppendTag(start, modelGraph, protowire.BytesType)
	start = protowire.AppendVarint(start, uint64(size))
	for _, domain := range slices.Sorted(maps.Keys(opsets)) {
		end.opset(modelOpsetImport, domain, opsets[domain])
	}
	end = append(end, meta...)
	end = append(end, w.functions...)
	if total := len(start) + size + len(end); total > math.MaxInt32 {
		return fmt.Errorf("write graph %s as ONNX: the file would have %d bytes, more than the 2 GiB of a protobuf message", g.Name, total)
	}
	return w.emit(out, slices.Concat(start, head), slices.Concat(tail, end))
}

// emit writes the model: the initializers, which are large, go straight from their tensors to the file.
func (w *writer) emit(out io.Writer, before, after message) error {
	if _, err := out.Write(before); err != nil {
		return err
	}
	for _, i := range w.initializers {
		head := protowire.AppendTag(nil, graphInitializer, protowire.BytesType)
		head = protowire.AppendVarint(head, uint64(i.size()))
		if _, err := out.Write(append(head, i.head...)); err != nil {
			return err
		}
		if i.data == nil {
			continue
		}
		if err := writeRaw(out, i.data); err != nil {
			return err
		}
	}
	_, err := out.Write(after)
	return err
}

// collect encodes nodes, initializers and functions.
func (w *writer) collect(g *graph.Graph) {
	if g.Name == "" {
		w.fail(errors.New("the graph has no name"))
	}
	constants := g.Constants()
	for _, p := range g.Outputs { // WithTaps may ask for a constant that no node reads
		if v := p.Value; v.Const != nil && !slices.Contains(constants, v) {
			constants = append(constants, v)
		}
	}
	for _, v := range g.Inputs {
		w.claim(v.Name)
	}
	for _, v := range constants {
		w.claim(v.Name)
		if offset, apart := w.opts.External[v.Const]; apart {
			w.initializers = append(w.initializers, initializer{head: externalHead(v.Name, v.Const, offset)})
			continue
		}
		w.initializers = append(w.initializers, initializer{tensorHead(v.Name, v.Const), v.Const})
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			w.claim(v.Name)
		}
	}
	for _, n := range g.Nodes {
		w.node(n)
	}
	for _, p := range g.Outputs {
		if p.Name != p.Value.Name {
			w.claim(p.Name)
			w.port(p)
		}
	}
}

// portKey marks, in the metadata of a node, an Identity that gives a value the name of an output.
const portKey = "apexx.port"

// port encodes the node that gives a value the name of an output.
func (w *writer) port(p graph.Port) {
	var m message
	m.str(nodeInput, p.Value.Name)
	m.str(nodeOutput, p.Name)
	m.str(nodeName, p.Name)
	m.str(nodeOpType, string(graph.Identity))
	m.entry(nodeMetadata, portKey, p.Value.Name)
	w.nodes.bytes(graphNode, m)
}

func (w *writer) claim(name string) {
	if name == "" || w.names[name] {
		w.fail(fmt.Errorf("the value name %q is empty or used twice", name))
	}
	w.names[name] = true
}

// parameter adds an initializer for a constant input that is a field of an operator, and returns its name.
func (w *writer) parameter(name string, t *tensor.Tensor) string {
	for w.names[name] {
		name += "_"
	}
	w.names[name] = true
	w.initializers = append(w.initializers, initializer{tensorHead(name, t), t})
	return name
}

// node encodes a NodeProto, and the function that it calls.
func (w *writer) node(n *graph.Node) {
	if op, ok := n.Op.(graph.Opaque); ok {
		w.opaque(n, op)
		return
	}
	e, ok := entries[n.Op.OpType()]
	if !ok {
		w.fail(fmt.Errorf("node %s: the operator %s has no ONNX mapping", n.Name, n.Op.OpType()))
		return
	}
	nw := newNodeWriter(w, n)
	e.write(nw, n.Op)
	domain, opType := n.Op.OpDomain(), n.Op.OpType()
	_, round := n.Op.(graph.Round)
	switch {
	case !hasBody(n.Op) || w.opts.Form == Plain:
	case w.opts.Form == Plugins && !round && domain == graph.Domain:
		for _, a := range pluginAttributes {
			nw.attribute(a.Name, a.Value)
		}
	case w.opts.Form.inlined() || w.opts.Form == Plugins:
		w.inline(nw)
		return
	default:
		domain, opType = graph.Domain, w.function(nw)
	}

	var m message
	for _, name := range nw.inputs {
		m.str(nodeInput, name)
	}
	for _, v := range n.Outputs {
		m.str(nodeOutput, v.Name)
	}
	m.str(nodeName, n.Name)
	m.str(nodeOpType, opType)
	for _, a := range nw.attributes {
		m.bytes(nodeAttribute, a)
	}
	if domain != "" {
		m.str(nodeDomain, domain)
	}
	m = append(m, nw.exact...)
	w.nodes.bytes(graphNode, m)
}

// declarations encodes the typed inputs and outputs of a graph, and its intermediates, unless they may be narrower than they are called (NarrowCast).
func declarations(g *graph.Graph, opts WriteOptions) message {
	var m message
	for _, v := range g.Inputs {
		m.bytes(graphInput, namedInfo(v.Name, v.Type, opts.Batch))
	}
	isOutput := map[string]bool{}
	for _, p := range g.Outputs {
		m.bytes(graphOutput, namedInfo(p.Name, p.Value.Type, opts.Batch))
		isOutput[p.Name] = true
	}
	if opts.Form == Plugins {
		return m
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if !isOutput[v.Name] {
				m.bytes(graphValueInfo, valueInfo(v.Name, v.Type))
			}
		}
	}
	return m
}

// metadata encodes the model's metadata, sorted by key, and in it the taps and decisions whose values the graph computes.
func metadata(g *graph.Graph, form Form) (message, error) {
	entries := maps.Clone(g.Metadata)
	if entries == nil {
		entries = map[string]string{}
	}
	if form.inlined() {
		entries[inlinedKey] = graph.Domain
	}
	if len(g.OpaqueNodes()) > 0 {
		entries[opaqueKey] = "1"
	}
	if err := addMarks(entries, g); err != nil {
		return nil, err
	}
	var m message
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		m.entry(modelMetadata, key, entries[key])
	}
	return m, nil
}
