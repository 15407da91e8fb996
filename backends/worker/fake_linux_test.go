package worker

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// The test binary is its own worker: with modeVariable set, it serves the fake backend instead of running tests, after
// misbehaving as the mode says.
const modeVariable = "APEXX_WORKER_TEST_MODE"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(modeVariable); mode {
	case "":
		os.Exit(m.Run())
	case "parent", "parent-of-shell":
		beParent(mode)
	case "hold":
		if err := beHolder(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(6)
		}
	default:
		if err := beWorker(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(6)
		}
	}
	os.Exit(0)
}

func beWorker(mode string) error {
	unix.Prctl(unix.PR_SET_PTRACER, unix.PR_SET_PTRACER_ANY, 0, 0, 0) // for hold; not every kernel needs it
	switch mode {
	case "garbage":
		fmt.Println("Loading plugins ...")
		time.Sleep(time.Minute)
	case "slow":
		time.Sleep(time.Minute)
	case "silent":
		return nil
	case "complain":
		return fmt.Errorf("cannot open libfake.so")
	case "next-major":
		return answerHello(Hello{Protocol: Version{Protocol.Major + 1, 0}, Backend: "fake"})
	case "last-major":
		return answerHello(Hello{Protocol: Version{Protocol.Major - 1, 2}, Backend: "fake"})
	case "next-minor":
		return serveNextMinor()
	case "liar":
		return serveLies(os.Getenv(lieVariable))
	case "plain": // a backend and nothing more
		return ServeStdio(context.Background(), struct{ backends.Backend }{fake{}})
	case "other-backend":
		return answerHello(Hello{Protocol: Protocol, Backend: "other"})
	case "wrong-id":
		return answerRaw(`{"id":99,"kind":"hello"}`)
	case "not-json":
		return answerRaw(`hello`)
	case "deaf": // ignores that its input closes
		if err := answerHello(Hello{Protocol: Protocol, Backend: "fake"}); err != nil {
			return err
		}
		time.Sleep(time.Minute)
	}
	return ServeStdio(context.Background(), fake{})
}

func answerHello(h Hello) error {
	payload, err := encodeMessage(1, kindHello, h)
	if err != nil {
		return err
	}
	return answerRaw(string(payload))
}

func answerRaw(payload string) error {
	if _, err := readFrame(os.Stdin); err != nil {
		return err
	}
	return writeFrame(os.Stdout, []byte(payload))
}

// serveNextMinor speaks as a later minor version may: a higher number, fields and a precision that this version does not know.
func serveNextMinor() error {
	if _, err := readFrame(os.Stdin); err != nil {
		return err
	}
	for id, reply := range []string{
		`{"id":1,"kind":"hello","future":[1],"body":{"protocol":{"major":2,"minor":9,"patch":3},"backend":"fake","features":{}}}`,
		`{"id":2,"kind":"probe","body":{"available":true,"precisions":["fp32","fp3"],"facts":[{"key":"k","value":"v","unit":"s"}],"score":1}}`,
	} {
		if err := writeFrame(os.Stdout, []byte(reply)); err != nil {
			return err
		}
		if _, err := readFrame(os.Stdin); err != nil {
			return fmt.Errorf("after reply %d: %w", id+1, err)
		}
	}
	return nil
}

// fake is a backend that knows Identity of everything and Add of float32. Options.Extra names what goes wrong and when:
// "compile", "upload", "execute", "download" or "close" to one of the faults; with "execute-first", the first execution is spared. "busy" is
// how long an execution computes, "drift" adds the number of executions to outputs, and "device" gives the session a clock of the device. "stages" is how
// many stages a compilation tells, of 100 ms each.
type fake struct{}

func (fake) Name() string { return "fake" }

func (fake) Probe(context.Context) backends.Availability {
	if os.Getenv("FAKE_PROBE") == "panic" {
		panic("probe\nfails")
	}
	return backends.Availability{Available: true, Detail: "here", Precisions: []backends.Precision{backends.FP64, backends.FP32}, Facts: []backends.Fact{{Key: "pid", Value: fmt.Sprint(os.Getpid())}}}
}

