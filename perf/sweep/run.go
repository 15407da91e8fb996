package sweep

import (
	"context"
	"slices"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
)

// Progress is told of every finished step: done of total, and what it was about.
type Progress func(done, total int, cell perf.Cell)

// Run measures what the store does not hold yet: first one parity run of every cell (again of a cell that has one and lacks a replicate,
// so that what its sessions compute is known by its outputs), then the replicates, each backend's cells
// in a process of their own and an order of their own, and at last what the plan's data set asks for. It returns when everything is in the store, or with the
// error that stopped it; the same call goes on from there.
func Run(ctx context.Context, s *Store, side measure.Side, o measure.Options, progress Progress) error {
	r := runner{store: s, side: side, options: o, progress: progress}
	r.done, r.total = s.Steps()
	plan := s.Header.Plan
	backends := perf.Backends(plan.Cells)
	for _, b := range backends {
		left := slices.DeleteFunc(perf.OfBackend(plan.Cells, b), r.finished)
		if len(left) == 0 {
			continue
		}
		err := measure.RunParity(ctx, side, b, left, o, func(t measure.ParityRun) error {
			if r.compared(t.Cell) {
				return nil
			}
			defer r.step(t.Cell)
			return s.AddParityRun(t)
		})
		if err != nil {
			return err
		}
	}
	for replicate := range plan.Replicates {
		for i := range backends {
			b := backends[(i+replicate)%len(backends)] // so that no backend is always the first
			if err := r.replicate(ctx, b, replicate); err != nil {
				return err
			}
		}
	}
	return r.quality(ctx)
}

type runner struct {
	store       *Store
	side        measure.Side
	options     measure.Options
	progress    Progress
	done, total int
}

func (r *runner) step(c perf.Cell) {
	r.done++
	if r.progress != nil {
		r.progress(r.done, r.total, c)
	}
}

func (r *runner) replicate(ctx context.Context, backend string, replicate int) error {
	plan := r.store.Header.Plan
	cells := measure.Order(perf.OfBackend(plan.Cells, backend), plan.Seed, uint64(replicate))
	left := slices.DeleteFunc(cells, func(c perf.Cell) bool {
		return slices.ContainsFunc(r.store.Measurements, func(m perf.Measurement) bool { return m.Cell == c && m.Replicate == replicate })
	})
	if len(left) == 0 {
		return nil
	}
	return measure.Replicate(ctx, r.side, backend, left, r.options, func(m perf.Measurement) error {
		defer r.step(m.Cell)
		m.Replicate = replicate
		return r.store.Add(m)
	})
}

func (r *runner) compared(c perf.Cell) bool {
	return slices.ContainsFunc(r.store.ParityRuns, func(t measure.ParityRun) bool { return t.Cell == c })
}

// finished tells whether nothing is left to be done for a cell.
func (r *runner) finished(c perf.Cell) bool {
	replicates := 0
	for _, m := range r.store.Measurements {
		if m.Cell == c {
			replicates++
		}
	}
	return r.compared(c) && replicates == r.store.Header.Plan.Replicates
}
