package worker

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// Session is a compiled graph in a worker: a backends.Session that can be timed where it computes.
type Session struct {
	progress backends.Progress
	worker   *Worker
	owned    bool // closing the session closes the worker
	id       int
	graph    *graph.Graph // with the taps as outputs
	folder   *folder      // nil once it is removed
	layout   layout       // of the inputs
	inputs   *os.File
	outputs  *results
	plan     backends.Plan
	timing   backends.Timing
	memory   backends.MemoryUse
	measured history
}

// Compile implements backends.Backend with Open.
func (w *Worker) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	s, err := w.Open(ctx, g, opts)
	if err != nil { // not a nil *Session in a backends.Session
		return nil, err
	}
	return s, nil
}

// Open sends the graph to the worker. Errors of the graph's encoding, of taps and of decisions are found on this side.
func (w *Worker) Open(ctx context.Context, g *graph.Graph, opts backends.Options) (_ *Session, err error) {
	s := &Session{worker: w}
	replayed, err := g.WithReplay(opts.Replay)
	if err != nil {
		return nil, badInput(err)
	}
	if s.graph, err = opts.Apply(g); err != nil { // values of a low precision can be tapped too
		return nil, badInput(err)
	}
	for _, v := range replayed.Inputs {
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
		Folder: s.folder.path, Graph: s.folder.file("graph"), GraphFormat: formatONNX, Weights: s.folder.file(onnx.WeightsFile), Inputs: s.inputs.Name(),
		Outputs: s.outputs.file.Name(), Layout: s.layout.places, Precision: string(opts.Precision), Threads: opts.Threads,
		Taps: opts.Taps, Replay: opts.Replay, Extra: opts.Extra, StepTimes: opts.StepTimes, Progress: opts.Progress != nil,
	}
	var r compileReply
	if err := w.call(withProgress(ctx, opts.Progress), w.spec.compileTimeout(), kindCompile, req, &r); err != nil {
		return nil, err
	}
	if err := cmp.Or(r.Memory.check(), r.Plan.Check(s.graph), checkSizes(r.Plan)); err != nil {
		return nil, w.refused("compile reply", err)
	}
	s.id, s.memory, s.plan = r.Session, r.Memory.use(), printablePlan(r.Plan)
	return s, nil
}