func (fake) Compile(_ context.Context, g *graph.Graph, o backends.Options) (backends.Session, error) {
	if err := fault(o.Extra["compile"]); err != nil {
		return nil, err
	}
	g, err := o.Apply(g)
	if err != nil {
		return nil, err
	}
	s := newFakeSession(g, o)
	stages, _ := strconv.Atoi(o.Extra["stages"])
	for i := range stages {
		if o.Progress != nil {
			o.Progress(backends.Stage{Name: "stage\nof the fake", Done: i + 1, Total: stages})
		}
		time.Sleep(100 * time.Millisecond)
	}
	if o.Extra["busy"] != "" {
		if s.busy, err = time.ParseDuration(o.Extra["busy"]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Calibrate implements backends.Calibrator: a line for each batch with its method, the number of inputs and their sum.
func (fake) Calibrate(_ context.Context, _ *graph.Graph, inputs []tensor.List, o backends.CalibrateOptions) ([]byte, error) {
	if err := fault(o.Method); err != nil {
		return nil, err
	}
	var table strings.Builder
	for i, in := range inputs {
		if o.Progress != nil {
			o.Progress(backends.Stage{Name: "calibrating", Done: i + 1, Total: len(inputs)})
		}
		sum := float32(0)
		for _, t := range in {
			for _, v := range tensor.Data[float32](t.Tensor) {
				sum += v
			}
		}
		fmt.Fprintln(&table, o.Method, len(in), sum)
	}
	return []byte(table.String()), nil
}

// newFakeSession returns a session of a graph that has its taps already.
func newFakeSession(g *graph.Graph, o backends.Options) *fakeSession {
	s := &fakeSession{graph: g, opts: o}
	s.Fake.Run = s.run
	return s
}

type fakeSession struct {
	backendtest.Fake
	graph *graph.Graph
	opts  backends.Options
	busy  time.Duration

	uploads, runs, downloads int
}

func (s *fakeSession) Upload(ctx context.Context, in tensor.List) error {
	s.uploads++
	if err := cmp.Or(fault(s.opts.Extra["upload"]), backends.CheckInputs(s.graph, in)); err != nil {
		return err
	}
	return s.Fake.Upload(ctx, in)
}

func (s *fakeSession) Download(ctx context.Context, names ...string) (tensor.List, error) {
	s.downloads++
	if err := fault(s.opts.Extra["download"]); err != nil {
		return nil, err
	}
	return s.Fake.Download(ctx, names...)
}

func (s *fakeSession) run(_ context.Context, in tensor.List) (tensor.List, error) {
	s.runs++
	if s.runs > 1 || s.opts.Extra["execute-first"] == "" {
		if err := fault(s.opts.Extra["execute"]); err != nil {
			return nil, err
		}
	}
	s.pass()
	values := map[*graph.Value]*tensor.Tensor{}
	for _, v := range s.graph.Inputs {
		values[v] = in.Get(v.Name)
	}
	for _, n := range s.graph.Nodes {
		x := values[n.Inputs[0]]
		if b, ok := n.Op.(graph.Binary); ok && b.Fn == graph.Add {
			x = add(x, n.Inputs[1].Const)
		}
		values[n.Outputs[0]] = x
	}
	var out tensor.List
	for _, p := range s.graph.Outputs {
		y := values[p.Value]
		if s.opts.Extra["drift"] != "" {
			y = add(y, tensor.Scalar(float32(s.runs)))
		}
		out = append(out, tensor.Named{Name: p.Name, Tensor: y})
	}
	return out, nil
}

// pass lets the time of an execution pass: a short one to the microsecond.
func (s *fakeSession) pass() {
	if s.busy > 10*time.Millisecond {
		time.Sleep(s.busy)
		return
	}
	for start := time.Now(); time.Since(start) < s.busy; {
	}
}

func add(x, c *tensor.Tensor) *tensor.Tensor {
	y, by := x.Clone(), tensor.Data[float32](c)[0]
	for i := range tensor.Data[float32](y) {
		tensor.Data[float32](y)[i] += by
	}
	return y
}

// LastTiming says 700 ns of the device for every execution, and 300 and 400 of its steps, if they are asked for.
func (s *fakeSession) LastTiming() backends.Timing {
	t := backends.Timing{Upload: 1, Execute: 2, Download: 3}
	if s.opts.Extra["device"] != "" {
		t.Device = 700
	}
	if s.opts.StepTimes {
		t.Steps = make([]time.Duration, len(s.graph.Nodes))
		for i := range t.Steps {
			t.Steps[i] = time.Duration(300 + 100*i)
		}
	}
	return t
}

// Plan has a step for every node.
func (s *fakeSession) Plan() (p backends.Plan) {
	for _, n := range s.graph.Nodes {
		p.Steps = append(p.Steps, backends.Step{Name: n.Name, Op: n.Op.OpType(), Nodes: []string{n.Name}, Level: backends.Native, Precision: backends.FP32})
	}
	return p
}

func (s *fakeSession) Memory() backends.MemoryUse {
	return backends.MemoryUse{Host: int64(s.runs), Device: 7}
}
func (s *fakeSession) Close() error { return fault(s.opts.Extra["close"]) }

// hangs is what a worker says on standard error before it hangs.
const hangs = "hangs"

// hanging waits until a worker hangs.
func hanging(w *Worker) {
	for !strings.Contains(w.proc.stderr.String(), hangs) {
		time.Sleep(time.Millisecond)
	}
}

// fault does what the name says: an error, or the end of the process.
func fault(name string) error {
	switch name {
	case "error":
		return fmt.Errorf("kernel 7 failed\nwith status 3")
	case "unavailable":
		return &backends.Unavailable{Backend: "fake", Reason: backends.LibraryNotFound, Detail: "libfake.so"}
	case "wrapped-unavailable":
		return fmt.Errorf("loading: %w", &backends.Unavailable{Backend: "fake", Reason: backends.ProviderUnavailable, Detail: "x"})
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "segv":
		syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	case "stop":
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {} // it may stop this thread a little later
	case "panic":
		panic("index out of range [7]\nwith length 3")
	case "goroutine-panic":
		go panic("in a goroutine")
		select {}
	case "hang":
		fmt.Fprintln(os.Stderr, hangs)
		//lint:ignore SA5002 it spins as a computation does: without a call that a scheduler could hook into
		for {
		}
	case "exit":
		fmt.Fprintln(os.Stderr, "giving up")
		os.Exit(3)
	case "exit-with-escapes":
		fmt.Fprint(os.Stderr, "first\x1b[2J\nlast \xff\x1b]0;title\a")
		os.Exit(3)
	case "print":
		fmt.Println("a library prints on standard output")
	case "child":
		syscall.ForkExec("/bin/sleep", []string{"sleep", "61"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		select {}
	case "daemon": // leaves its pipes to a process of another group
		pipes := []uintptr{0, 1, 2}
		for fd := uintptr(3); fd < 32; fd++ {
			if name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); strings.HasPrefix(name, "pipe:") {
				pipes = append(pipes, fd)
			}
		}
		if _, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "61"}, &syscall.ProcAttr{Files: pipes, Sys: &syscall.SysProcAttr{Setsid: true}}); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "left a daemon")
		os.Exit(3)
	case "allocate":
		var hoard [][]byte
		for range 64 {
			hoard = append(hoard, slices.Repeat([]byte{1}, 32<<20))
		}
		return fmt.Errorf("%d blocks fit", len(hoard))
	}
	return nil
}

// spec returns the spec of a worker in a mode.
func spec(t testing.TB, mode string) Spec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Name: "fake", Command: []string{self}, Env: []string{modeVariable + "=" + mode}}
}

