package measure_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/measure/measuretest"
)

// faultVariable lists the faults of a worker as FAULT@BATCH: what happens when a cell of that batch is compiled, or to its runs.
const faultVariable = "APEXX_MEASURE_TEST_FAULTS"

func TestMain(m *testing.M) {
	measuretest.Main(m, func(b backends.Backend) backends.Backend { return faulty{b, os.Getenv(faultVariable)} })
}

type faulty struct {
	backends.Backend
	faults string
}

func (f faulty) Compile(ctx context.Context, g *graph.Graph, o backends.Options) (backends.Session, error) {
	for _, entry := range strings.Fields(f.faults) {
		fault, batch, _ := strings.Cut(entry, "@")
		if !strings.Contains(g.Metadata[worker.CellKey], "/b"+batch+"/") {
			continue
		}
		switch fault {
		case "kill":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		case "exit":
			os.Exit(3)
		case "hang":
			select {}
		case "error":
			return nil, errors.New("kernel 7 failed")
		case "unavailable":
			return nil, &backends.Unavailable{Backend: "reference", Reason: backends.PrecisionUnsupported, Detail: "no fp32"}
		case "silent": // about its steps
			o.StepTimes = false
			return f.Backend.Compile(ctx, g, o)
		case "exits": // when steps are asked for
			if o.StepTimes {
				os.Exit(4)
			}
			return f.Backend.Compile(ctx, g, o)
		case "lingers":
			s, err := f.Backend.Compile(ctx, g, o)
			return lingering{s}, err
		case "later", "nan", "rounding", "flicker":
			s, err := f.Backend.Compile(ctx, g, o)
			c := &changing{inner: s, fault: fault}
			return &backendtest.Fake{Session: s, Run: c.run}, err
		}
		if lie, ok := strings.CutPrefix(fault, "labour"); ok {
			s, err := f.Backend.Compile(ctx, g, o)
			return &laboured{Session: s, lie: lie, known: map[string]tensor.List{}}, err
		}
	}
	return f.Backend.Compile(ctx, g, o)
}

// lingering is a session over whose end its process dies.
type lingering struct{ backends.Session }

func (lingering) Close() error {
	os.Exit(5)
	return nil
}

// changing is a session whose outputs are right in the first two runs, which is all that a session with taps has, and then others.
type changing struct {
	inner backends.Session
	fault string
	runs  int
}

func (s *changing) run(ctx context.Context, in tensor.List) (tensor.List, error) {
	out, err := backends.Run(ctx, s.inner, in)
	if s.runs++; err != nil || s.runs <= 2 || s.fault == "flicker" && s.runs > 3 {
		return out, err
	}
	out = out.Clone()
	first := &tensor.Data[float32](out[0].Tensor)[0]
	switch s.fault {
	case "later", "flicker":
		*first = 7
	case "nan":
		*first = float32(math.NaN())
	case "rounding":
		*first = math.Nextafter32(*first, 9)
	}
	return out, nil
}

// models lack the profile "broken".
type models struct{ measuretest.ModelSource }

func (m models) Complete(ctx context.Context, s measure.Shape) (*measure.Complete, error) {
	if s.Profile == "broken" {
		return nil, errors.New("no such model")
	}
	return m.ModelSource.Complete(ctx, s)
}

func sideOf(faults string) measure.Side {
	return measure.Side{Arm: perf.Head, Workloads: measure.NewWorkloads(models{}, reference.New()), Spec: func(backend string) worker.Spec {
		spec := measuretest.Spec(backend, faultVariable+"="+faults)
		if strings.Contains(faults, "hang") {
			spec.Deadline = 3 * time.Second // of what is honest in the same process, too
		}
		return spec
	}}
}

func cell(batch int) perf.Cell {
	return perf.Cell{Backend: "reference", Profile: "nano", Precision: backends.FP32, Height: 128, Width: 128, Batch: batch, Scope: perf.Complete}
}

// sampler numbers its readings.
type sampler struct{ calls int }

func (s *sampler) Sample() []perf.DeviceSample {
	s.calls++
	return []perf.DeviceSample{{Device: s.calls}}
}

// TestReplicate has cells fail in every way; the others are measured all the same.
func TestReplicate(t *testing.T) {
	want := map[int]string{
		1: "measured", 2: "crashed killed", 3: "measured", 4: "error error: kernel 7 failed", 5: "hung deadline", 6: "crashed exit status 3",
		7: "unsupported precision_unsupported: no fp32", 8: "measured",
	}
	var cells []perf.Cell
	for n := 1; n <= 8; n++ {
		cells = append(cells, cell(n))
	}
	s := &sampler{}
	o := measure.Options{Iterations: 5, Bound: time.Second, WarmupRuns: 2, WarmupBound: time.Millisecond, Samplers: map[string]measure.Sampler{"reference": s}}
	var got []perf.Measurement
	err := measure.Replicate(context.Background(), sideOf("kill@2 error@4 hang@5 exit@6 unavailable@7"), "reference", cells, o, func(m perf.Measurement) error {
		got = append(got, m)
		return nil
	})
	if err != nil || len(got) != len(cells) {
		t.Fatalf("%d measurements, %v", len(got), err)
	}
	for i, m := range got {
		text := strings.TrimSpace(fmt.Sprint(m.State, " ", m.Reason))
		if m.State == evidence.Errored || m.State == evidence.Unsupported {
			text += ": " + m.Detail
		}
		if m.Cell != cells[i] || m.Order != i || m.Arm != perf.Head || m.Started.IsZero() || text != want[i+1] {
			t.Errorf("measurement %d is %+v, want %s", i, m, want[i+1])
		}
		measured := m.State == evidence.Measured
		if measured != (len(m.Samples) == 5) || measured != (m.CompileNS > 0) || measured != (m.FirstRunNS > 0) || measured && len(m.Devices) < 2 {
			t.Errorf("cell %s: %+v", m.Cell, m)
		}
	}
}

