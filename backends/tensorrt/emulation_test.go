package tensorrt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// emulated is a Driver and a Library whose engines are the ONNX files that they were built from, executed by the reference in float32. Each node is a
// layer.
type emulated struct {
	facts  Facts
	opened error // of Open
	failed error // of every Run from now on
	builds []Build
}

const emulatedMagic = "emulated engine\n"

// newEmulated has every plugin, each with the fields that the export writes.
func newEmulated() *emulated {
	e := &emulated{facts: Facts{Version: "10.6.0", Library: "/trt/libnvinfer.so.10", Device: "Emulated GPU", Capability: "9.0", CUDA: "13.0", Memory: 1 << 30,
		PluginLibrary: "/trt/libapexx-tensorrt.so", PluginDigest: "d1", Calibrators: CalibratorsOf(10)}}
	for _, op := range graph.Operators() {
		if _, round := op.(graph.Round); !round && op.OpDomain() == graph.Domain {
			attributes, err := onnx.Attributes(op)
			if err != nil {
				panic(err)
			}
			var fields []string
			for _, a := range attributes {
				fields = append(fields, a.Name)
			}
			e.facts.Plugins = append(e.facts.Plugins, Plugin{Name: op.OpType(), Version: "1", Namespace: "apexx", Fields: fields, Required: fields})
		}
	}
	return e
}

func (e *emulated) Open() (Library, error) { return e, e.opened }

func (e *emulated) Facts() Facts { return e.facts }

func (e *emulated) Build(ctx context.Context, b Build) (Built, error) {
	for i := range 2 {
		if b.Progress != nil {
			b.Progress(backends.Stage{Name: "emulated phase", Done: i + 1, Total: 2})
		}
		if err := ctx.Err(); err != nil {
			return Built{}, err
		}
	}
	kept := b
	kept.Model = nil
	e.builds = append(e.builds, kept)
	return Built{Engine: append([]byte(emulatedMagic), b.Model...), Timings: append(bytes.Clone(b.Timings), 't')}, nil
}

// Calibrate is what IInt8MinMaxCalibrator would do, by the reference.
func (e *emulated) Calibrate(ctx context.Context, c Calibration) ([]byte, error) {
	g, err := onnx.Read(c.Model)
	if err != nil {
		return nil, err
	}
	return backendtest.Table(ctx, "TRT-100600-MinMaxCalibration", reference.New(), g, c.Inputs)
}

func (e *emulated) Load(engine []byte, o LoadOptions) (Execution, error) {
	model, ok := bytes.CutPrefix(engine, []byte(emulatedMagic))
	if !ok {
		return nil, unavailable(backends.EngineCorrupt, "no emulated engine")
	}
	read := onnx.Read
	if o.Batch > 0 {
		read = func(model []byte) (*graph.Graph, error) {
			return onnx.ReadAny(model, map[string]int{batchName: o.Batch})
		}
	}
	g, err := read(model)
	if err != nil {
		return nil, unavailable(backends.OperatorUnsupported, "%v", err)
	}
	s, err := reference.New().Compile(context.Background(), g, backends.Options{})
	if err != nil {
		return nil, err
	}
	run := &emulation{library: e, graph: g, session: s, times: o.LayerTimes}
	for _, v := range g.Inputs {
		run.add(v.Name, true, v.Type)
	}
	for _, p := range g.Outputs {
		run.add(p.Name, false, p.Value.Type)
	}
	return run, nil
}

// emulation is an Execution.
type emulation struct {
	library  *emulated
	graph    *graph.Graph
	session  backends.Session
	bindings []Binding
	host     []*tensor.Tensor
	device   []*tensor.Tensor
	times    bool
}

func (r *emulation) add(name string, input bool, t graph.Type) {
	r.bindings = append(r.bindings, Binding{name, input, t.DType, t.Shape})
	r.host = append(r.host, tensor.New(t.DType, t.Shape...))
	r.device = append(r.device, tensor.New(t.DType, t.Shape...))
}

func (r *emulation) Bindings() []Binding { return r.bindings }
func (r *emulation) Host(i int) []byte   { return tensor.Bytes(r.host[i]) }
func (r *emulation) Captured() string    { return "" }
func (r *emulation) Close() error        { return r.session.Close() }

func (r *emulation) Write(i int) error {
	copy(tensor.Bytes(r.device[i]), tensor.Bytes(r.host[i]))
	return nil
}

func (r *emulation) Read(i int) error {
	copy(tensor.Bytes(r.host[i]), tensor.Bytes(r.device[i]))
	return nil
}

func (r *emulation) Run() (time.Duration, error) {
	if r.library.failed != nil {
		return 0, r.library.failed
	}
	ctx := context.Background()
	var in tensor.List
	for i, b := range r.bindings {
		if b.Input {
			in = append(in, tensor.Named{Name: b.Name, Tensor: r.device[i]})
		}
	}
	start := time.Now()
	out, err := backends.Run(ctx, r.session, in)
	if err != nil {
		return 0, err
	}
	for i, b := range r.bindings {
		if !b.Input {
			copy(tensor.Bytes(r.device[i]), tensor.Bytes(out.Get(b.Name)))
		}
	}
	return time.Since(start), nil
}

func (r *emulation) LayerTimes() []LayerTime {
	if !r.times {
		return nil
	}
	list := []LayerTime{{"reformat", time.Nanosecond}}
	for _, n := range r.graph.Nodes {
		list = append(list, LayerTime{n.Name, time.Nanosecond})
	}
	return list
}

// Layers puts a layer without a node before the others, as conversions are.
func (r *emulation) Layers() string {
	type layer = map[string]any
	list := []layer{{"Name": "reformat", "LayerType": "Reformat"}}
	for _, n := range r.graph.Nodes {
		l := layer{"Name": n.Name, "LayerType": "kgen", "TacticName": "emulated", "Metadata": fmt.Sprintf("[ONNX Layer: %s]", n.Name)}
		var out []layer
		for _, v := range n.Outputs {
			out = append(out, layer{"Name": v.Name, "Format/Datatype": "Row major linear FP32"})
		}
		l["Outputs"] = out
		list = append(list, l)
	}
	text, err := json.Marshal(map[string]any{"Layers": list})
	return string(text) + string(errorText(err))
}

func errorText(err error) []byte {
	if err == nil {
		return nil
	}
	return []byte(err.Error())
}

func (r *emulation) Memory() backends.MemoryUse {
	var m backends.MemoryUse
	for _, t := range r.host {
		m.Host += int64(len(tensor.Bytes(t)))
	}
	m.Device = m.Host + 1000
	return m
}

var errSticky = errors.New("CUDA_ERROR_ILLEGAL_ADDRESS (700)")
