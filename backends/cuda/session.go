package cuda

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// An execution is a lowered program on a device.
type execution struct {
	device     Device
	memory     *memory
	executable Executable
	word       []byte   // where kernels tell of a fault: the number of a step, from 1
	faults     []string // what a fault of each step means
}

func newExecution(d Device, p *lower.Program, c *compiler) (*execution, error) {
	word, address, err := d.Host(4)
	if err != nil {
		return nil, err
	}
	clear(word)
	m, err := newMemory(d, p, c, address)
	if err != nil {
		return nil, err
	}
	e := &execution{device: d, memory: m, word: word}
	schedule := Schedule{After: dependencies(c.steps, c.bytes)}
	for _, s := range c.steps {
		schedule.Steps = append(schedule.Steps, s.bound(m))
		e.faults = append(e.faults, fmt.Sprintf("node %s (%s): %s", s.Node.Name, s.Node.Op.OpType(), cmp.Or(s.fault, "an index is out of range")))
	}
	if err := m.flush(d); err != nil {
		return nil, err
	}
	e.executable, err = d.Prepare(schedule)
	return e, err
}

// execute runs the program once, and returns the time by the device's clock.
func (e *execution) execute() error {
	_, err := e.timed()
	return err
}

func (e *execution) timed() (time.Duration, error) {
	d, err := e.executable.Run()
	if err != nil {
		return 0, err
	}
	return d, e.fault()
}

func (e *execution) timedSteps(times []time.Duration) error {
	if err := e.executable.RunSteps(times); err != nil {
		return err
	}
	return e.fault()
}

// fault returns what a kernel told of, and forgets it.
func (e *execution) fault() error {
	step := binary.NativeEndian.Uint32(e.word)
	if step == 0 {
		return nil
	}
	clear(e.word)
	return errors.New(e.faults[step-1])
}

// close gives back the memory of the device.
func (e *execution) close() error {
	return errors.Join(e.executable.Close(), e.device.Free(e.memory.arena), e.device.Free(e.memory.constants))
}

// session implements backends.Session.
type session struct {
	progress backends.Progress
	graph    *graph.Graph // what its inputs are checked against
	run      *execution
	inputs   []staged
	outputs  []staged
	results  tensor.List // on the memory of outputs
	plan     backends.Plan
	timing   backends.Timing
	memory   backends.MemoryUse
}

// staged is a value with memory of the host, through which it is copied.
type staged struct {
	device Address
	host   []byte
}

func newSession(g *graph.Graph, p *lower.Program, c *compiler) (*session, error) {
	run, err := newExecution(c.device, p, c)
	if err != nil {
		return nil, err
	}
	s := &session{graph: backends.InputsOf(g), run: run}
	for _, v := range p.Inputs {
		if err := s.stage(&s.inputs, v); err != nil {
			return nil, err
		}
	}
	for _, o := range p.Outputs {
		if err := s.stage(&s.outputs, o.Value); err != nil {
			return nil, err
		}
		on := tensor.On(s.outputs[len(s.outputs)-1].host, o.Value.DType, o.Value.Shape...)
		s.results = append(s.results, tensor.Named{Name: o.Name, Tensor: on})
	}
	s.plan = newPlan(p, c, run.memory.sizes.arena)
	s.memory.Device = int64(run.memory.sizes.arena + run.memory.sizes.constants)
	if c.stepTimes {
		s.timing.Steps = make([]time.Duration, len(c.steps))
	}
	p.Discard()
	return s, nil
}

func (s *session) stage(list *[]staged, v *lower.Value) error {
	host, _, err := s.run.device.Host(v.Bytes())
	*list = append(*list, staged{s.run.memory.at(v), host})
	s.memory.Host += int64(v.Bytes())
	return err
}

// Upload implements backends.Session.
func (s *session) Upload(_ context.Context, inputs tensor.List) error {
	return s.progress.Upload(s.graph, inputs, &s.timing, func(i int, x *tensor.Tensor) error {
		to := s.inputs[i]
		copy(to.host, tensor.Bytes(x))
		return s.run.device.Write(to.device, to.host)
	})
}

// Execute implements backends.Session: one launch of the whole graph, which is not interrupted. A session with StepTimes executes the steps
// one after the other.
func (s *session) Execute(ctx context.Context) error {
	return s.progress.Execute(ctx, &s.timing, s.execute)
}

func (s *session) execute() (err error) {
	if s.timing.Steps == nil {
		s.timing.Device, err = s.run.timed()
		return err
	}
	err = s.run.timedSteps(s.timing.Steps)
	s.timing.Device = 0
	for _, d := range s.timing.Steps {
		s.timing.Device += d
	}
	return err
}

// Download implements backends.Session.
func (s *session) Download(_ context.Context, names ...string) (tensor.List, error) {
	return s.progress.Download(s.results, names, &s.timing, func(i int) error {
		return s.run.device.Read(s.outputs[i].host, s.outputs[i].device)
	})
}

// LastTiming implements backends.Session.
func (s *session) LastTiming() backends.Timing { return s.timing }

// Plan implements backends.Session.
func (s *session) Plan() backends.Plan { return s.plan }

// Memory implements backends.Session: on the device the arena, weights and tables; on the host the page-locked memory of inputs and outputs.
func (s *session) Memory() backends.MemoryUse { return s.memory }

// Close implements backends.Session.
func (s *session) Close() error {
	if !s.progress.Close() {
		return nil
	}
	err := errors.Join(s.run.close(), s.run.device.Close())
	s.results, s.inputs, s.outputs = nil, nil, nil
	return err
}