// TestReplicateLong takes another's word for it that a run is too long for a second one before its sample. This one is not, and
// would be timed in groups.
func TestReplicateLong(t *testing.T) {
	o := measure.Options{Iterations: 1, Long: map[perf.Cell]bool{cell(2): true}}
	err := measure.Replicate(context.Background(), sideOf(""), "reference", []perf.Cell{cell(1), cell(2)}, o, func(m perf.Measurement) error {
		if m.State != evidence.Measured || (m.CallsPerSample == 1) != (m.Cell == cell(2)) {
			t.Errorf("%+v", m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReplicateUnavailable(t *testing.T) {
	side := sideOf("")
	side.Spec = func(name string) worker.Spec {
		return worker.Spec{Name: name, Command: []string{"/nonexistent/apexx-cuda"}}
	}
	count := 0
	emit := func(m perf.Measurement) error {
		count++
		if m.State != evidence.Unsupported || m.Reason != string(backends.WorkerNotFound) || m.Detail == "" {
			t.Errorf("%+v", m)
		}
		return nil
	}
	if err := measure.Replicate(context.Background(), side, "cuda", []perf.Cell{cell(1), cell(2)}, measure.Options{}, emit); err != nil || count != 2 {
		t.Errorf("%d measurements, %v", count, err)
	}
}

// TestReplicateVariables: a worker that does not tell the variables that are recorded measures nothing.
func TestReplicateVariables(t *testing.T) {
	recorded := backends.Fact{Key: "GOGC", Value: "50"}
	for _, c := range []struct {
		sets []string
		tell []backends.Fact
		want evidence.State

		detail string
	}{
		{nil, nil, evidence.Measured, ""},
		{[]string{"GOGC=50"}, []backends.Fact{recorded}, evidence.Measured, ""},
		{[]string{"GOGC=50", "GODEBUG=x"}, nil, evidence.Errored, "GODEBUG=x GOGC=50, before none;"},
		{nil, []backends.Fact{recorded}, evidence.Errored, "none, before GOGC=50;"},
		{[]string{"GOGC=60"}, []backends.Fact{recorded}, evidence.Errored, "GOGC=60, before GOGC=50;"},
	} {
		side := sideOf("")
		side.Variables = func(string) []backends.Fact { return c.tell }
		spec := side.Spec
		side.Spec = func(backend string) worker.Spec {
			s := spec(backend)
			s.Env = append(s.Env, c.sets...)
			return s
		}
		emit := func(m perf.Measurement) error {
			if m.State != c.want || m.State == evidence.Errored && !strings.Contains(m.Detail, "other variables of the environment than the first: "+c.detail) {
				t.Errorf("%q, recorded %v: %s, %s", c.sets, c.tell, m.State, m.Detail)
			}
			return nil
		}
		if err := measure.Replicate(t.Context(), side, "reference", []perf.Cell{cell(1)}, measure.Options{Iterations: 3}, emit); err != nil {
			t.Error(err)
		}
	}
}

// TestReplicateEnds lists what ends a replicate.
func TestReplicateEnds(t *testing.T) {
	stop := errors.New("disk full")
	broken := cell(3)
	broken.Profile = "broken"
	cancelled, cancel := context.WithCancel(context.Background())
	for _, c := range []struct {
		name   string
		ctx    context.Context
		cells  []perf.Cell
		emit   func() error
		faults string
		want   string
		told   int
	}{
		{"emit fails", context.Background(), []perf.Cell{cell(1), cell(2)}, func() error { return stop }, "", "disk full", 1},
		{"no such model", context.Background(), []perf.Cell{cell(1), broken, cell(2)}, func() error { return nil }, "", "no such model", 1},
		{"cancelled between cells", cancelled, []perf.Cell{cell(1), cell(2)}, func() error { cancel(); return nil }, "", "context canceled", 1},
		{"cancelled in a cell", soon(t), []perf.Cell{cell(1), cell(2)}, func() error { return nil }, "hang@1", "context canceled", 0},
	} {
		told, start := 0, time.Now()
		err := measure.Replicate(c.ctx, sideOf(c.faults), "reference", c.cells, measure.Options{Iterations: 1}, func(perf.Measurement) error { told++; return c.emit() })
		if err == nil || err.Error() != c.want || told != c.told {
			t.Errorf("%s: %v after %d measurements, want %s after %d", c.name, err, told, c.want, c.told)
		}
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("%s: took %v", c.name, d)
		}
	}
}

// soon is a context that is cancelled while a worker computes.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(300*time.Millisecond, cancel)
	t.Cleanup(func() { timer.Stop(); cancel() })
	return ctx
}
