package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// calibrateRequest names three files of one folder, which the worker reads before it answers. The inputs are those of Batches sessions' uploads, one after the
// other: a tensor of the next one lies Stride bytes behind that of the one before.
type calibrateRequest struct {
	Folder      string  `json:"folder"`
	Graph       string  `json:"graph"`
	GraphFormat string  `json:"graph_format"`
	Weights     string  `json:"weights,omitempty"`
	Inputs      string  `json:"inputs"`
	Layout      []place `json:"layout"` // of the first batch
	Stride      int64   `json:"stride"`
	Batches     int     `json:"batches"`
	Method      string  `json:"method"`
	Progress    bool    `json:"progress,omitempty"`
}

type calibrateReply struct {
	Table []byte `json:"table"`
}

// Calibrate implements backends.Calibrator in a worker of its own.
func (c *Client) Calibrate(ctx context.Context, g *graph.Graph, inputs []tensor.List, o backends.CalibrateOptions) (table []byte, err error) {
	w, err := Start(ctx, c.spec)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return w.Calibrate(ctx, g, inputs, o)
}

// Calibrate implements backends.Calibrator. A worker of an earlier version of the protocol has no calibrator.
func (w *Worker) Calibrate(ctx context.Context, g *graph.Graph, inputs []tensor.List, o backends.CalibrateOptions) ([]byte, error) {
	f, r, err := w.calibration(g, inputs)
	if err != nil {
		return nil, err
	}
	defer f.remove()
	r.Method, r.Progress = o.Method, o.Progress != nil
	var reply calibrateReply
	err = w.call(withProgress(ctx, o.Progress), w.spec.compileTimeout(), kindCalibrate, r, &reply)
	var answer *Error
	if errors.As(err, &answer) && answer.Code == CodeUnknownKind {
		return nil, noCalibrator(w.spec.Name, fmt.Sprintf("its worker speaks version %v of the protocol, which cannot calibrate", w.hello.Protocol))
	}
	return reply.Table, err
}

func noCalibrator(backend, why string) error {
	return &backends.Unavailable{Backend: backend, Reason: backends.CalibratorUnavailable, Detail: why}
}

// calibration writes the files of a request.
func (w *Worker) calibration(g *graph.Graph, inputs []tensor.List) (_ *folder, r calibrateRequest, err error) {
	var l layout
	for _, v := range g.Inputs {
		if err := l.add(v.Name, v.DType, v.Shape); err != nil {
			return nil, r, badInput(err)
		}
	}
	need := l.size * int64(len(inputs))
	f, err := newFolder(need + weightBytes(g))
	if err != nil {
		return nil, r, err
	}
	defer func() {
		if err != nil {
			f.remove()
		}
	}()
	if err := writeGraph(f, g); err != nil {
		return nil, r, fmt.Errorf("graph for the worker of backend %s: %w", w.spec.Name, err)
	}
	file, err := f.create("inputs", need)
	if err != nil {
		return nil, r, err
	}
	defer file.Close()
	for i, in := range inputs {
		if err := l.place(file, int64(i)*l.size, in); err != nil {
			return nil, r, err
		}
	}
	return f, calibrateRequest{Folder: f.path, Graph: f.file("graph"), GraphFormat: formatONNX, Weights: f.file(onnx.WeightsFile), Inputs: file.Name(),
		Layout: l.places, Stride: l.size, Batches: len(inputs)}, nil
}

func (s *server) calibrate(ctx context.Context, r calibrateRequest, progress func(backends.Stage)) (_ any, err error) {
	s.mu.Lock()
	s.folders[r.Folder] = true
	s.mu.Unlock()
	h := &hosted{folder: r.Folder}
	defer func() { err = errors.Join(err, s.release(h)) }()
	calibrator, ok := s.backend.(backends.Calibrator)
	if !ok {
		return nil, noCalibrator(s.backend.Name(), "its library finds no ranges by itself; --method entropy, max and percentile need none")
	}
	if h.graph, _, err = h.readGraph(r.Graph, r.GraphFormat, r.Weights); err != nil {
		return nil, err
	}
	if h.inputs, err = openRegion(r.Inputs, true); err != nil {
		return nil, badMessage("inputs: %v", err)
	}
	if err := h.inputs.fetch(); err != nil {
		return nil, err
	}
	batches, err := h.batches(r)
	if err != nil {
		return nil, err
	}
	table, err := calibrator.Calibrate(ctx, h.graph, batches, backends.CalibrateOptions{Method: r.Method, Progress: progress})
	if err != nil {
		return nil, err
	}
	return calibrateReply{table}, nil
}

// batches views the inputs of a request in their file.
func (h *hosted) batches(r calibrateRequest) ([]tensor.List, error) {
	size := int64(len(h.inputs.data))
	if r.Batches < 1 || r.Stride < 1 || r.Stride > size || int64(r.Batches) > size/r.Stride {
		return nil, badMessage("%d batches of %d bytes do not fit the %d bytes of inputs", r.Batches, r.Stride, size)
	}
	var list []tensor.List
	for i := range r.Batches {
		at := int64(i) * r.Stride
		views, err := h.view(r.Layout, h.inputs.data[at:at+r.Stride])
		if err != nil {
			return nil, badMessage("%v", err)
		}
		if err := backends.CheckInputs(h.graph, views); err != nil {
			return nil, badInput(err)
		}
		list = append(list, views)
	}
	return list, nil
}
