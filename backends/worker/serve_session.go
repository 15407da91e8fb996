package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// hosted is a session at the worker's end.
type hosted struct {
	session backends.Session
	graph   *graph.Graph // with replayed decisions among its inputs
	folder  string
	weights *region // that constants of the graph are views of
	inputs  *region
	outputs *region
	views   tensor.List // of the inputs

	stepTimes bool // the session was asked for them
	pid       int  // of this process
}

func (s *server) compile(ctx context.Context, r compileRequest, progress func(backends.Stage)) (_ any, err error) {
	s.mu.Lock()
	s.folders[r.Folder] = true
	s.mu.Unlock()
	h := &hosted{folder: r.Folder, stepTimes: r.StepTimes, pid: os.Getpid()}
	resetPeakMemory()
	defer func() {
		if err != nil {
			s.release(h)
		}
	}()
	g, places, err := h.readGraph(r.Graph, r.GraphFormat, r.Weights)
	if err != nil {
		return nil, err
	}
	if h.graph, err = g.WithReplay(r.Replay); err != nil {
		return nil, badInput(err)
	}
	if h.inputs, err = openRegion(r.Inputs, true); err != nil {
		return nil, badMessage("inputs: %v", err)
	}
	if h.outputs, err = openRegion(r.Outputs, false); err != nil {
		return nil, badMessage("outputs: %v", err)
	}
	if h.views, err = h.view(r.Layout, h.inputs.data); err != nil {
		return nil, badMessage("%v", err)
	}
	opts := backends.Options{
		Precision: backends.Precision(r.Precision), Threads: r.Threads, Taps: r.Taps, Replay: r.Replay, Extra: r.Extra, StepTimes: r.StepTimes,
		Weights: &backends.Weights{Folder: r.Folder, Places: places}, Progress: progress,
	}
	if err := misread(g, opts); err != nil {
		return nil, err
	}
	if h.session, err = s.backend.Compile(ctx, g, opts); err != nil {
		return nil, err
	}
	if h.weights != nil {
		h.weights.rest()
	}
	wrapped, err := inject(h.session, h.graph.Metadata[CellKey])
	if err != nil {
		return nil, err
	}
	h.session = wrapped
	s.lastID++
	s.sessions[s.lastID] = h
	return compileReply{Session: s.lastID, Memory: memoryOnWire(h.session.Memory()), Plan: h.session.Plan()}, nil
}

// readGraph reads the graph, whose larger constants are views of its file of weights.
func (h *hosted) readGraph(path, format, weightsPath string) (*graph.Graph, onnx.Places, error) {
	if format != formatONNX {
		return nil, nil, badMessage("graph format %q is unknown (known: %s)", format, formatONNX)
	}
	encoded, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, badMessage("graph: %v", err)
	}
	weights, err := h.mapWeights(weightsPath)
	if err != nil {
		return nil, nil, badMessage("weights: %v", err)
	}
	g, places, err := onnx.ReadExternal(encoded, weights)
	if err != nil {
		return nil, nil, badInput(fmt.Errorf("graph: %w", err))
	}
	return g, places, nil
}

// mapWeights returns the content of the file of weights, nothing where there is no file or nothing in it.
func (h *hosted) mapWeights(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	if h.weights, err = openRegion(path, true); err != nil {
		return nil, err
	}
	return h.weights.data, h.weights.fetch()
}

// view checks a layout of inputs in data against the graph, and returns them.
func (h *hosted) view(places []place, data []byte) (tensor.List, error) {
	if len(places) != len(h.graph.Inputs) {
		return nil, fmt.Errorf("the layout has %d inputs, the graph %d", len(places), len(h.graph.Inputs))
	}
	var views tensor.List
	for i, p := range places {
		want := h.graph.Inputs[i]
		if p.Name != want.Name || p.DType != want.DType.String() || !slices.Equal(p.Shape, want.Shape) {
			return nil, fmt.Errorf("input %d is laid out as %q %s%v, the graph has %q %v", i, p.Name, p.DType, p.Shape, want.Name, want.Type)
		}
		t, err := p.view(data)
		if err != nil {
			return nil, err
		}
		views = append(views, tensor.Named{Name: p.Name, Tensor: t})
	}
	return views, nil
}

func (s *server) session(id int) (*hosted, error) {
	h, ok := s.sessions[id]
	if !ok {
		return nil, badMessage("there is no session %d", id)
	}
	return h, nil
}

func (s *server) upload(ctx context.Context, r sessionRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	if err := h.inputs.fetch(); err != nil {
		return nil, err
	}
	if err := h.session.Upload(ctx, h.views); err != nil {
		return nil, h.blame(err)
	}
	return uploadReply{h.session.LastTiming().Upload.Nanoseconds()}, nil
}

func (s *server) execute(ctx context.Context, r sessionRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	if err := h.session.Execute(ctx); err != nil {
		return nil, outOfOrder(err)
	}
	t := h.session.LastTiming()
	reply := executeReply{Execute: t.Execute.Nanoseconds(), Device: t.Device.Nanoseconds(), Memory: memoryOnWire(h.session.Memory())}
	for _, step := range t.Steps {
		reply.Steps = append(reply.Steps, step.Nanoseconds())
	}
	return reply, nil
}

func (s *server) download(ctx context.Context, r downloadRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	out, err := h.session.Download(ctx, r.Outputs...)
	if err != nil {
		return nil, outOfOrder(err)
	}
	return h.store(out)
}

// blame makes an error of an upload that bad inputs explain the caller's fault.
func (h *hosted) blame(err error) error {
	if backends.CheckInputs(h.graph, h.views) != nil {
		return badInput(err)
	}
	return err
}

// outOfOrder makes the error of a request that came too early the client's fault.
func outOfOrder(err error) error {
	if errors.Is(err, backends.ErrNotUploaded) || errors.Is(err, backends.ErrNotExecuted) {
		return badMessage("%v", err)
	}
	return err
}

// store copies outputs into the shared file, which grows as needed.
func (h *hosted) store(out tensor.List) (downloadReply, error) {
	var l layout
	for _, t := range out {
		if err := l.add(t.Name, t.DType(), t.Shape()); err != nil {
			return downloadReply{}, err
		}
	}
	if err := h.outputs.grow(l.size); err != nil {
		return downloadReply{}, err
	}
	for i, t := range out {
		l.places[i].store(h.outputs.data, t.Tensor)
	}
	return downloadReply{l.places, int64(len(h.outputs.data)), h.session.LastTiming().Download.Nanoseconds()}, h.outputs.publish()
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
	for _, r := range []*region{h.weights, h.inputs, h.outputs} {
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
