package toydevice

import (
	"context"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// tick is the resolution of the device's clock.
const tick = 500 * time.Nanosecond

// session implements backends.Session.
type session struct {
	progress  backends.Progress
	precision backends.Precision
	graph     *graph.Graph // what its inputs are checked against
	memory    memory       // of the device: the arena, and then the constants
	arena     int          // bytes
	inputs    []address    // in the graph's order
	kernels   []kernel
	results   []address   // of the outputs
	outputs   tensor.List // what Download copies to
	plan      backends.Plan
	timing    backends.Timing
}

// Upload implements backends.Session.
func (s *session) Upload(_ context.Context, inputs tensor.List) error {
	return s.progress.Upload(s.graph, inputs, &s.timing, func(i int, x *tensor.Tensor) error {
		s.memory.write(s.inputs[i], x)
		return nil
	})
}

// Execute implements backends.Session. The device's clock starts once the memory is spoiled.
func (s *session) Execute(ctx context.Context) error {
	return s.progress.Execute(ctx, &s.timing, func() error { return s.execute(ctx) })
}

func (s *session) execute(ctx context.Context) error {
	s.memory.spoil(s.arena, s.inputs)
	begun := time.Now()
	now := func() time.Duration { return time.Since(begun).Truncate(tick) }
	last := time.Duration(0)
	for i := range s.kernels {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.kernels[i].run(s.memory); err != nil {
			return fmt.Errorf("step %s: %w", s.kernels[i].name, err)
		}
		if s.timing.Steps != nil {
			s.timing.Steps[i] = now() - last
			last += s.timing.Steps[i]
		}
	}
	s.timing.Device = now()
	return nil
}

// Download implements backends.Session.
func (s *session) Download(_ context.Context, names ...string) (tensor.List, error) {
	return s.progress.Download(s.outputs, names, &s.timing, func(i int) error {
		s.memory.read(s.results[i], s.outputs[i].Tensor)
		return nil
	})
}

// LastTiming implements backends.Session.
func (s *session) LastTiming() backends.Timing { return s.timing }

// Plan implements backends.Session.
func (s *session) Plan() backends.Plan { return s.plan }

// Memory implements backends.Session.
func (s *session) Memory() backends.MemoryUse {
	use := backends.MemoryUse{Device: int64(len(s.memory))}
	for _, o := range s.outputs {
		use.Host += int64(o.Len() * o.DType().Size())
	}
	return use
}

// Close implements backends.Session.
func (s *session) Close() error {
	if s.progress.Close() {
		s.memory, s.kernels, s.inputs, s.results, s.outputs = nil, nil, nil, nil, nil
	}
	return nil
}