// addGraph adds 1 to x: [n] float32. The tap "before" is x itself.
func addGraph(t testing.TB, n int) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("add")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{n}})
	before := b.Add1("same", graph.Unary{Fn: graph.Identity}, x)
	b.Tap("before", before)
	b.Output("y", b.Add1("sum", graph.Binary{Fn: graph.Add}, before, b.Const("one", tensor.Scalar(float32(1)))))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func floats(n int, v float32) tensor.List {
	return tensor.List{{Name: "x", Tensor: tensor.Must(tensor.Of(slices.Repeat([]float32{v}, n), n))}}
}

// folders lists the folders that process pid has made.
func folders(t testing.TB, pid int) []string {
	t.Helper()
	var all []string
	for _, base := range folderBases() {
		found, err := filepath.Glob(filepath.Join(base, fmt.Sprintf("%s%d-*", folderPrefix, pid)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// patience is how long a test waits for what has to come: far longer than it takes on a busy machine, and less than what a worker that is
// not ended sleeps.
const patience = 30 * time.Second

// vanishes waits until a process is gone. A zombie of ours is not: it was not waited for.
func vanishes(t testing.TB, pid int) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if syscall.Kill(pid, 0) == syscall.ESRCH || orphanedZombie(pid) {
			return
		}
	}
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	t.Errorf("process %d is still there: %s", pid, stat)
}

// orphanedZombie tells a process that has ended and that another has to wait for: init, which may be slow at it.
func orphanedZombie(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z ") && !strings.HasPrefix(rest, fmt.Sprintf("Z %d ", os.Getpid()))
}

// nothingLeft fails if this process has folders or children left.
func nothingLeft(t testing.TB) {
	t.Helper()
	if left := folders(t, os.Getpid()); len(left) > 0 {
		t.Errorf("folders left: %q", left)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	if err != nil {
		return // not Linux, or a kernel without this file
	}
	if kids := strings.Fields(string(text)); len(kids) > 0 {
		t.Errorf("processes left: %v", kids)
	}
}
