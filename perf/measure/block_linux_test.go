package measure_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/measure/measuretest"
)

// TestBlock measures two builds, one of which fails on some cells, and a control on one cell alone.
func TestBlock(t *testing.T) {
	cells := []perf.Cell{cell(1), cell(2), cell(3)}
	base, head := sideOf(""), sideOf("kill@2")
	base.Arm = perf.Base
	slots := []measure.Slot{{base, cells}, {head, cells}, {base, cells[2:]}, {head, cells}, {base, cells}}
	turns := map[int]int{}
	type result struct {
		slot int
		cell perf.Cell
	}
	got := map[result]perf.Measurement{}
	o := measure.Options{Iterations: 50, Bound: 60 * time.Millisecond, WarmupBound: time.Millisecond}
	err := measure.Block(context.Background(), slots, "reference", cells, o, func(i int) { turns[i]++ }, func(i int, m perf.Measurement) error {
		got[result{i, m.Cell}] = m
		return nil
	})
	if err != nil || len(got) != 4*3+1 {
		t.Fatalf("%d measurements, %v", len(got), err)
	}
	for r, m := range got {
		want := evidence.Measured
		if slots[r.slot].Side.Arm == perf.Head && r.cell == cells[1] {
			want = evidence.Crashed
		}
		if m.State != want || m.State == evidence.Measured && len(m.Samples) == 0 || m.Arm != slots[r.slot].Side.Arm || m.Cell != cells[m.Order] {
			t.Errorf("slot %d, %s: %s %s, %d samples", r.slot, r.cell, m.State, m.Detail, len(m.Samples))
		}
	}
	for i := range slots {
		if turns[i] < 2 {
			t.Errorf("slot %d had %d turns", i, turns[i])
		}
	}
}

// TestBlockSteps times the steps of a cell in the slots that were asked for them, one of which has a slowed step.
func TestBlockSteps(t *testing.T) {
	cells := []perf.Cell{cell(1), cell(2)}
	slow, silent := sideOf(""), sideOf("silent@1")
	slow.Spec = func(backend string) worker.Spec {
		return measuretest.Spec(backend, worker.InjectVariable+"=slow=10000#double@*/*/*/*/*/*")
	}
	slots := []measure.Slot{{sideOf(""), cells}, {slow, cells}, {sideOf(""), cells}, {silent, cells}, {sideOf("exits@2"), cells}}
	o := measure.Options{Iterations: 20, Bound: 20 * time.Millisecond, WarmupBound: time.Millisecond, Steps: func(slot int, _ perf.Cell) bool { return slot != 2 }}
	got := map[int][]perf.Measurement{}
	err := measure.Block(context.Background(), slots, "reference", cells, o, nil, func(i int, m perf.Measurement) error {
		got[i] = append(got[i], m)
		return m.Check()
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, lacks := range map[int][2]string{0: {}, 1: {}, 2: {}, 3: {"the backend tells no times of steps", ""}, 4: {"", "died during compile: exit code 4"}} {
		for k, m := range got[i] {
			told := i != 2 && lacks[k] == ""
			if m.State != evidence.Measured || len(m.Samples) == 0 || (m.Steps != nil) != told || !strings.Contains(m.StepsLack, lacks[k]) || lacks[k] == "" && m.StepsLack != "" {
				t.Errorf("slot %d, %s: %s %s, steps %+v, lack %q", i, m.Cell, m.State, m.Detail, m.Steps, m.StepsLack)
				continue
			}
			if told && (len(m.Steps.List) != 1 || m.Steps.List[0].Name != "double" || len(m.Steps.List[0].Nodes) != 8 || m.Outputs.StepsSHA256 != m.Outputs.FirstSHA256) {
				t.Errorf("slot %d: %+v, %+v", i, m.Steps, m.Outputs)
			}
		}
	}
	if plain, slowed := got[0][0].Steps.List[0].NS, got[1][0].Steps.List[0].NS; !(slowed > 20*plain) {
		t.Errorf("the step takes %v ns, slowed by 10,000 %% %v", plain, slowed)
	}
}

// shared counts the files that this process shares with workers: those that it has mapped and those that it has open.
func shared(t *testing.T) (n int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Split(string(maps), "\n")
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		to, _ := os.Readlink("/proc/self/fd/" + f.Name()) // the folder's own is closed by now
		list = append(list, to)
	}
	for _, line := range list {
		if strings.Contains(line, "/inputs (deleted)") || strings.Contains(line, "/outputs (deleted)") {
			n++
		}
	}
	return n
}

// TestNothingStaysShared looks for what sessions share with workers when their processes are over: a self-check starts thousands.
func TestNothingStaysShared(t *testing.T) {
	o := measure.Options{Iterations: 3, Bound: 5 * time.Millisecond}
	cells := []perf.Cell{cell(1), cell(2)}
	during := 0
	emit := func(int, perf.Measurement) error {
		during = max(during, shared(t))
		return nil
	}
	for _, faults := range []string{"", "kill@2", "error@2", "exit@1"} {
		slots := []measure.Slot{{sideOf(faults), cells}, {sideOf(faults), cells}}
		if err := measure.Block(context.Background(), slots, "reference", cells, o, nil, emit); err != nil {
			t.Fatal(err)
		}
		err := measure.Replicate(context.Background(), sideOf(faults), "reference", cells, o, func(m perf.Measurement) error { return emit(0, m) })
		if err != nil {
			t.Fatal(err)
		}
		if n := shared(t); n > 0 {
			t.Errorf("faults %q: %d files are still shared", faults, n)
		}
	}
	if during == 0 {
		t.Error("no file was found while processes ran")
	}
}

// TestBlockStops ends a block by the error of its consumer and by its context, with workers that are paused at that time.
func TestBlockStops(t *testing.T) {
	cells := []perf.Cell{cell(1), cell(2)}
	slots := []measure.Slot{{sideOf(""), cells}, {sideOf(""), cells}}
	stop := errors.New("stop")
	o := measure.Options{Iterations: 10, Bound: 50 * time.Millisecond}
	err := measure.Block(context.Background(), slots, "reference", cells, o, nil, func(int, perf.Measurement) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("consumer: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	turns := 0
	begin := time.Now()
	err = measure.Block(ctx, slots, "reference", cells, o, func(int) {
		if turns++; turns == 3 {
			cancel(stop)
		}
	}, func(int, perf.Measurement) error {
		t.Error("a measurement that was interrupted")
		return nil
	})
	if !errors.Is(err, stop) || time.Since(begin) > 30*time.Second {
		t.Errorf("context: %v after %v", err, time.Since(begin))
	}
	slots[0].Side.Workloads = measure.NewWorkloads(models{}, nil)
	broken := cell(1)
	broken.Profile = "broken"
	if err := measure.Block(context.Background(), []measure.Slot{{sideOf(""), []perf.Cell{broken}}}, "reference", []perf.Cell{broken}, o, nil, nil); err == nil {
		t.Error("a model that cannot be made went unnoticed")
	}
}
