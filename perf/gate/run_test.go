package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/measure/measuretest"
)

func TestMain(m *testing.M) { measuretest.Main(m) }

// started is one worker that a Runner started.
type started struct {
	arm     perf.Arm
	backend string
}

// runnerOf returns a runner whose sides are this test binary, and the list of the processes that it starts. The environment
// is the head's.
func runnerOf(t *testing.T, env ...string) (*Runner, *[]started) {
	t.Helper()
	var mu sync.Mutex
	var list []started
	side := func(arm perf.Arm, env ...string) measure.Side {
		return measure.Side{Arm: arm, Workloads: measure.NewWorkloads(measuretest.ModelSource{}, reference.New()), Spec: func(backend string) worker.Spec {
			mu.Lock()
			list = append(list, started{arm, backend})
			mu.Unlock()
			return measuretest.Spec(backend, env...)
		}}
	}
	return &Runner{Base: side(perf.Base), Head: side(perf.Head, env...)}, &list
}

func shortRecord(cells []perf.Cell) *Record {
	p := quiet().policy
	p.ScreenBlocks, p.ConfirmBlocks, p.MaxConfirm, p.Iterations, p.BoundNS, p.Seed = 3, 11, 1, 5, 1e6, 6
	p.Targets.SetMaxResolution(maxResolution) // or else a restless machine has cells confirmed because they are too noisy
	return &Record{Schema: SchemaID, When: time.Unix(1790000000, 0).UTC(), Policy: p, Cells: cells, Environment: testMachine, Class: env.Classify(testMachine, 0, nil)}
}

// TestRunner measures two builds, one of which is slowed in one cell.
func TestRunner(t *testing.T) {
	cells := cellsNamed(2)
	r, processes := runnerOf(t, worker.InjectVariable+"=slow=900@ort/nano/fp32/256x128/b1/complete")
	var stages []string
	r.Progress = func(stage string, done, total int) {
		if done < 1 || done > total {
			t.Errorf("%s: %d of %d", stage, done, total)
		}
		if done == total {
			stages = append(stages, fmt.Sprintf("%s %d", stage, total))
		}
	}
	rec := shortRecord(cells)
	if err := r.Run(context.Background(), rec); err != nil {
		t.Fatal(err)
	}
	if err := rec.Check(); err != nil {
		t.Error(err)
	}
	honest(t, rec)
	if got := strings.Join(stages, ", "); got != "parity 4, screen 54, confirm 44" {
		t.Errorf("progress: %s", got)
	}
	for _, p := range rec.Parity {
		if p.Parity.State != "pass" || p.Base.State != "pass" || p.Change == nil || p.Change.State != "pass" {
			t.Errorf("%+v", p)
		}
	}

	// The processes of a block are base, head, base, base, head, base; the middle two are the control and run where its cell is,
	// from when its turn comes among the cells.
	control := rec.Policy.controlled(cells)[0]
	var want []started
	block := func(backend string, controlled bool) {
		for _, s := range slots {
			if !s.control || controlled {
				want = append(want, started{s.arm, backend})
			}
		}
	}
	for _, b := range []string{"reference", "ort"} { // parity
		want = append(want, started{perf.Base, b}, started{perf.Head, b})
	}
	for range 3 {
		for _, b := range []string{"reference", "ort"} {
			block(b, control.Backend == b)
		}
	}
	candidates := Candidates(rec)
	if len(candidates) != 1 || candidates[0] != cells[3] {
		t.Fatalf("candidates %v, want the slowed cell", candidates)
	}
	for range 11 {
		block("ort", false)
	}
	if got := byBlock(*processes, want); !slices.Equal(got, byBlock(want, want)) {
		t.Errorf("processes\n%v\nwant\n%v", got, want)
	}
	for _, m := range rec.Confirm {
		if m.Cell != candidates[0] || m.Control {
			t.Errorf("confirmed %s (control: %t)", m.Cell, m.Control)
		}
	}
	for _, m := range rec.Screen {
		if m.Control && m.Cell != control {
			t.Errorf("%s is no control", m.Cell)
		}
	}
	checkOrder(t, rec)
}

