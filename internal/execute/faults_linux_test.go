package execute

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// faultVariable makes the test binary a worker that misbehaves once: "STAGE/FAULT".
const faultVariable = "APEXX_TEST_FAULT"

func init() {
	misbehave = append(misbehave, func() (bool, error) {
		fault := os.Getenv(faultVariable)
		if fault == "" {
			return false, nil
		}
		return true, serveFault(fault)
	})
}

// The stages of a session at which a worker misbehaves: with its reply to hello, to compile, and to the requests of the first run or of
// the second.
var (
	channelStages  = []string{"hello", "compile", "upload", "execute", "download", "download again"}
	downloadStages = []string{"download", "download again"}
	executeStages  = []string{"execute", "execute again"}
)

// channelFaults are what becomes of the reply at a stage. They get its frame and the channel.
var channelFaults = map[string]func(frame []byte, out *os.File){
	"is killed":    func([]byte, *os.File) { syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} },
	"segfaults":    func([]byte, *os.File) { syscall.Kill(os.Getpid(), syscall.SIGSEGV); select {} },
	"exits":        func([]byte, *os.File) { os.Exit(3) },
	"exits with 0": func([]byte, *os.File) { os.Exit(0) },
	"hangs":        func([]byte, *os.File) { select {} },
	"closes":       func(_ []byte, out *os.File) { out.Close(); select {} },
	"prints":       func(frame []byte, out *os.File) { fmt.Fprintln(out, "Loading plugins ..."); out.Write(frame) },
	"sends a half": func(frame []byte, out *os.File) { out.Write(frame[:len(frame)/2]); os.Exit(0) },
	"sends a length": func(_ []byte, out *os.File) {
		out.Write(binary.LittleEndian.AppendUint32([]byte("apxw"), math.MaxUint32))
		select {}
	},
	"sends no JSON": func(_ []byte, out *os.File) { sendFrame(out, []byte("\x00\xff{")) },
	"sends a list":  func(_ []byte, out *os.File) { sendFrame(out, []byte("[]")) },
	"another id":    editMessage(func(m map[string]any) { m["id"] = 99 }),
	"another kind":  editMessage(func(m map[string]any) { m["kind"] = "probe" }),
	"an error": editMessage(func(m map[string]any) {
		m["kind"] = "error"
		m["body"] = map[string]any{"code": "failed", "message": "no\nkernel"}
	}),
}

// downloadFaults are lies about the outputs: what becomes of the body that tells where they are, or of their file.
var downloadFaults = map[string]func(body map[string]any){
	"negative offset": func(b map[string]any) { output(b, 0)["offset"] = -64 },
	"huge offset":     func(b map[string]any) { output(b, 0)["offset"] = int64(1) << 62 },
	"crooked offset":  func(b map[string]any) { output(b, 0)["offset"] = 4 },
	"overlap":         func(b map[string]any) { output(b, 1)["offset"] = output(b, 0)["offset"] },
	"another name":    func(b map[string]any) { output(b, 0)["name"] = "z" },
	"an output less":  func(b map[string]any) { b["layout"] = b["layout"].([]any)[1:] },
	"an output more": func(b map[string]any) {
		b["layout"] = append(b["layout"].([]any), map[string]any{"name": "z", "dtype": "float32", "shape": []int{1}, "offset": 0})
	},
	"an output twice":   func(b map[string]any) { b["layout"] = append(b["layout"].([]any), b["layout"].([]any)[0]) },
	"another order":     func(b map[string]any) { l := b["layout"].([]any); l[0], l[1] = l[1], l[0] },
	"no layout":         func(b map[string]any) { delete(b, "layout") },
	"another type":      func(b map[string]any) { output(b, 0)["dtype"] = "int32" },
	"another shape":     func(b map[string]any) { output(b, 0)["shape"] = []int{1} },
	"huge shape":        func(b map[string]any) { output(b, 0)["shape"] = []int64{1 << 40, 1 << 40} },
	"negative size":     func(b map[string]any) { b["size"] = -1 },
	"huge size":         func(b map[string]any) { b["size"] = int64(1) << 62 },
	"no size":           func(b map[string]any) { b["size"] = 0 },
	"a number too long": func(b map[string]any) { b["size"] = json.Number("1e400") },
	"text for numbers":  func(b map[string]any) { b["download_ns"] = "soon" },
	"outputs emptied":   func(b map[string]any) { cutFiles(0) },
	"outputs cut":       func(b map[string]any) { cutFiles(100) },
}

// executeFaults are lies about an execution.
var executeFaults = map[string]func(body map[string]any){
	"negative time":   func(b map[string]any) { b["execute_ns"] = -1 },
	"a day of time":   func(b map[string]any) { b["execute_ns"] = int64(24 * time.Hour) },
	"a day of device": func(b map[string]any) { b["device_ns"] = int64(24 * time.Hour) },
	"too many steps":  func(b map[string]any) { b["steps_ns"] = make([]int64, 1<<16) },
	"negative memory": func(b map[string]any) { b["memory"].(map[string]any)["host_bytes"] = -1 },
	"huge memory":     func(b map[string]any) { b["memory"].(map[string]any)["device_bytes"] = int64(1) << 62 },
}

