//go:build cgo

package ort

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// session runs one graph. Its tensors are Go memory, pinned because the runtime keeps their addresses, and on a device mirrors of what
// lies there.
type session struct {
	progress backends.Progress
	graph    *graph.Graph // what its inputs are checked against
	plan     backends.Plan
	inputs   tensor.List // bound; in the order of graph.Inputs
	outputs  tensor.List // bound; in the graph's order, and then the taps
	timing   backends.Timing

	runtime *ort.AdvancedSession // nil after Close
	options *ort.RunOptions
	values  []ort.Value // of inputs and outputs
	pinned  runtime.Pinner
	device  *device // nil for the host
}

// newSession binds the tensors of the graph and loads the model, which is that of bound (see bindable).
func newSession(g, bound *graph.Graph, model []byte, set settings) (_ *session, err error) {
	s := &session{graph: backends.InputsOf(g), device: set.device}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	var inputNames, outputNames []string
	for i, v := range bound.Inputs {
		t, err := s.bind(v.Type)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", v.Name, err)
		}
		inputNames = append(inputNames, v.Name)
		if i < len(g.Inputs) {
			s.inputs = append(s.inputs, tensor.Named{Name: g.Inputs[i].Name, Tensor: shaped(t, g.Inputs[i].Shape)})
		}
	}
	for i, p := range bound.Outputs {
		t, err := s.bind(p.Value.Type)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", p.Name, err)
		}
		outputNames = append(outputNames, p.Name)
		s.outputs = append(s.outputs, tensor.Named{Name: g.Outputs[i].Name, Tensor: shaped(t, g.Outputs[i].Value.Shape)})
	}
	if s.options, err = ort.NewRunOptions(); err != nil {
		return nil, err
	}
	err = set.engines.load(func(folder string) error {
		set.folder = folder
		return s.open(model, inputNames, outputNames, set)
	})
	if err != nil {
		return nil, set.provider.refused(err)
	}
	placement, err := set.placement(s.runtime)
	if err != nil {
		return nil, err
	}
	s.plan = set.plan(g, fallbacksOf(g, set.provider, placement))
	return s, nil
}

// open loads the model, whose inputs are bound to the first of the values and whose outputs to the others.
func (s *session) open(model []byte, inputs, outputs []string, set settings) error {
	options, err := set.sessionOptions()
	if err != nil {
		return err
	}
	defer options.Destroy()
	n := len(inputs)
	s.runtime, err = ort.NewAdvancedSessionWithONNXData(model, inputs, outputs, s.values[:n], s.values[n:], options)
	return err
}

// shaped returns a view of a bound tensor under the shape that the graph declares, with as many elements.
func shaped(t *tensor.Tensor, shape []int) *tensor.Tensor { return tensor.Must(t.Reshaped(shape...)) }

// bind makes a tensor and its value in the runtime.
func (s *session) bind(t graph.Type) (*tensor.Tensor, error) {
	host := tensor.New(t.DType, t.Shape...)
	var v ort.Value
	var err error
	switch t.DType {
	case tensor.Float32:
		v, err = newValue[float32](host, &s.pinned)
	case tensor.Float64:
		v, err = newValue[float64](host, &s.pinned)
	case tensor.Int32:
		v, err = newValue[int32](host, &s.pinned)
	case tensor.Int64:
		v, err = newValue[int64](host, &s.pinned)
	default:
		v, err = newValue[bool](host, &s.pinned)
	}
	if err != nil {
		return nil, err
	}
	s.values = append(s.values, v)
	if s.device == nil {
		return host, nil
	}
	on, err := s.device.place(v, len(tensor.Bytes(host)))
	if err != nil {
		return nil, err
	}
	s.values[len(s.values)-1] = on
	return host, nil
}

func newValue[T tensor.Element](t *tensor.Tensor, pinned *runtime.Pinner) (ort.Value, error) {
	data := tensor.Data[T](t)
	if len(data) > 0 {
		pinned.Pin(&data[0])
	}
	shape := make(ort.Shape, t.Rank())
	for i, d := range t.Shape() {
		shape[i] = int64(d)
	}
	v, err := ort.NewTensor(shape, data)
	if err != nil {
		return nil, err // not v: a nil pointer in an interface is not nil
	}
	return v, nil
}

// Upload implements backends.Session.
func (s *session) Upload(_ context.Context, inputs tensor.List) error {
	start := time.Now()
	if err := s.progress.Uploading(); err != nil {
		return err
	}
	if err := backends.CheckInputs(s.graph, inputs); err != nil {
		return err
	}
	if err := s.copyIn(inputs); err != nil {
		return err
	}
	s.progress.Uploaded()
	s.timing.Upload = time.Since(start)
	return nil
}

// copyIn copies inputs to where they are bound. They are the first of the values.
func (s *session) copyIn(inputs tensor.List) error {
	if s.device == nil {
		for _, to := range s.inputs {
			copy(tensor.Bytes(to.Tensor), tensor.Bytes(inputs.Get(to.Name)))
		}
		return nil
	}
	for i, to := range s.inputs {
		if err := s.values[i].(*onDevice).upload(inputs.Get(to.Name)); err != nil {
			return err
		}
	}
	return s.device.arrive()
}

// Execute implements backends.Session: one call into the library. When ctx ends, the runtime stops after the operator at hand.
func (s *session) Execute(ctx context.Context) error {
	if err := s.progress.Executing(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() != nil {
		defer s.terminateWith(ctx)()
	}
	start := time.Now()
	err := s.runtime.RunWithOptions(s.options)
	s.timing.Execute = time.Since(start)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("run graph %s on ONNX Runtime: %w", s.graph.Name, err)
	}
	s.progress.Executed()
	return nil
}

// Download implements backends.Session. Outputs that are bound to memory of the host are not copied.
func (s *session) Download(_ context.Context, names ...string) (tensor.List, error) {
	if s.device == nil {
		return s.progress.Download(s.outputs, names, &s.timing, nil)
	}
	first := len(s.values) - len(s.outputs) // of the values that are outputs
	return s.progress.Download(s.outputs, names, &s.timing, func(i int) error {
		return s.values[first+i].(*onDevice).download(s.outputs[i].Tensor)
	})
}

// terminateWith stops the run that follows when ctx ends. The function that it returns makes the session usable again.
func (s *session) terminateWith(ctx context.Context) (reset func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = s.options.Terminate() // fails on destroyed options alone
	})
	return func() {
		if !stop() {
			<-done
			_ = s.options.UnsetTerminate()
		}
	}
}

// LastTiming implements backends.Session. The library tells no times of steps, nor of a device.
func (s *session) LastTiming() backends.Timing { return s.timing }

// Plan implements backends.Session.
func (s *session) Plan() backends.Plan { return s.plan }

// Memory implements backends.Session. The library does not tell what it holds.
func (s *session) Memory() backends.MemoryUse { return backends.MemoryUse{} }

// Close implements backends.Session. A second call does nothing.
func (s *session) Close() error {
	if !s.progress.Close() {
		return nil
	}
	var errs []error
	if s.runtime != nil {
		errs = append(errs, s.runtime.Destroy())
	}
	if s.options != nil {
		errs = append(errs, s.options.Destroy())
	}
	for _, v := range s.values {
		errs = append(errs, v.Destroy())
	}
	s.pinned.Unpin()
	s.runtime, s.options, s.values, s.inputs, s.outputs = nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
