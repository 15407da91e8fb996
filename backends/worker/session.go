package worker

import (
	"bufio"
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

// session is a compiled graph in a worker.
type session struct {
	worker  *Worker
	owned   bool // closing the session closes the worker
	id      int
	graph   *graph.Graph // with the taps as outputs
	folder  *folder      // nil once it is removed
	layout  layout       // of the inputs
	inputs  *os.File
	outputs *results
	ran     bool          // some request has run it
	cold    time.Duration // that the request took in which it ran first
	timing  backends.Timing
	memory  backends.MemoryUse
	closed  bool
}

// Compile sends the graph to the worker. Errors of the graph's encoding and of taps are found on this side.
func (w *Worker) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	s, err := w.compile(ctx, g, opts)
	if err != nil { // not a nil *session in a Session
		return nil, err
	}
	return s, nil
}

func (w *Worker) compile(ctx context.Context, g *graph.Graph, opts backends.Options) (_ *session, err error) {
	s := &session{worker: w}
	if g, err = g.WithReplay(opts.Replay); err != nil { // the worker gets a graph with more inputs and knows no replay
		return nil, badInput(err)
	}
	if s.graph, err = g.WithTaps(opts.Taps); err != nil {
		return nil, badInput(err)
	}
	for _, v := range g.Inputs {
		if err := s.layout.add(v.Name, v.DType, v.Shape); err != nil {
			return nil, badInput(err)
		}
	}
	defer func() {
		if err != nil || removeEarly {
			s.removeFolder()
		}
		if err != nil {
			s.closeFiles()
		}
	}()
	if err := s.makeFiles(g, opts.Precision); err != nil {
		return nil, err
	}
	req := compileRequest{
		Folder: s.folder.path, Graph: s.folder.file("graph"), GraphFormat: formatONNX, Inputs: s.inputs.Name(),
		Outputs: s.outputs.file.Name(), Layout: s.layout.places, Precision: string(opts.Precision), Threads: opts.Threads,
		Taps: opts.Taps, Extra: opts.Extra,
	}
	var r compileReply
	if err := w.call(ctx, w.spec.Deadline, kindCompile, req, &r); err != nil {
		return nil, err
	}
	if err := r.Memory.check(); err != nil {
		return nil, w.refused("compile reply", err)
	}
	s.id, s.memory = r.Session, backends.MemoryUse(r.Memory)
	return s, nil
}

// makeFiles makes the folder, with room for the outputs that the first run adds, and the files that the worker opens.
func (s *session) makeFiles(g *graph.Graph, precision backends.Precision) (err error) {
	want, err := expectedOutputs(s.graph, precision)
	if err != nil {
		return badInput(err)
	}
	need := s.layout.size
	for _, e := range want {
		need += roundUp(e.bytes, alignment)
	}
	for _, v := range g.Constants() {
		need += int64(v.Len()) * int64(v.DType.Size())
	}
	if s.folder, err = newFolder(need); err != nil {
		return err
	}
	if err := writeGraph(s.folder.file("graph"), g); err != nil {
		return fmt.Errorf("graph for the worker of backend %s: %w", s.worker.spec.Name, err)
	}
	if s.inputs, err = s.folder.create("inputs", s.layout.size); err != nil {
		return err
	}
	file, err := s.folder.create("outputs", 0) // which the worker makes as long as it needs
	if err != nil {
		return err
	}
	s.outputs = &results{file: file, want: want}
	return nil
}

func writeGraph(path string, g *graph.Graph) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	return errors.Join(onnx.Write(w, g, onnx.WriteOptions{Form: onnx.Plain}), w.Flush(), f.Close())
}

// Run writes the inputs into their file, lets the worker compute and reads its outputs into memory of the session.
func (s *session) Run(ctx context.Context, inputs tensor.List) (tensor.List, error) {
	if err := s.place(inputs); err != nil {
		return nil, err
	}
	var r runReply
	took, err := s.request(ctx, kindRun, sessionRequest{s.id}, &r)
	if err != nil {
		return nil, err
	}
	if err := first(r.Timing.check(took), r.Memory.check()); err != nil {
		return nil, s.worker.refused("run reply", err)
	}
	out, err := s.read(r.outputsReply)
	if err != nil {
		return nil, err
	}
	s.timing, s.memory = r.Timing.timing(), backends.MemoryUse(r.Memory)
	return out, nil
}

// request makes a request that runs the session, and tells how long it took.
func (s *session) request(ctx context.Context, kind string, body, reply any) (took time.Duration, err error) {
	start := time.Now()
	err = s.worker.call(ctx, s.worker.spec.Deadline, kind, body, reply)
	took = time.Since(start)
	if !s.ran { // a request that failed may have run all the same
		s.cold, s.ran = max(s.cold, took), err == nil
	}
	return took, err
}

// read takes the outputs that a reply tells of.
func (s *session) read(r outputsReply) (tensor.List, error) {
	out, err := s.outputs.read(r.Layout, r.Size)
	if err != nil {
		return nil, s.worker.refused("outputs", err)
	}
	return out, nil
}

// place checks the inputs and writes them into their file.
func (s *session) place(inputs tensor.List) error {
	if s.closed {
		return fmt.Errorf("backend %s: the session is closed", s.worker.spec.Name)
	}
	if len(inputs) != len(s.layout.places) {
		return badInput(fmt.Errorf("got %d inputs, the graph has %d", len(inputs), len(s.layout.places)))
	}
	for _, p := range s.layout.places {
		t := inputs.Get(p.Name)
		if t == nil {
			return badInput(fmt.Errorf("input %q is missing", p.Name))
		}
		if t.DType().String() != p.DType || !slices.Equal(t.Shape(), p.Shape) {
			return badInput(fmt.Errorf("input %q is %v, the session was compiled for %s%v", p.Name, t, p.DType, p.Shape))
		}
		if _, err := s.inputs.WriteAt(bytesOf(t), p.Offset); err != nil {
			return fmt.Errorf("inputs for the worker of backend %s: %w", s.worker.spec.Name, err)
		}
	}
	return nil
}

// LastTiming returns the worker's clock, without the transport, which the caller's own clock includes.
func (s *session) LastTiming() backends.Timing { return s.timing }

// Memory returns what the worker's session held after the last request.
func (s *session) Memory() backends.MemoryUse { return s.memory }

// Peak returns the most physical memory, in bytes, that the worker's process has held since it was last asked to compile: its
// sessions, its libraries and the program itself. 0 where the system does not tell.
func (s *session) Peak() int64 { return peakMemory(s.worker.proc.cmd.Process.Pid) }

// Close ends the session, and its worker if nothing else uses it. A worker that has died already is no error here: the call
// that it died over has said so.
func (s *session) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	defer s.closeFiles()
	defer s.removeFolder()
	if s.owned {
		return s.worker.Close()
	}
	err := s.worker.call(context.Background(), s.worker.spec.questionTimeout(), kindClose, sessionRequest{s.id}, &struct{}{})
	if goesOn(err) {
		return err
	}
	return nil
}

func (s *session) removeFolder() {
	if s.folder != nil {
		s.folder.remove()
		s.folder = nil
	}
}

func (s *session) closeFiles() {
	if s.inputs != nil {
		s.inputs.Close()
	}
	if s.outputs != nil {
		s.outputs.file.Close()
	}
	s.inputs, s.outputs = nil, nil
}
