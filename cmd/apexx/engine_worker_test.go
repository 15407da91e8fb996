package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/exit"
)

// serveEngines is a worker of the backend tensorrt without a device: its engines are the ONNX files that they are built from, and compute nothing.
// The environment variable FAULT says what is broken.
func serveEngines() {
	if err := worker.ServeStdio(context.Background(), tensorrt.New(engineLibrary{os.Getenv("FAULT")})); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exit.Internal)
	}
}

// engineLibrary implements tensorrt.Driver and tensorrt.Library.
type engineLibrary struct{ fault string }

func (l engineLibrary) refuse(reason backends.Reason, detail string) error {
	return &backends.Unavailable{Backend: tensorrt.Name, Reason: reason, Detail: detail}
}

func (l engineLibrary) Open() (tensorrt.Library, error) {
	if l.fault == "headers" {
		return nil, l.refuse(backends.LibraryVersionUnsupported, "libnvinfer.so.10 is TensorRT 10.3.0, and this worker was built with the headers of 10.6.0: it needs 10.6 or a newer 10.x")
	}
	return l, nil
}

func (l engineLibrary) Facts() tensorrt.Facts {
	f := tensorrt.Facts{Version: "10.6.0", Library: "/trt/libnvinfer.so.10", Device: "GPU", Capability: "9.0", CUDA: "13.0", PluginLibrary: "/trt/plugins.so", PluginDigest: "d1",
		Calibrators: tensorrt.CalibratorsOf(10)}
	for _, op := range graph.Operators() {
		if _, round := op.(graph.Round); round || op.OpDomain() != graph.Domain || l.fault == "plugin" && op.OpType() == "TilePack" {
			continue
		}
		p := tensorrt.Plugin{Name: op.OpType(), Version: onnx.PluginVersion, Namespace: graph.Domain}
		attributes, err := onnx.Attributes(op)
		if err != nil {
			panic(err)
		}
		for _, a := range attributes {
			p.Fields = append(p.Fields, a.Name)
		}
		switch {
		case l.fault == "version" && p.Name == "TilePack":
			p.Version = "2"
		case l.fault == "field" && p.Name == "TilePack":
			p.Fields = []string{"side"}
		}
		f.Plugins = append(f.Plugins, p)
	}
	switch l.fault {
	case "plugins": // another build of them
		f.PluginDigest = "d2"
	case "device":
		f.Device, f.Capability = "Other GPU", "8.9"
	case "calibrators": // as in 11
		f.Calibrators = tensorrt.CalibratorsOf(11)
	case "upgrade":
		f.Version = "10.9.0"
	case "builder":
		f.NoBuilder = "there is no libnvinfer_builder_resource.so.10.6.0 in /trt"
	}
	return f
}

// engineFault is what the library says of an engine that it built without memory.
const engineFault = "building the engine: [defaultAllocator.cpp::allocate::31] out of memory"

func (l engineLibrary) Build(ctx context.Context, b tensorrt.Build) (tensorrt.Built, error) {
	if b.Progress != nil {
		b.Progress(backends.Stage{Name: "choosing kernels", Done: 1, Total: 2})
	}
	switch l.fault {
	case "memory":
		return tensorrt.Built{}, l.refuse(backends.DeviceMemoryExhausted, engineFault)
	case "cuda": // fails while the builder is made
		return tensorrt.Built{}, l.refuse(backends.BuilderUnavailable, "building the engine: CUDA initialization failure with error: 35. Please check your CUDA installation")
	case "terminate":
		fmt.Fprint(os.Stderr, "terminate called after throwing an instance of 'nvinfer1::CudaRuntimeError'\n  what():  misaligned address\n")
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Kill()
		}
		select {} // until it is dead
	case "slow":
		<-ctx.Done()
		return tensorrt.Built{}, ctx.Err()
	case "tactics": // other kernels, as when a device is measured anew
		return tensorrt.Built{Engine: append(b.Model, "tuned"...)}, nil
	}
	return tensorrt.Built{Engine: b.Model, Timings: []byte("measured")}, nil
}

// calibratorVersions begin the tables of the calibrators.
var calibratorVersions = map[string]string{"entropy": "EntropyCalibration2", "max": "MinMaxCalibration"}

func (l engineLibrary) Calibrate(ctx context.Context, c tensorrt.Calibration) ([]byte, error) {
	switch l.fault {
	case "memory":
		return nil, l.refuse(backends.DeviceMemoryExhausted, engineFault)
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "no table":
		return []byte("TRT-"), nil
	}
	g, err := onnx.Read(c.Model)
	if err != nil {
		return nil, err
	}
	version := strings.ReplaceAll(l.Facts().Version, ".", "0")
	return backendtest.Table(ctx, "TRT-"+version+"-"+calibratorVersions[c.Method], reference.New(), g, c.Inputs)
}

func (l engineLibrary) Load(engine []byte, o tensorrt.LoadOptions) (tensorrt.Execution, error) {
	text, tuned := strings.CutSuffix(string(engine), "tuned")
	read := onnx.Read
	if o.Batch > 0 {
		read = func(model []byte) (*graph.Graph, error) { return onnx.ReadAny(model, map[string]int{"batch": o.Batch}) }
	}
	g, err := read([]byte(text))
	if err != nil {
		return nil, l.refuse(backends.EngineCorrupt, err.Error())
	}
	return &idleEngine{graph: g, tuned: tuned}, nil
}

// idleEngine implements tensorrt.Execution.
type idleEngine struct {
	graph *graph.Graph
	tuned bool
}

func (e *idleEngine) Bindings() []tensorrt.Binding {
	var list []tensorrt.Binding
	for _, v := range e.graph.Inputs {
		list = append(list, tensorrt.Binding{Name: v.Name, Input: true, DType: v.DType, Shape: v.Shape})
	}
	for _, p := range e.graph.Outputs {
		list = append(list, tensorrt.Binding{Name: p.Name, DType: p.Value.DType, Shape: p.Value.Shape})
	}
	return list
}

func (e *idleEngine) Host(i int) []byte {
	b := e.Bindings()[i]
	return make([]byte, graph.Type{DType: b.DType, Shape: b.Shape}.Len()*b.DType.Size())
}

// Layers are one for each convolution.
func (e *idleEngine) Layers() string {
	var list []string
	for _, n := range e.graph.Nodes {
		if _, conv := n.Op.(graph.Conv); conv {
			kernel := "sm90_a"
			if e.tuned && n.Name == "pv.backbone.stem.0" {
				kernel = "sm90_b"
			}
			list = append(list, fmt.Sprintf(`{"Name": %q, "LayerType": "CaskConvolution", "TacticName": %q, "Metadata": "[ONNX Layer: %s]",
				"Outputs": [{"Name": %q, "Format/Datatype": "Float"}]}`, n.Name, kernel, n.Name, n.Outputs[0].Name))
		}
	}
	return `{"Layers": [` + strings.Join(list, ",") + `]}`
}

func (e *idleEngine) Write(int) error                  { return nil }
func (e *idleEngine) Read(int) error                   { return nil }
func (e *idleEngine) Run() (time.Duration, error)      { return 0, errors.New("it computes nothing") }
func (e *idleEngine) LayerTimes() []tensorrt.LayerTime { return nil }
func (e *idleEngine) Captured() string                 { return "" }
func (e *idleEngine) Memory() backends.MemoryUse       { return backends.MemoryUse{} }
func (e *idleEngine) Close() error                     { return nil }