// makeFiles makes the folder, with room for the outputs that the first run adds, and the files that the worker opens.
func (s *Session) makeFiles(g *graph.Graph, precision backends.Precision) (err error) {
	want, err := expectedOutputs(s.graph, precision)
	if err != nil {
		return badInput(err)
	}
	need := s.layout.size
	for _, e := range want {
		need += roundUp(e.bytes, alignment)
	}
	if s.folder, err = newFolder(need + weightBytes(g)); err != nil {
		return err
	}
	if err := writeGraph(s.folder, g); err != nil {
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

// weightBytes is how much room the weights of a graph need.
func weightBytes(g *graph.Graph) (n int64) {
	for _, v := range g.Constants() {
		n += int64(v.Len()) * int64(v.DType.Size())
	}
	return n
}

// writeGraph writes the weights once, into a file that the worker maps, and the graph without them.
func writeGraph(f *folder, g *graph.Graph) error {
	form := onnx.WriteOptions{Form: onnx.Plain}
	err := writeFile(f.file(onnx.WeightsFile), func(w io.Writer) (err error) {
		form.External, err = onnx.WriteWeights(w, g)
		return err
	})
	if err != nil {
		return err
	}
	return writeFile(f.file("graph"), func(w io.Writer) error { return onnx.Write(w, g, form) })
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	return errors.Join(write(w), w.Flush(), f.Close())
}

// Upload writes the inputs into their file and has the worker take them from there.
func (s *Session) Upload(ctx context.Context, inputs tensor.List) error {
	if err := s.progress.Uploading(); err != nil {
		return s.wrap(err)
	}
	if err := s.layout.place(s.inputs, 0, inputs); err != nil {
		return err
	}
	var r uploadReply
	start := time.Now()
	if err := s.call(ctx, kindUpload, sessionRequest{s.id}, &r); err != nil {
		return err
	}
	if err := between("upload_ns", r.Upload, time.Since(start)); err != nil {
		return s.worker.refused("upload reply", err)
	}
	s.timing.Upload = time.Duration(r.Upload)
	s.progress.Uploaded()
	return nil
}

// Execute lets the worker compute.
func (s *Session) Execute(ctx context.Context) error {
	if err := s.progress.Executing(); err != nil {
		return s.wrap(err)
	}
	var r executeReply
	start := time.Now()
	if err := s.call(ctx, kindExecute, sessionRequest{s.id}, &r); err != nil {
		return err
	}
	if err := r.check(len(s.plan.Steps), time.Since(start)); err != nil {
		return s.worker.refused("execute reply", err)
	}
	s.timing.Execute, s.timing.Device, s.memory = time.Duration(r.Execute), time.Duration(r.Device), r.Memory.use()
	s.timing.Steps = nil
	for _, ns := range r.Steps {
		s.timing.Steps = append(s.timing.Steps, time.Duration(ns))
	}
	s.progress.Executed()
	return nil
}

// Download has the worker store outputs in their file and reads them into memory of the session.
func (s *Session) Download(ctx context.Context, names ...string) (tensor.List, error) {
	if err := s.progress.Downloading(); err != nil {
		return nil, s.wrap(err)
	}
	want, err := s.outputs.named(names)
	if err != nil {
		return nil, badInput(err)
	}
	var r downloadReply
	start := time.Now()
	if err := s.call(ctx, kindDownload, downloadRequest{s.id, names}, &r); err != nil {
		return nil, err
	}
	if err := between("download_ns", r.Download, time.Since(start)); err != nil {
		return nil, s.worker.refused("download reply", err)
	}
	s.timing.Download = time.Duration(r.Download)
	out, err := s.outputs.read(want, r.Layout, r.Size)
	if err != nil {
		return nil, s.worker.refused("outputs", err)
	}
	return out, nil
}

func (s *Session) call(ctx context.Context, kind string, body, reply any) error {
	return s.worker.call(ctx, s.worker.spec.Deadline, kind, body, reply)
}

// wrap says of which backend a session is that cannot do what was asked.
func (s *Session) wrap(err error) error { return fmt.Errorf("backend %s: %w", s.worker.spec.Name, err) }

// place checks inputs and writes them into their file, whose layout begins at an offset.
func (l layout) place(f *os.File, at int64, inputs tensor.List) error {
	if len(inputs) != len(l.places) {
		return badInput(fmt.Errorf("got %d inputs, the graph has %d", len(inputs), len(l.places)))
	}
	for _, p := range l.places {
		t := inputs.Get(p.Name)
		if t == nil {
			return badInput(fmt.Errorf("input %q is missing", p.Name))
		}
		if t.DType().String() != p.DType || !slices.Equal(t.Shape(), p.Shape) {
			return badInput(fmt.Errorf("input %q is %v, the session was compiled for %s%v", p.Name, t, p.DType, p.Shape))
		}
		if _, err := f.WriteAt(tensor.Bytes(t), at+p.Offset); err != nil {
			return fmt.Errorf("inputs for a worker: %w", err)
		}
	}
	return nil
}

// LastTiming returns the worker's clock, without the transport, which the caller's own clock includes.
func (s *Session) LastTiming() backends.Timing { return s.timing }

// Plan returns what the worker said when it compiled the graph: every node of it is there once.
func (s *Session) Plan() backends.Plan { return s.plan }

// Memory returns what the worker's session held after the last request, and the peak of its process until now.
func (s *Session) Memory() backends.MemoryUse {
	use := s.memory
	use.Peak = peakMemory(s.worker.proc.cmd.Process.Pid)
	return use
}

// Close ends the session, and its worker if nothing else uses it. A worker that has died already is no error here: the call
// that it died over has said so. One that dies over this call is a *Died, and the sessions that share it are gone with it.
func (s *Session) Close() error {
	if !s.progress.Close() {
		return nil
	}
	defer s.closeFiles()
	defer s.removeFolder()
	if s.owned {
		return s.worker.Close()
	}
	err := s.worker.call(context.Background(), s.worker.spec.questionTimeout(), kindClose, sessionRequest{s.id}, &struct{}{})
	var died *Died
	if goesOn(err) || errors.As(err, &died) && died.Stage == kindClose {
		return err
	}
	return nil
}

func (s *Session) removeFolder() {
	if s.folder != nil {
		s.folder.remove()
		s.folder = nil
	}
}

func (s *Session) closeFiles() {
	if s.inputs != nil {
		s.inputs.Close()
	}
	if s.outputs != nil {
		s.outputs.file.Close()
	}
	s.inputs, s.outputs = nil, nil
}
