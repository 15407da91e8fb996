package backends

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Session is a compiled graph. Inputs are uploaded once, executed any number of times, and what is wanted of the outputs is downloaded,
// so that on a device neither inputs nor outputs move while it computes. One call at a time: a Session is not safe for concurrent use,
// but several sessions are.
type Session interface {
	// Upload checks the inputs (CheckInputs) and copies them to where the session computes. They stay there until the next Upload. It computes
	// nothing: what an upload or a download takes beyond a transfer breaks a timed cell (perf/measure).
	Upload(ctx context.Context, inputs tensor.List) error
	// Execute computes the whole graph from what was uploaded last, every time, and returns when it is done. It transfers nothing. When ctx ends
	// it may stop early, with ctx's error.
	Execute(ctx context.Context) error
	// Download returns outputs of the last Execute by name, in the order of the names; without names all of them, in the graph's
	// order and then the taps'. They are views into the session's memory, valid until its next Upload, Execute or Close. Their types
	// are the graph's, except that an FP64 session has float64 where the graph declares float32.
	Download(ctx context.Context, names ...string) (tensor.List, error)
	// LastTiming returns the backend's own clock for the last call of each kind.
	LastTiming() Timing
	// Plan tells how the session executes its graph. It is the session's own: do not change it.
	Plan() Plan
	// Memory returns what the session holds.
	Memory() MemoryUse
	// Close releases the session. A second call does nothing.
	Close() error
}

// Run uploads inputs, executes once and downloads every output: one inference from end to end.
func Run(ctx context.Context, s Session, inputs tensor.List) (tensor.List, error) {
	if err := s.Upload(ctx, inputs); err != nil {
		return nil, err
	}
	if err := s.Execute(ctx); err != nil {
		return nil, err
	}
	return s.Download(ctx)
}

// Timing is the duration of the last calls of a session.
type Timing struct {
	Upload, Execute, Download time.Duration // by the host's clock, inside the backend

	// Device is how long the device computed during the last Execute, by its own clock; 0 for a backend without one.
	Device time.Duration
	// Steps are the times of the plan's steps in the last Execute, in their order, by the device's clock where there is one. They are
	// there if Options.StepTimes asked for them and the backend can tell. The slice is the session's, valid until its next Execute.
	Steps []time.Duration
}

// Total returns the time of one inference from end to end.
func (t Timing) Total() time.Duration { return t.Upload + t.Execute + t.Download }

// MemoryUse is what a session holds, in bytes; 0 where a backend cannot tell.
type MemoryUse struct {
	Host, Device int64

	// Peak is the most resident memory that the process of the session had since it began to compile. A backend leaves it 0: it is
	// told by whoever runs sessions in processes of their own.
	Peak int64
}

// The errors of calls that come too late or too early. What a backend returns wraps them.
var (
	ErrClosed      = errors.New("the session is closed")
	ErrNotUploaded = errors.New("nothing was uploaded that could be executed")
	ErrNotExecuted = errors.New("there are no outputs: the last upload was not executed to its end")
)

// Progress keeps the order of a session's calls, so that every backend refuses the same ones with the same errors. The zero value is that
// of a new session.
type Progress struct{ closed, uploaded, executed bool }

// Upload is that of a session for a graph. write brings an input, by its place among the graph's, to where the session computes. The time that it
// took becomes t.Upload.
func (p *Progress) Upload(g *graph.Graph, inputs tensor.List, t *Timing, write func(input int, x *tensor.Tensor) error) error {
	start := time.Now()
	if err := p.Uploading(); err != nil {
		return err
	}
	if err := CheckInputs(g, inputs); err != nil {
		return err
	}
	for i, v := range g.Inputs {
		if err := write(i, inputs.Get(v.Name)); err != nil {
			return err
		}
	}
	p.Uploaded()
	t.Upload = time.Since(start)
	return nil
}

// Execute is that of a session whose computation, run, begins if ctx has not ended. The time that it took becomes t.Execute.
func (p *Progress) Execute(ctx context.Context, t *Timing, run func() error) error {
	start := time.Now()
	if err := p.Executing(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := run(); err != nil {
		return err
	}
	p.Executed()
	t.Execute = time.Since(start)
	return nil
}

// Uploading begins an Upload: until Uploaded there is nothing to execute.
func (p *Progress) Uploading() error {
	p.uploaded, p.executed = false, false
	return p.open()
}

// Uploaded ends an Upload that succeeded.
func (p *Progress) Uploaded() { p.uploaded = true }

// Executing begins an Execute: until Executed there is nothing to download.
func (p *Progress) Executing() error {
	p.executed = false
	if err := p.open(); err != nil {
		return err
	}
	if !p.uploaded {
		return ErrNotUploaded
	}
	return nil
}

// Executed ends an Execute that succeeded.
func (p *Progress) Executed() { p.executed = true }

// Downloading begins a Download.
func (p *Progress) Downloading() error {
	if err := p.open(); err != nil {
		return err
	}
	if !p.executed {
		return ErrNotExecuted
	}
	return nil
}

// Download is that of a session with views into the host's memory. read brings an output there, by its place among the outputs, where the
// session computes elsewhere; nil where they lie there already. The time that it took becomes t.Download.
func (p *Progress) Download(outputs tensor.List, names []string, t *Timing, read func(output int) error) (tensor.List, error) {
	start := time.Now()
	if err := p.Downloading(); err != nil {
		return nil, err
	}
	out, err := SelectOutputs(outputs, names)
	if err != nil {
		return nil, err
	}
	for i, o := range outputs {
		if read == nil || out.Get(o.Name) == nil {
			continue
		}
		if err := read(i); err != nil {
			return nil, err
		}
	}
	t.Download = time.Since(start)
	return out, nil
}

// Close ends the session. It tells whether this is the first call.
func (p *Progress) Close() (first bool) {
	first = !p.closed
	p.closed = true
	return first
}

func (p *Progress) open() error {
	if p.closed {
		return ErrClosed
	}
	return nil
}

// SelectOutputs returns the named ones of a session's outputs, in the order of the names; all of them without names. Its error names
// one that the session does not have.
func SelectOutputs(all tensor.List, names []string) (tensor.List, error) {
	if len(names) == 0 {
		return all, nil
	}
	out := make(tensor.List, 0, len(names))
	for _, name := range names {
		t := all.Get(name)
		if t == nil {
			return nil, fmt.Errorf("the session has no output %q", name)
		}
		out = append(out, tensor.Named{Name: name, Tensor: t})
	}
	return out, nil
}
