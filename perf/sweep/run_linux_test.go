package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/measure/measuretest"
	"github.com/apex-x/apexx/perf/sweep"
)

func TestMain(m *testing.M) { measuretest.Main(m) }

func side() measure.Side {
	return measure.Side{Arm: perf.Head, Workloads: measure.NewWorkloads(measuretest.ModelSource{}, reference.New()),
		Spec: func(backend string) worker.Spec { return measuretest.Spec(backend) }}
}

func run(ctx context.Context, t *testing.T, s *sweep.Store, p sweep.Progress) error {
	o := measure.Options{Iterations: 2, WarmupRuns: 1, WarmupBound: time.Millisecond}
	return sweep.Run(ctx, s, side(), o, p)
}

// outline is what must not depend on interruptions: every cell's state and parity, and which replicates were measured.
func outline(r *sweep.Result) string {
	var b strings.Builder
	for _, c := range r.Cells {
		fmt.Fprintf(&b, "%s %s %+v\n", c.Name, c.State, c.Parity)
	}
	var list []string
	for _, m := range r.Measurements {
		list = append(list, fmt.Sprintf("%s %d %s %d samples\n", m.Cell, m.Replicate, m.State, len(m.Samples)))
	}
	slices.Sort(list)
	return b.String() + strings.Join(list, "")
}

// TestInterruptedSweep cancels a sweep after every two steps and has it go on: its result is that of one in a single piece.
func TestInterruptedSweep(t *testing.T) {
	whole := openStore(t, t.TempDir())
	steps := 0
	err := run(context.Background(), t, whole, func(done, total int, c perf.Cell) {
		if steps++; done != steps || total != 24 || c.Batch == 0 {
			t.Errorf("step %d: %d of %d, %v", steps, done, total, c)
		}
	})
	if err != nil || steps != 24 || whole.Resumed {
		t.Fatalf("%d steps, %v", steps, err)
	}
	want := whole.Result()
	if err := want.Validate(); err != nil {
		t.Error(err)
	}
	if want.ExitCode() != 0 {
		t.Errorf("exit code %d:\n%s", want.ExitCode(), outline(want))
	}

	dir := t.TempDir()
	for round := 1; ; round++ {
		s := openStore(t, dir)
		before := len(s.Measurements) + len(s.ParityRuns)
		if s.Resumed != (round > 1) || before != min(24, 2*(round-1)) {
			t.Fatalf("round %d: resumed %v with %d steps done", round, s.Resumed, before)
		}
		ctx, cancel := context.WithCancel(context.Background())
		err := run(ctx, t, s, func(done, total int, _ perf.Cell) {
			if done == before+2 {
				cancel()
			}
		})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		s.Close()
		if err == nil || round > 20 {
			break
		}
	}
	s := openStore(t, dir)
	got := s.Result()
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if outline(got) != outline(want) {
		t.Errorf("interrupted:\n%s\nin one piece:\n%s", outline(got), outline(want))
	}
	lines, err := os.ReadFile(filepath.Join(dir, "log.jsonl"))
	if n := strings.Count(string(lines), "\n"); err != nil || n != 25 {
		t.Errorf("the log has %d lines, %v", n, err)
	}
}

// TestOrderOfReplicates checks that the backends take turns in being first, and that the order of cells changes.
func TestOrderOfReplicates(t *testing.T) {
	s := openStore(t, t.TempDir())
	if err := run(context.Background(), t, s, nil); err != nil {
		t.Fatal(err)
	}
	first := map[int]string{}
	orders := map[string]bool{}
	order := map[string]string{}
	for _, m := range s.Measurements {
		if first[m.Replicate] == "" {
			first[m.Replicate] = m.Cell.Backend
		}
		order[fmt.Sprint(m.Cell.Backend, m.Replicate)] += fmt.Sprint(m.Cell.Batch)
	}
	for _, o := range order {
		orders[o] = true
	}
	if fmt.Sprint(first) != "map[0:reference 1:ort 2:reference]" || len(orders) < 2 {
		t.Errorf("first backends %v, orders %v", first, order)
	}
}
