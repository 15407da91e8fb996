package parity

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"

	"github.com/apex-x/apexx/parity/evidence"
)

// scripted is a runner that answers "case backend/precision" from a table, after a random wait.
type scripted struct {
	answers map[string]evidence.Run
	calls   atomic.Int64
}

func (s *scripted) Execute(_ context.Context, c *Case, backend string, p backends.Precision) evidence.Run {
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

func ran(v float32) evidence.Run {
	return evidence.Run{Outcome: evidence.Outcome{State: evidence.Measured}, Outputs: list("x", f32(v))}
}

func ended(o evidence.Outcome) evidence.Run { return evidence.Run{Outcome: o} }

// again ran twice, with another result the second time.
func again(first, second float32) evidence.Run {
	r := ran(first)
	r.Again = list("x", f32(second))
	return r
}

var (
	ref64 = Column{"reference", backends.FP64}
	ref32 = Column{"reference", backends.FP32}
	ort32 = Column{"ort", backends.FP32}
)

func smallMatrix(jobs int) (*scripted, MatrixSpec) {
	r := &scripted{answers: map[string]evidence.Run{
		"wrong ort/fp32":         ran(2),
		"crashes ort/fp32":       ended(evidence.Outcome{State: evidence.Crashed, Signal: "SIGSEGV", Detail: "worker ended"}),
		"hangs ort/fp32":         ended(evidence.Outcome{State: evidence.Hung, Detail: "no answer within 30s"}),
		"lacks ort/fp32":         ended(evidence.Outcome{State: evidence.Unsupported, Reason: "operator_unsupported", Detail: "Scan"}),
		"unsteady ort/fp32":      ended(evidence.Outcome{State: evidence.Unsupported, Reason: "worker_start_failed", Detail: "exit status 3"}),
		"errs ort/fp32":          ended(evidence.Outcome{State: evidence.Errored, Reason: "error", Detail: "no such kernel"}),
		"odd ort/fp32":           ended(evidence.Outcome{State: "finished"}),
		"empty ort/fp32":         ended(evidence.Outcome{State: evidence.Measured}),
		"crashes reference/fp64": ended(evidence.Outcome{State: evidence.Hung}),
		"restless ort/fp32":      again(1, 2),
		"wavering ort/fp32":      again(1, 1.00001),
		"steady ort/fp32":        again(1, 1),
	}}
	spec := MatrixSpec{Name: "small", Columns: []Column{ref32, ort32, ref64}, Runner: r, Jobs: jobs}
	for _, n := range []string{"fine", "wrong", "crashes", "hangs", "lacks", "unsteady", "errs", "odd", "empty", "panics", "restless", "wavering", "steady"} {
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
	if r.calls.Load() != 39 || len(m.Cells) != 13*len(m.Pairs) || len(m.Executions) != 39 {
		t.Errorf("%d calls, %d cells, %d executions", r.calls.Load(), len(m.Cells), len(m.Executions))
	}
	var got strings.Builder
	for _, p := range m.Pairs {
		fmt.Fprintf(&got, "%s:", p)
		for _, c := range m.Cells {
			if c.Pair == p {
				fmt.Fprintf(&got, " %s=%s", c.Case, c.State)
				if c.Report != nil && c.Report.Deterministic != nil {
					fmt.Fprintf(&got, "(deterministic: %t)", *c.Report.Deterministic)
				}
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
		spec.OnExecution = func(*Case, Column, *evidence.Run) { seen++ }
		got, err := Run(context.Background(), spec)
		if err != nil || seen != 39 {
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
	if err != nil || r.calls.Load() != 0 || m.Count(evidence.Cancelled) != len(m.Cells)-m.Count(evidence.NotRun) || m.ExitCode() != 130 {
		t.Errorf("%v, %d calls, %d of %d cells cancelled", err, r.calls.Load(), m.Count(evidence.Cancelled), len(m.Cells))
	}
}

// What was named has to be compared: a backend, a precision or a case without a comparable cell is no pass.
func TestMissing(t *testing.T) {
	_, spec := smallMatrix(1)
	spec.Runner = &scripted{answers: map[string]evidence.Run{
		"a ort/fp32": ended(evidence.Outcome{State: evidence.Unsupported, Reason: "library_not_found"}),
		"b ort/fp32": ended(evidence.Outcome{State: evidence.Unsupported, Reason: "library_not_found"}),
	}}
	spec.Cases = []Case{{Name: "a"}, {Name: "b"}}
	m, err := Run(context.Background(), spec)
	if err != nil || m.ExitCode() != 5 || m.Passed() || !slices.Equal(m.Missing(), []string{"backend ort"}) {
		t.Errorf("%v, exit code %d, missing %v", err, m.ExitCode(), m.Missing())
	}
	spec.Columns = []Column{ref32}
	if m, err = Run(context.Background(), spec); err != nil || m.ExitCode() != 5 {
		t.Errorf("%v, exit code %d of a matrix without a pair", err, m.ExitCode())
	}
	spec.Columns = []Column{ref32, ref64}
	if m, err = Run(context.Background(), spec); err != nil || m.ExitCode() != 0 || len(m.Missing()) != 0 {
		t.Errorf("%v, exit code %d, missing %v", err, m.ExitCode(), m.Missing())
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
	r := &scripted{answers: map[string]evidence.Run{"c ort/fp32": {Outcome: evidence.Outcome{State: evidence.Measured}, Outputs: list("y", i64(3), "x", f32(1))}}}
	spec := MatrixSpec{Cases: []Case{{Name: "c", Golden: tensor.List{{Name: "x", Tensor: f32(1)}}}}, Columns: []Column{ort32}, Runner: r}
	m, err := Run(context.Background(), spec)
	if err != nil || len(m.Cells) != 1 || m.Cells[0].State != evidence.Pass || m.Cells[0].Report.Policy != "golden" {
		t.Errorf("%v %+v", err, m)
	}
}

// TestFinishedCases goes on with a matrix of which a part was compared: what is executed again is the rest, and the result is the same.
func TestFinishedCases(t *testing.T) {
	spec := func() MatrixSpec {
		_, s := smallMatrix(1)
		return s
	}
	whole := spec()
	var all []FinishedCase
	whole.OnCase = func(f FinishedCase) { all = append(all, f) }
	want, err := Run(context.Background(), whole)
	if err != nil || len(all) != len(whole.Cases) {
		t.Fatalf("%d of %d cases were told, %v", len(all), len(whole.Cases), err)
	}
	rest := spec()
	rest.Finished = map[string]FinishedCase{all[0].Case: all[0]}
	executed := map[string]int{}
	rest.OnExecution = func(c *Case, _ Column, _ *evidence.Run) { executed[c.Name]++ }
	got, err := Run(context.Background(), rest)
	if err != nil {
		t.Fatal(err)
	}
	if executed[all[0].Case] > 0 || len(executed) != len(whole.Cases)-1 {
		t.Errorf("executed %v", executed)
	}
	for _, m := range []*Matrix{got, want} {
		for i := range m.Executions {
			m.Executions[i].Wall = 0
		}
	}
	if a, b := fmt.Sprintf("%+v", jsonOf(t, got)), fmt.Sprintf("%+v", jsonOf(t, want)); a != b {
		t.Errorf("%s\nwant %s", a, b)
	}
	rest.Finished[all[0].Case] = FinishedCase{Case: all[0].Case, Cells: all[0].Cells[:1]}
	if _, err := Run(context.Background(), rest); err == nil {
		t.Error("a case without all of its cells is taken for finished")
	}
	interrupted := spec()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	interrupted.OnCase = func(f FinishedCase) { t.Errorf("case %s was interrupted, and is told as compared", f.Case) }
	if _, err := Run(ctx, interrupted); err != nil {
		t.Error(err)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