// backendFaults end a backend behind an honest protocol while it compiles or executes.
var backendFaults = map[string]func(){
	"panics":       func() { panic("index out of range") },
	"takes memory": takeMemory,
}

// wrong are faults whose runs end well and whose outputs are wrong: the verdict on them is fail.
var wrong = map[string]func(out tensor.List){
	"all NaN":        func(out tensor.List) { fillAll(out, float32(math.NaN())) },
	"all zero":       func(out tensor.List) { fillAll(out, 0) },
	"all infinite":   func(out tensor.List) { fillAll(out, float32(math.Inf(1))) },
	"one percent":    func(out tensor.List) { scaleAll(out, 1.01) },
	"masks inverted": func(out tensor.List) { scaleOne(out, "mask_logits", -1) },
}

func output(body map[string]any, i int) map[string]any {
	return body["layout"].([]any)[i].(map[string]any)
}

func sendFrame(out *os.File, payload []byte) {
	out.Write(append(binary.LittleEndian.AppendUint32([]byte("apxw"), uint32(len(payload))), payload...))
}

func editMessage(change func(m map[string]any)) func([]byte, *os.File) {
	return func(frame []byte, out *os.File) {
		var m map[string]any
		if err := json.Unmarshal(frame[8:], &m); err != nil {
			panic(err)
		}
		change(m)
		payload, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		sendFrame(out, payload)
	}
}

// cutFiles shortens the file of outputs that this process has open.
func cutFiles(size int64) {
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		panic(err)
	}
	for _, fd := range open {
		if path, err := os.Readlink(fd); err == nil && strings.Contains(path, "apexx-worker-") && strings.Contains(path, "/outputs") { // "(deleted)" follows, as both ends have it
			os.Truncate(fd, size)
		}
	}
}

// taken keeps what takeMemory takes.
var taken [][]byte

