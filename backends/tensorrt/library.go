package tensorrt

import (
	"context"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/tensor"
)

// Driver finds TensorRT, the plugins and a device.
type Driver interface {
	// Open returns the library, opened once per process. Its error is an *backends.Unavailable that says what is missing.
	Open() (Library, error)
}

// Library is TensorRT on one device. Its methods may be called from several goroutines.
type Library interface {
	Facts() Facts
	// Build makes an engine. It takes minutes, and ends with ctx. Its error is an *backends.Unavailable where the builder refuses.
	Build(ctx context.Context, b Build) (Built, error)
	// Calibrate has the builder find ranges, without building an engine, and returns its table. It ends with ctx. Its error is an *backends.Unavailable where
	// the builder refuses.
	Calibrate(ctx context.Context, c Calibration) (table []byte, err error)
	// Load makes an engine executable. Its error is an *backends.Unavailable for one that is none, or not for this library and device.
	Load(engine []byte, o LoadOptions) (Execution, error)
}

// Facts are what a library is and where it runs.
type Facts struct {
	Version    string // of TensorRT, such as 10.6.0
	Library    string // path of libnvinfer
	Parser     string // path of libnvonnxparser; "" where there is none
	Builder    string // path of what libnvinfer builds with; "" where there is none
	Device     string // name of the device
	Capability string // its compute capability, such as 9.0
	CUDA       string // newest version that the driver supports
	Memory     int64  // bytes of the device

	Plugins       []Plugin // that are registered
	PluginLibrary string   // path; "" where there is none
	PluginDigest  string   // of the plugins' sources
	Recipe        string   // digest of the source with which this program configures the builder
	WithoutPlugin string   // why there is no library of plugins; "" if there is one
	NoBuilder     string   // why engines can be loaded and not built; "" if they can be built

	Calibrators []calibrate.Calibrator // that the library has
}

// Plugin is an operator that the library of plugins offers.
type Plugin struct {
	Name, Version, Namespace string
	Fields, Required         []string // attributes that it takes, and those without a default
}

// Build is what an engine is made of.
type Build struct {
	Model   []byte  // ONNX
	TF32    bool    // products of float32 may be TF32; every other type stands in the model
	Level   int     // of the builder's optimisation, 0 to 5
	Timings []byte  // timing cache of earlier builds; nil for none
	Batches Batches // the first dimension of every input, which is free in the model; the zero value for a model without
	// Progress is told of the phases of the builder; nil for nobody.
	Progress func(backends.Stage)
}

// Calibration is what the builder finds ranges with.
type Calibration struct {
	Model    []byte        // ONNX, in float32
	Method   string        // of a Calibrator of the library's Facts
	Inputs   []tensor.List // of the model
	Progress func(backends.Stage)
}

// Built is a serialised engine, and the timing cache with what building it measured.
type Built struct{ Engine, Timings []byte }

// LoadOptions change how an engine is executed.
type LoadOptions struct {
	// LayerTimes makes Run tell the time of every layer. The engine is then not one CUDA graph.
	LayerTimes bool
	// Batch is the first dimension of inputs for an engine of several; 0 for one of fixed shapes.
	Batch int
}

// Execution is an engine with memory of its own. One call at a time; different Executions may be used at once.
type Execution interface {
	// Bindings lists inputs and outputs.
	Bindings() []Binding
	// Host returns the page-locked memory of a binding, Write copies it to the device, Read from there. Both return when the copy is done.
	Host(binding int) []byte
	Write(binding int) error
	Read(binding int) error
	// Run executes the engine once and returns the time by the device's clock.
	Run() (time.Duration, error)
	// LayerTimes returns those of the last Run, if LoadOptions asked for them. A layer may be there several times. It is the execution's own.
	LayerTimes() []LayerTime
	// Layers is what the library says of the engine, in JSON (IEngineInspector::getEngineInformation).
	Layers() string
	// Captured is "" for an engine that runs as one CUDA graph, else why it is not.
	Captured() string
	// Memory is what the execution holds.
	Memory() backends.MemoryUse
	Close() error
}

// LayerTime is how long a layer took by the device's clock.
type LayerTime struct {
	Layer string // its name
	Time  time.Duration
}

// Binding is an input or output of an engine.
type Binding struct {
	Name  string
	Input bool
	DType tensor.DType
	Shape []int
}
