package tensorrt

import (
	"context"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// session implements backends.Session.
type session struct {
	progress backends.Progress
	graph    *graph.Graph // what its inputs are checked against
	run      Execution
	inputs   []int // binding of each input of the graph; -1 for one that the engine does not read
	outputs  []int // binding of each output
	results  tensor.List
	plan     backends.Plan
	stepOf   map[string]int // step of each layer
	timing   backends.Timing
	memory   backends.MemoryUse
	failed   error // of the device, after which nothing on it can be trusted
}

// newSession ties the bindings of an engine to inputs and outputs of its graph.
func newSession(g *graph.Graph, run Execution) (*session, error) {
	s := &session{graph: backends.InputsOf(g), run: run, memory: run.Memory()}
	find := func(name string, input bool, want graph.Type) (int, error) {
		bindings := run.Bindings()
		i := slices.IndexFunc(bindings, func(b Binding) bool { return b.Name == name && b.Input == input })
		if i < 0 {
			return -1, nil
		}
		if have := (graph.Type{DType: bindings[i].DType, Shape: bindings[i].Shape}); have.String() != want.String() {
			return -1, unavailable(backends.EngineOutdated, "%s of the engine is %v, the graph has %v", name, have, want)
		}
		return i, nil
	}
	for _, v := range g.Inputs {
		i, err := find(v.Name, true, v.Type)
		if err != nil {
			return nil, err
		}
		s.inputs = append(s.inputs, i)
	}
	for _, o := range g.Outputs {
		i, err := find(o.Name, false, o.Value.Type)
		if err == nil && i < 0 {
			err = unavailable(backends.EngineOutdated, "the engine has no output %s", o.Name)
		}
		if err != nil {
			return nil, err
		}
		s.outputs = append(s.outputs, i)
		s.results = append(s.results, tensor.Named{Name: o.Name, Tensor: tensor.On(run.Host(i), o.Value.DType, o.Value.Shape...)})
	}
	for i, b := range run.Bindings() {
		if b.Input && !slices.Contains(s.inputs, i) { // nobody would fill it
			return nil, unavailable(backends.EngineOutdated, "the engine has an input %s, which the graph has not", b.Name)
		}
	}
	return s, nil
}

// Upload implements backends.Session.
func (s *session) Upload(_ context.Context, inputs tensor.List) error {
	return s.progress.Upload(s.graph, inputs, &s.timing, func(i int, x *tensor.Tensor) error {
		at := s.inputs[i]
		if s.failed != nil || at < 0 {
			return s.failed
		}
		copy(s.run.Host(at), tensor.Bytes(x))
		return s.unless(s.run.Write(at))
	})
}

// unless ends the use of the device on an error: after most of them every further call returns the same, or wrong results.
func (s *session) unless(err error) error {
	if err != nil {
		s.failed = fmt.Errorf("the device failed: %w", err)
	}
	return s.failed
}

// Execute implements backends.Session: one launch of the whole engine, which is not interrupted.
func (s *session) Execute(ctx context.Context) error {
	return s.progress.Execute(ctx, &s.timing, s.execute)
}

func (s *session) execute() error {
	if s.failed != nil {
		return s.failed
	}
	d, err := s.run.Run()
	if err != nil {
		return s.unless(err)
	}
	if s.timing.Device = d; s.timing.Steps != nil {
		addTimes(s.timing.Steps, s.run.LayerTimes(), s.stepOf)
	}
	return nil
}

// Download implements backends.Session.
func (s *session) Download(_ context.Context, names ...string) (tensor.List, error) {
	return s.progress.Download(s.results, names, &s.timing, func(i int) error {
		if s.failed != nil {
			return s.failed
		}
		return s.unless(s.run.Read(s.outputs[i]))
	})
}

// LastTiming implements backends.Session.
func (s *session) LastTiming() backends.Timing { return s.timing }

// Plan implements backends.Session.
func (s *session) Plan() backends.Plan { return s.plan }

// Memory implements backends.Session: on the device the engine with its weights, what its layers pass on, and inputs and outputs; on the host the page-locked
// memory of those.
func (s *session) Memory() backends.MemoryUse { return s.memory }

// Close implements backends.Session.
func (s *session) Close() error {
	if !s.progress.Close() {
		return nil
	}
	run := s.run
	s.run, s.results = nil, nil
	return run.Close()
}