func takeMemory() {
	for {
		block := make([]byte, 64<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		taken = append(taken, block)
	}
}

func fillAll(out tensor.List, v float32) {
	for _, o := range out {
		if o.DType() == tensor.Float32 {
			data := tensor.Data[float32](o.Tensor)
			for i := range data {
				data[i] = v
			}
		}
	}
}

func scaleAll(out tensor.List, factor float32) {
	for _, o := range out {
		scaleOne(out, o.Name, factor)
	}
}

func scaleOne(out tensor.List, name string, factor float32) {
	if t := out.Get(name); t.DType() == tensor.Float32 {
		for i := range tensor.Data[float32](t) {
			tensor.Data[float32](t)[i] *= factor
		}
	}
}

// serveFault serves the reference and misbehaves once.
func serveFault(text string) error {
	stage, name, _ := strings.Cut(text, "/")
	b := faultyBackend{Backend: reference.New(), stage: stage, fault: name}
	return worker.Serve(context.Background(), os.Stdin, &faultyChannel{stage: stage, fault: name, seen: map[string]int{}}, b)
}

// faultyChannel passes frames on, each of which comes in one Write, and misbehaves at its stage.
type faultyChannel struct {
	stage, fault string
	seen         map[string]int // replies by kind
}

func (c *faultyChannel) Write(frame []byte) (int, error) {
	var m struct{ Kind string }
	if err := json.Unmarshal(frame[8:], &m); err != nil {
		return 0, err
	}
	stage := m.Kind
	if c.seen[m.Kind]++; c.seen[m.Kind] == 2 {
		stage += " again"
	}
	if stage == c.stage {
		if do := channelFaults[c.fault]; do != nil {
			do(frame, os.Stdout)
			return len(frame), nil
		}
		lie := downloadFaults[c.fault]
		if lie == nil {
			lie = executeFaults[c.fault]
		}
		if lie != nil {
			editMessage(func(m map[string]any) { lie(m["body"].(map[string]any)) })(frame, os.Stdout)
			return len(frame), nil
		}
	}
	return os.Stdout.Write(frame)
}

// faultyBackend is the reference with a fault at one stage.
type faultyBackend struct {
	backends.Backend
	stage, fault string
}

func (b faultyBackend) Compile(ctx context.Context, g *graph.Graph, o backends.Options) (backends.Session, error) {
	b.end("compile")
	s, err := b.Backend.Compile(ctx, g, o)
	return &faultySession{Session: s, of: b}, err
}

// end is what becomes of the process at a stage.
func (b faultyBackend) end(stage string) {
	if do := backendFaults[b.fault]; do != nil && stage == b.stage {
		do()
	}
}

type faultySession struct {
	backends.Session
	of    faultyBackend
	stage string // the execution at hand
}

func (s *faultySession) Execute(ctx context.Context) error {
	if s.stage == "" {
		s.stage = executeStages[0]
	} else {
		s.stage = executeStages[1]
	}
	s.of.end(s.stage)
	return s.Session.Execute(ctx)
}

func (s *faultySession) Download(ctx context.Context, names ...string) (tensor.List, error) {
	out, err := s.Session.Download(ctx, names...)
	if spoil := wrong[s.of.fault]; err == nil && spoil != nil && s.stage == s.of.stage {
		out = out.Clone()
		spoil(out)
	}
	return out, err
}

// allFaults lists every fault as "STAGE/FAULT".
func allFaults() []string {
	var list []string
	add := func(stages []string, names ...string) {
		slices.Sort(names)
		for _, n := range names {
			for _, s := range stages {
				list = append(list, s+"/"+n)
			}
		}
	}
	add(channelStages, keys(channelFaults)...)
	add(downloadStages, keys(downloadFaults)...)
	add(executeStages, keys(executeFaults)...)
	add(append([]string{"compile"}, executeStages...), "panics", "takes memory")
	add(executeStages, keys(wrong)...)
	return list
}

func keys[V any](m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	return list
}

// faultRunner runs the candidate of every case in a worker that misbehaves as the case's name says, and the oracle once.
type faultRunner struct {
	of     *source.Case
	oracle evidence.Run
}

func (r *faultRunner) Execute(ctx context.Context, c *parity.Case, name string, p backends.Precision) evidence.Run {
	if p == backends.FP64 {
		return r.oracle
	}
	self, err := os.Executable()
	if err != nil {
		return evidence.Failed(ctx, err)
	}
	patience := 5 * time.Minute // of those that answer
	if strings.HasSuffix(c.Name, "/hangs") {
		patience = 3 * time.Second
	}
	spec := worker.Spec{Name: name, Command: []string{self}, Env: []string{faultVariable + "=" + c.Name}, Deadline: patience, StartTimeout: patience, MemoryLimit: 1 << 30}
	real := MatrixRunner{Cases: map[string]Subject{c.Name: r.of}, Open: func(string) (backends.Backend, error) { return worker.New(spec), nil }, Threads: 1}
	return real.Execute(ctx, c, name, p)
}

// TestFaultsCostOneCell is a matrix in which more than a hundred workers misbehave, each in its own way. Each costs its own cell, which
// says how it ended in one line, and the honest ones among them pass.
func TestFaultsCostOneCell(t *testing.T) {
	of := fakeCase(t)
	of.Image = noise(1, 1, 3, 128, 128)
	r := &faultRunner{of: of}
	g, err := of.Model.Graph(of.Options(of.Decode))
	if err != nil {
		t.Fatal(err)
	}
	if r.oracle = evidence.Collect(context.Background(), reference.New(), g, of.Tensors(), backends.Options{Precision: backends.FP64, Taps: parity.DecisionTaps(g)}, 1); r.oracle.Err != nil {
		t.Fatal(r.oracle.Err)
	}
	faults := allFaults()
	if len(faults) < 100 {
		t.Fatalf("%d faults, want a hundred", len(faults))
	}
	spec := parity.MatrixSpec{Columns: []parity.Column{{Backend: "reference", Precision: backends.FP64}, {Backend: "reference", Precision: backends.FP32}}, Runner: r, Jobs: 8}
	setting := ParityCase(of).Setting
	for i, f := range faults {
		spec.Cases = append(spec.Cases, parity.Case{Name: f, Setting: setting})
		if i%10 == 0 {
			spec.Cases = append(spec.Cases, parity.Case{Name: fmt.Sprintf("honest/%d", i), Setting: setting})
		}
	}
	m, err := parity.Run(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if m.ExitCode() != 1 || m.Passed() {
		t.Errorf("exit code %d", m.ExitCode())
	}
	for _, c := range m.Cells {
		stage, name, _ := strings.Cut(c.Case, "/")
		switch {
		case stage == "honest":
			if c.State != evidence.Pass {
				t.Errorf("%s is %s: %s", c.Case, c.State, c.Detail)
			}
		case wrong[name] != nil:
			if c.State != evidence.Fail {
				t.Errorf("%s is %s, want fail: %s", c.Case, c.State, c.Detail)
			}
		case !c.State.Broken() || c.Detail == "" || strings.ContainsAny(c.Detail, "\n\x00"):
			t.Errorf("%s is %s: %q", c.Case, c.State, c.Detail)
		}
		if testing.Verbose() {
			t.Logf("%-28s %-8s %s%s: %s", c.Case, c.State, c.Reason, c.Signal, c.Detail)
		}
	}
	if left, _ := filepath.Glob(fmt.Sprintf("/dev/shm/apexx-worker-%d-*", os.Getpid())); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