// byBlock sorts the processes of each block, and of the parity runs, by what they are: the blocks are runs of one backend in
// like.
func byBlock(list, like []started) []started {
	out := slices.Clone(list)
	for i := 0; i < min(len(out), len(like)); {
		end := i + 1
		for end < min(len(out), len(like)) && like[end].backend == like[i].backend {
			end++
		}
		slices.SortFunc(out[i:end], func(a, b started) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		i = end
	}
	return out
}

// checkOrder finds one order of cells in all processes of a block, and more than one over the blocks.
func checkOrder(t *testing.T, rec *Record) {
	t.Helper()
	orders := map[string][]string{} // of block and backend, by slot
	for _, m := range rec.Screen {
		if m.Control {
			continue
		}
		key := fmt.Sprintf("block %d of %s", m.Block, m.Cell.Backend)
		for len(orders[key]) <= m.Replicate {
			orders[key] = append(orders[key], "")
		}
		if m.Order != strings.Count(orders[key][m.Replicate], " ") {
			t.Errorf("%s: order %d after %q", key, m.Order, orders[key][m.Replicate])
		}
		orders[key][m.Replicate] += m.Cell.Shape() + " "
	}
	distinct := map[string]bool{}
	for key, list := range orders {
		for _, slot := range []int{1, 4, 5} {
			if list[slot] != list[0] {
				t.Errorf("%s: the orders are %q", key, list)
			}
		}
		distinct[list[0]] = true
	}
	if len(distinct) < 2 {
		t.Errorf("all blocks have the order %v; the seed should give others, too", distinct)
	}
}

// TestRunnerParity checks that a cell that computes something else is not measured.
func TestRunnerParity(t *testing.T) {
	cells := cellsNamed(2)[:2]
	r, _ := runnerOf(t, worker.InjectVariable+"=wrong@"+cells[1].String())
	rec := shortRecord(cells)
	if err := r.Run(context.Background(), rec); err != nil {
		t.Fatal(err)
	}
	if v := rec.Verdict; v.Outcome != ParityFailed || v.Cells[1].State != CellParityFailed || v.Cells[1].Note == "" {
		t.Errorf("%s %+v", v.Outcome, v.Cells)
	}
	if slices.ContainsFunc(rec.Screen, func(m perf.Measurement) bool { return m.Cell == cells[1] }) {
		t.Error("the wrong cell was measured")
	}
	if err := rec.Check(); err != nil {
		t.Error(err)
	}
}

// TestRunnerLostBackend checks that a backend that the head lost breaks the run, and that one that neither has does not.
func TestRunnerLostBackend(t *testing.T) {
	for _, both := range []bool{false, true} {
		cells := cellsNamed(1)
		r, _ := runnerOf(t)
		for _, side := range []*measure.Side{&r.Head, &r.Base} {
			spec := side.Spec
			side.Spec = func(backend string) worker.Spec {
				s := spec(backend)
				if backend == "ort" && (side == &r.Head || both) {
					s.Command = []string{"/no/such/worker"}
				}
				return s
			}
		}
		rec := shortRecord(cells)
		if err := r.Run(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		if err := rec.Check(); err != nil {
			t.Error(err)
		}
		want := CellBroken
		if both {
			want = CellUnsupported
		}
		if got := rec.Verdict.Cells[1]; got.State != want || rec.Parity[1].Base.State == "" || rec.Verdict.Outcome == Pass && !both {
			t.Errorf("lost by both (%t): %s %s, %s", both, got.State, got.Note, rec.Verdict.Outcome)
		}
	}
}

// TestRunnerStops checks that an interruption ends a run.
func TestRunnerStops(t *testing.T) {
	r, _ := runnerOf(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stop")
	r.Progress = func(stage string, done, _ int) {
		if stage == "screen" && done == 3 {
			cancel(stop)
		}
	}
	rec := shortRecord(cellsNamed(1))
	if err := r.Run(ctx, rec); !errors.Is(err, stop) || rec.Verdict != nil || len(rec.Screen) != 4 { // the cell in progress is whole
		t.Errorf("%v, verdict %v, %d measurements", err, rec.Verdict, len(rec.Screen))
	}
}

// TestPaced keeps to a time by the bound of the samples, within its limits.
func TestPaced(t *testing.T) {
	const full = 400 * time.Millisecond
	for _, c := range []struct {
		bound, took, left time.Duration
		want              time.Duration
	}{
		{full, 10 * time.Second, 20 * time.Second, full},                                     // time enough
		{full, 22 * time.Second, 20 * time.Second, 300 * time.Millisecond},                   // 2 s too long, in 20 samplings
		{full, 60 * time.Second, 20 * time.Second, full / 4},                                 // no less than a quarter
		{200 * time.Millisecond, 18 * time.Second, 20 * time.Second, 300 * time.Millisecond}, // time was won back
		{200 * time.Millisecond, 18 * time.Second, -3 * time.Second, full / 4},               // it is over already
		{full / 4, 20 * time.Second, 20 * time.Second, full / 4},                             // just right
		{399 * time.Millisecond, 20 * time.Second, 21 * time.Second, full},                   // no more than all
	} {
		if got := paced(c.bound, full, c.took, c.left, 20); got != c.want {
			t.Errorf("bound %v, took %v of %v: %v, want %v", c.bound, c.took, c.left, got, c.want)
		}
	}
}

// TestLong finds the cells of which every process took more than the bound for every run.
func TestLong(t *testing.T) {
	c := cellsNamed(5)
	m := func(cell perf.Cell, calls int, ns ...float64) perf.Measurement {
		return perf.Measurement{Cell: cell, State: evidence.Measured, CallsPerSample: calls, Samples: ns}
	}
	got := long([]perf.Measurement{
		m(c[0], 1, 120e6), m(c[1], 1, 120e6), m(c[2], 1, 99e6, 120e6), m(c[3], 8, 120e6), {Cell: c[4], State: evidence.Crashed},
		m(c[0], 1, 101e6, 130e6), m(c[1], 1, 90e6), m(c[2], 1, 120e6), m(c[3], 8, 120e6), m(c[4], 1, 120e6),
	}, 100*time.Millisecond)
	for i, want := range []bool{true, false, false, false, false} {
		if got[c[i]] != want {
			t.Errorf("cell %d: %t, want %t", i, got[c[i]], want)
		}
	}
}

// TestConfirmTime confirms a slowed cell within no time at all: all blocks are measured, and end by a quarter of the samples'
// time. Every sample but the last, which ends them, lies within it.
func TestConfirmTime(t *testing.T) {
	r, _ := runnerOf(t, worker.InjectVariable+"=slow=900@ort/nano/fp32/256x128/b1/complete")
	rec := shortRecord(cellsNamed(2))
	rec.Policy.Iterations, rec.Policy.BoundNS, rec.Policy.ConfirmNS = 100000, 4e6, 1
	if err := r.Run(context.Background(), rec); err != nil {
		t.Fatal(err)
	}
	if err := rec.Check(); err != nil {
		t.Error(err)
	}
	if len(rec.Confirm) != 4*rec.Policy.ConfirmBlocks {
		t.Fatalf("%d measurements, want 4 in each of %d blocks", len(rec.Confirm), rec.Policy.ConfirmBlocks)
	}
	cut := func(list []perf.Measurement, to int64) {
		for _, m := range list {
			if m.State != evidence.Measured {
				t.Fatalf("block %d: %s: %s", m.Block, m.State, m.Detail)
			}
			bound, spent := cmp.Or(to, rec.Policy.BoundNS), 0.0
			for _, ns := range m.Samples[:len(m.Samples)-1] {
				spent += ns * float64(m.CallsPerSample)
			}
			if m.BoundNS != to || spent > float64(bound) {
				t.Errorf("block %d: the samples were cut to %d ns, want %d; all but the last took %.3g ns", m.Block, m.BoundNS, to, spent)
			}
		}
	}
	cut(rec.Screen, 0)
	cut(rec.Confirm, 1e6)
}
