package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// hosted is a session at the worker's end.
type hosted struct {
	session backends.Session
	graph   *graph.Graph
	folder  string
	inputs  *region
	outputs *region
	views   tensor.List // of the inputs

	pid      int           // of this process
	firstRun time.Duration // of the first run, 0 before it
	last     tensor.List   // outputs of the last run, nil before the first and after one that failed
}

func (s *server) compile(ctx context.Context, r compileRequest) (_ any, err error) {
	s.mu.Lock()
	s.folders[r.Folder] = true
	s.mu.Unlock()
	h := &hosted{folder: r.Folder, pid: os.Getpid()}
	resetPeakMemory()
	defer func() {
		if err != nil {
			s.release(h)
		}
	}()
	if h.graph, err = readGraph(r); err != nil {
		return nil, err
	}
	if h.inputs, err = openRegion(r.Inputs, true); err != nil {
		return nil, badMessage("inputs: %v", err)
	}
	if h.outputs, err = openRegion(r.Outputs, false); err != nil {
		return nil, badMessage("outputs: %v", err)
	}
	if err := h.viewInputs(r.Layout); err != nil {
		return nil, badMessage("%v", err)
	}
	opts := backends.Options{Precision: backends.Precision(r.Precision), Threads: r.Threads, Taps: r.Taps, Extra: r.Extra}
	if h.session, err = s.backend.Compile(ctx, h.graph, opts); err != nil {
		return nil, err
	}
	wrapped, err := inject(h.session, h.graph.Metadata[CellKey])
	if err != nil {
		return nil, err
	}
	h.session = wrapped
	s.lastID++
	s.sessions[s.lastID] = h
	return compileReply{Session: s.lastID, Memory: wireMemory(h.session.Memory())}, nil
}

func readGraph(r compileRequest) (*graph.Graph, error) {
	if r.GraphFormat != formatONNX {
		return nil, badMessage("graph format %q is unknown (known: %s)", r.GraphFormat, formatONNX)
	}
	encoded, err := os.ReadFile(r.Graph)
	if err != nil {
		return nil, badMessage("graph: %v", err)
	}
	g, err := onnx.Read(encoded)
	if err != nil {
		return nil, badInput(fmt.Errorf("graph: %w", err))
	}
	return g, nil
}

// viewInputs checks the layout against the graph.
func (h *hosted) viewInputs(places []place) error {
	if len(places) != len(h.graph.Inputs) {
		return fmt.Errorf("the layout has %d inputs, the graph %d", len(places), len(h.graph.Inputs))
	}
	for i, p := range places {
		want := h.graph.Inputs[i]
		if p.Name != want.Name || p.DType != want.DType.String() || !slices.Equal(p.Shape, want.Shape) {
			return fmt.Errorf("input %d is laid out as %q %s%v, the graph has %q %v", i, p.Name, p.DType, p.Shape, want.Name, want.Type)
		}
		t, err := p.view(h.inputs.data)
		if err != nil {
			return err
		}
		h.views = append(h.views, tensor.Named{Name: p.Name, Tensor: t})
	}
	return nil
}

func (s *server) session(id int) (*hosted, error) {
	h, ok := s.sessions[id]
	if !ok {
		return nil, badMessage("there is no session %d", id)
	}
	return h, nil
}

func (s *server) run(ctx context.Context, r sessionRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	if err := h.inputs.fetch(); err != nil {
		return nil, err
	}
	if _, err := h.run(ctx); err != nil {
		return nil, h.blame(err)
	}
	stored, err := h.store()
	if err != nil {
		return nil, err
	}
	return runReply{stored, toTiming(h.session.LastTiming()), wireMemory(h.session.Memory())}, nil
}

// outputs stores what the last run gave, such as the last one of a measurement.
func (s *server) outputs(r sessionRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	if h.last == nil {
		return nil, badMessage("session %d has no outputs: no run has succeeded since it was compiled or since one failed", r.Session)
	}
	return h.store()
}

// run executes once and tells how long that took, at least 1 ns, as a coarse clock may not have moved. The time of the first run
// is kept.
func (h *hosted) run(ctx context.Context) (took time.Duration, err error) {
	start := time.Now()
	h.last, err = h.session.Run(ctx, h.views)
	took = max(time.Since(start), 1)
	if h.firstRun == 0 {
		h.firstRun = took
	}
	return took, err
}

// blame makes an error of a run that bad inputs explain the caller's fault.
func (h *hosted) blame(err error) error {
	if backends.CheckInputs(h.graph, h.views) != nil {
		return badInput(err)
	}
	return err
}

// store copies the outputs of the last run into the shared file, which grows as needed.
func (h *hosted) store() (outputsReply, error) {
	var l layout
	for _, t := range h.last {
		if err := l.add(t.Name, t.DType(), t.Shape()); err != nil {
			return outputsReply{}, err
		}
	}
	if err := h.outputs.grow(l.size); err != nil {
		return outputsReply{}, err
	}
	for i, t := range h.last {
		l.places[i].store(h.outputs.data, t.Tensor)
	}
	return outputsReply{l.places, int64(len(h.outputs.data))}, h.outputs.publish()
}

func (s *server) closeSession(r sessionRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	delete(s.sessions, r.Session)
	return struct{}{}, s.release(h)
}

// closeAll closes every session.
func (s *server) closeAll() error {
	var errs []error
	for id, h := range s.sessions {
		delete(s.sessions, id)
		errs = append(errs, s.release(h))
	}
	return errors.Join(errs...)
}

// release closes what there is of a session.
func (s *server) release(h *hosted) (err error) {
	if h.session != nil {
		err = h.session.Close()
	}
	for _, r := range []*region{h.inputs, h.outputs} {
		if r != nil {
			r.close()
		}
	}
	removeFolder(h.folder)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.folders, h.folder)
	return err
}
