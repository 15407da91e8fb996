package measure_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
)

var brief = measure.Options{Iterations: 3, Bound: time.Second, WarmupRuns: 2, WarmupBound: time.Millisecond}

// TestBeside: a process that does not go away ends what measures, right away where another process would be next; what was measured before stands.
func TestBeside(t *testing.T) {
	measure.Stay(t)
	cells := []perf.Cell{cell(1), cell(2), cell(3)}
	type emit func(perf.Cell, evidence.State) error
	measuring := map[string]func(measure.Side, emit) error{
		"replicate": func(side measure.Side, emit emit) error {
			return measure.Replicate(context.Background(), side, "reference", cells, brief, func(m perf.Measurement) error { return emit(m.Cell, m.State) })
		},
		"block": func(side measure.Side, emit emit) error {
			slots := []measure.Slot{{Side: side, Cells: cells}, {Side: side, Cells: cells}}
			return measure.Block(context.Background(), slots, "reference", cells, brief, nil, func(slot int, m perf.Measurement) error {
				if slot > 0 {
					return nil
				}
				return emit(m.Cell, m.State)
			})
		},
		"parity": func(side measure.Side, emit emit) error {
			return measure.RunParity(context.Background(), side, "reference", cells, brief, func(r measure.ParityRun) error { return emit(r.Cell, r.Parity.State) })
		},
		"parity of both": func(side measure.Side, emit emit) error {
			return measure.RunParityBoth(context.Background(), sideOf(""), side, "reference", cells, brief, func(_, head measure.ParityRun, _ *perf.Parity) error {
				return emit(head.Cell, head.Parity.State)
			})
		},
	}
	for name, measuring := range measuring {
		for faults, last := range map[string]int{"": 3, "kill@2": 2} {
			var got []int
			crashed := false
			err := measuring(sideOf(faults), func(c perf.Cell, state evidence.State) error {
				got, crashed = append(got, c.Batch), state == evidence.Crashed
				return nil
			})
			var stuck *worker.Stuck
			if !errors.As(err, &stuck) || exit.Code(err) != exit.Internal || !strings.HasSuffix(err.Error(), "; nothing can be timed beside it") {
				t.Errorf("%s, %q: %v", name, faults, err)
			}
			if want := []int{1, 2, 3}[:last]; !slices.Equal(got, want) || crashed != (faults != "") {
				t.Errorf("%s, %q: measured %v, want %v; the last crashed: %v", name, faults, got, want, crashed)
			}
		}
	}
}

// TestBesideCancelled: an interruption is told as one, whatever is left.
func TestBesideCancelled(t *testing.T) {
	measure.Stay(t)
	ctx, cancel := context.WithCancel(context.Background())
	err := measure.Replicate(ctx, sideOf(""), "reference", []perf.Cell{cell(1), cell(2)}, brief, func(perf.Measurement) error { cancel(); return nil })
	if exit.Code(err) != exit.Interrupted {
		t.Errorf("got %v", err)
	}
}

// TestDeathBetweenCells: a process that dies over letting go of one cell costs the next one nothing.
func TestDeathBetweenCells(t *testing.T) {
	o := brief
	o.Steps = func(int, perf.Cell) bool { return true }
	cells := []perf.Cell{cell(1), cell(2), cell(3)}
	side := sideOf("lingers@1 lingers@2")
	var got []perf.Measurement
	keep := func(m perf.Measurement) error { got = append(got, m); return nil }
	if err := measure.Replicate(context.Background(), side, "reference", cells, o, keep); err != nil {
		t.Fatal(err)
	}
	slots := []measure.Slot{{Side: side, Cells: cells}}
	if err := measure.Block(context.Background(), slots, "reference", cells, o, nil, func(_ int, m perf.Measurement) error { return keep(m) }); err != nil {
		t.Fatal(err)
	}
	for i, m := range got {
		if m.State != evidence.Measured || i >= len(cells) && m.Steps == nil {
			t.Errorf("measurement %d: %s: %s %s %s", i, m.Cell, m.State, m.Detail, m.StepsLack)
		}
	}
	if len(got) != 2*len(cells) {
		t.Errorf("%d measurements", len(got))
	}
	err := measure.RunParity(context.Background(), side, "reference", cells, o, func(r measure.ParityRun) error {
		if r.Parity.State != evidence.Pass {
			t.Errorf("%s: %+v", r.Cell, r.Parity)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
