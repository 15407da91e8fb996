package measure

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/apex-x/apexx/perf"
)

// TestBlock measures two builds, one of which fails on some cells, and a control on one cell alone.
func TestBlock(t *testing.T) {
	cells := []perf.Cell{cell(1), cell(2), cell(3)}
	base, head := sideOf(t, ""), sideOf(t, "kill@2")
	base.Arm = perf.Base
	slots := []Slot{{base, cells}, {head, cells}, {base, cells[2:]}, {head, cells}, {base, cells}}
	turns := map[int]int{}
	type result struct {
		slot int
		cell perf.Cell
	}
	got := map[result]perf.Measurement{}
	o := Options{Iterations: 50, Bound: 60 * time.Millisecond, WarmupBound: time.Millisecond}
	err := Block(context.Background(), slots, "reference", cells, o, func(i int) { turns[i]++ }, func(i int, m perf.Measurement) error {
		got[result{i, m.Cell}] = m
		return nil
	})
	if err != nil || len(got) != 4*3+1 {
		t.Fatalf("%d measurements, %v", len(got), err)
	}
	for r, m := range got {
		want := perf.Measured
		if slots[r.slot].Side.Arm == perf.Head && r.cell == cells[1] {
			want = perf.Crashed
		}
		if m.State != want || m.State == perf.Measured && len(m.Samples) == 0 || m.Arm != slots[r.slot].Side.Arm || m.Cell != cells[m.Order] {
			t.Errorf("slot %d, %s: %s %s, %d samples", r.slot, r.cell, m.State, m.Detail, len(m.Samples))
		}
	}
	for i := range slots {
		if turns[i] < 2 {
			t.Errorf("slot %d had %d turns", i, turns[i])
		}
	}
}

// TestBlockStops ends a block by the error of its consumer and by its context, with workers that are paused at that time.
func TestBlockStops(t *testing.T) {
	cells := []perf.Cell{cell(1), cell(2)}
	slots := []Slot{{sideOf(t, ""), cells}, {sideOf(t, ""), cells}}
	stop := errors.New("stop")
	o := Options{Iterations: 10, Bound: 50 * time.Millisecond}
	err := Block(context.Background(), slots, "reference", cells, o, nil, func(int, perf.Measurement) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("consumer: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	turns := 0
	begin := time.Now()
	err = Block(ctx, slots, "reference", cells, o, func(int) {
		if turns++; turns == 3 {
			cancel(stop)
		}
	}, func(int, perf.Measurement) error {
		t.Error("a measurement that was interrupted")
		return nil
	})
	if !errors.Is(err, stop) || time.Since(begin) > 10*time.Second {
		t.Errorf("context: %v after %v", err, time.Since(begin))
	}
	slots[0].Side.Workloads = NewWorkloads(doubled{}, nil)
	broken := cell(1)
	broken.Profile = "broken"
	if err := Block(context.Background(), []Slot{{sideOf(t, ""), []perf.Cell{broken}}}, "reference", []perf.Cell{broken}, o, nil, nil); err == nil {
		t.Error("a model that cannot be made went unnoticed")
	}
}
