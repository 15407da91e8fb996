package parity

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"
)

// scripted is a runner that answers "case backend/precision" from a table, after a random wait.
type scripted struct {
	answers map[string]Execution
	calls   atomic.Int64
}

func (s *scripted) Execute(_ context.Context, c *Case, backend string, p backends.Precision) Execution {
	s.calls.Add(1)
	time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
	key := c.Name + " " + Column{backend, p}.String()
	if strings.HasPrefix(key, "panics") {
		panic("index out of range")
	}
	if e, ok := s.answers[key]; ok {
		return e
	}
	return ran(1)
}

func ran(v float32) Execution { return Execution{State: Pass, Outputs: list("x", f32(v))} }

var (
	ref64 = Column{"reference", backends.FP64}
	ref32 = Column{"reference", backends.FP32}
	ort32 = Column{"ort", backends.FP32}
)

func smallMatrix(jobs int) (*scripted, MatrixSpec) {
	r := &scripted{answers: map[string]Execution{
		"wrong ort/fp32":         ran(2),
		"crashes ort/fp32":       {State: Crashed, Signal: "SIGSEGV", Detail: "worker ended"},
		"hangs ort/fp32":         {State: Hung, Detail: "no answer within 30s"},
		"lacks ort/fp32":         {State: Unsupported, Reason: "library_not_found", Detail: "libonnxruntime.so.1"},
		"odd ort/fp32":           {State: "finished"},
		"empty ort/fp32":         {State: Pass},
		"crashes reference/fp64": {State: NotRun, Reason: "cancelled"},
	}}
	spec := MatrixSpec{Name: "small", Columns: []Column{ref32, ort32, ref64}, Runner: r, Jobs: jobs}
	for _, n := range []string{"fine", "wrong", "crashes", "hangs", "lacks", "odd", "empty", "panics"} {
		spec.Cases = append(spec.Cases, Case{Name: n})
	}
	spec.Cases[0].Golden = list("x", f32(1.00009))
	return r, spec
}

func TestEveryCellEndsInAState(t *testing.T) {
	r, spec := smallMatrix(1)
	m, err := Run(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if r.calls.Load() != 24 || len(m.Cells) != 8*len(m.Pairs) || len(m.Executions) != 24 {
		t.Errorf("%d calls, %d cells, %d executions", r.calls.Load(), len(m.Cells), len(m.Executions))
	}
	var got strings.Builder
	for _, p := range m.Pairs {
		fmt.Fprintf(&got, "%s:", p)
		for _, c := range m.Cells {
			if c.Pair == p {
				fmt.Fprintf(&got, " %s=%s", c.Case, c.State)
				if c.Reason+c.Signal != "" {
					fmt.Fprintf(&got, "(%s)", c.Reason+c.Signal)
				}
			}
		}
		got.WriteByte('\n')
	}
	goldenfile.Check(t, "matrix.txt", got.String())
}

func TestResultsDoNotDependOnJobs(t *testing.T) {
	_, spec := smallMatrix(1)
	want, err := Run(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, jobs := range []int{2, 7} {
		_, spec := smallMatrix(jobs)
		seen := 0
		spec.OnExecution = func(*Case, Column, *Execution) { seen++ }
		got, err := Run(context.Background(), spec)
		if err != nil || seen != 24 {
			t.Fatalf("%d executions reported, %v", seen, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d jobs give another matrix", jobs)
		}
	}
}

func TestCancelledMatrixIsComplete(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, spec := smallMatrix(2)
	m, err := Run(ctx, spec)
	if err != nil || r.calls.Load() != 0 || m.Count(NotRun) != len(m.Cells) || m.ExitCode() != 5 {
		t.Errorf("%v, %d calls, %d of %d cells not run", err, r.calls.Load(), m.Count(NotRun), len(m.Cells))
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		states []State
		want   int
	}{
		{[]State{Pass, Different}, 0}, {[]State{Different, Unsupported, NotRun}, 0}, {[]State{Pass, Crashed}, 6}, {[]State{Hung}, 6},
		{[]State{Crashed, Fail}, 1}, {[]State{Unsupported, NotRun}, 5}, {nil, 5},
	} {
		m := Matrix{}
		for _, s := range c.states {
			m.Cells = append(m.Cells, Cell{State: s})
		}
		if got := m.ExitCode(); got != c.want || m.Passed() != (c.want == 0) {
			t.Errorf("%v: %d, want %d", c.states, got, c.want)
		}
	}
}

func TestBadSpecifications(t *testing.T) {
	for name, change := range map[string]func(*MatrixSpec){
		"no runner":         func(s *MatrixSpec) { s.Runner = nil },
		"no cases":          func(s *MatrixSpec) { s.Cases = nil },
		"repeated case":     func(s *MatrixSpec) { s.Cases[1].Name = s.Cases[0].Name },
		"repeated column":   func(s *MatrixSpec) { s.Columns[1] = s.Columns[0] },
		"reserved column":   func(s *MatrixSpec) { s.Columns[1] = golden },
		"unknown pair":      func(s *MatrixSpec) { s.Pairs = []Pair{{ref32, Column{"cuda", backends.FP32}}} },
		"pair with itself":  func(s *MatrixSpec) { s.Pairs = []Pair{{ref32, ref32}} },
		"golden as subject": func(s *MatrixSpec) { s.Pairs = []Pair{{ref32, golden}} },
		"negative jobs":     func(s *MatrixSpec) { s.Jobs = -1 },
	} {
		_, spec := smallMatrix(1)
		change(&spec)
		if _, err := Run(context.Background(), spec); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDefaultPairs(t *testing.T) {
	for _, c := range []struct {
		columns  []Column
		expected bool
		want     string
	}{
		{nil, true, "[]"},
		{[]Column{ref32}, false, "[]"},
		{[]Column{ref32}, true, "[reference/fp32 vs golden]"},
		{[]Column{ref32, ort32}, false, "[ort/fp32 vs reference/fp32]"},
		{[]Column{ref32, ort32, ref64}, false, "[reference/fp32 vs reference/fp64 ort/fp32 vs reference/fp64 ort/fp32 vs reference/fp32]"},
	} {
		if got := fmt.Sprint(DefaultPairs(c.columns, c.expected)); got != c.want {
			t.Errorf("%v: %s, want %s", c.columns, got, c.want)
		}
	}
}

// Expectations may name some of the outputs, in an order of their own.
func TestGoldenCoversAPartOfTheOutputs(t *testing.T) {
	r := &scripted{answers: map[string]Execution{"c ort/fp32": {State: Pass, Outputs: list("y", i64(3), "x", f32(1))}}}
	spec := MatrixSpec{Cases: []Case{{Name: "c", Golden: tensor.List{{Name: "x", Tensor: f32(1)}}}}, Columns: []Column{ort32}, Runner: r}
	m, err := Run(context.Background(), spec)
	if err != nil || len(m.Cells) != 1 || m.Cells[0].State != Pass || m.Cells[0].Report.Policy != "golden" {
		t.Errorf("%v %+v", err, m)
	}
}
