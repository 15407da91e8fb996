package gate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/stat"
)

// Runner measures two builds.
type Runner struct {
	Base, Head measure.Side
	Options    measure.Options // of which Extra, Samplers, Devices and DataSet count; the rest is the policy's
	Progress   func(stage string, done, total int)
}

// Run fills a record, of which the policy and the cells are set: parity of the head, then what it finds in the data set of Record.Quality, then the screen,
// then the confirmation of its candidates, then the verdict. It stops at the first error of the environment; what goes wrong with a cell is in its
// measurements. The caller has validated the policy.
func (r *Runner) Run(ctx context.Context, rec *Record) error {
	if err := r.parity(ctx, rec); err != nil {
		return err
	}
	if err := r.evaluate(ctx, rec); err != nil {
		return err
	}
	cells := holding(rec)
	o := r.options(rec.Policy)
	o.Bound = rec.Policy.bound()
	s := stage{runner: r, record: rec, name: Screen, cells: cells, control: rec.Policy.controlled(cells), blocks: rec.Policy.ScreenBlocks, options: o}
	if err := s.run(ctx, &rec.Screen); err != nil {
		return err
	}
	if worst := Candidates(rec); len(worst) > 0 {
		within := time.Duration(math.Ceil(float64(rec.Policy.ConfirmNS) * aim)) // 0 stays 0: no limit
		c := stage{runner: r, record: rec, name: Confirm, cells: worst, blocks: rec.Policy.ConfirmBlocks, options: o, within: within, last: s.last, took: s.took}
		c.pace(c.within / time.Duration(c.blocks))
		if err := c.run(ctx, &rec.Confirm); err != nil {
			return err
		}
	}
	if err := rec.Check(); err != nil { // by the rules of a replay, which must not refuse it later
		return exit.With(exit.Internal, fmt.Errorf("the run gave a record that cannot be judged: %w", err))
	}
	rec.Verdict = Judge(rec)
	return nil
}

// aim is the share of its time that a confirmation is paced to: what the last block takes too long cannot be made up for.
const aim = 0.97

// parity runs every cell once on either side, untimed: against the float64 oracle of the side, and the head against the base.
func (r *Runner) parity(ctx context.Context, rec *Record) error {
	o := r.options(rec.Policy)
	if r.Head.Workloads != r.Base.Workloads {
		r.Head.Workloads.FeedFrom(r.Base.Workloads) // and not the other way round: the head does not choose what it is measured on
	}
	for _, b := range perf.Backends(rec.Cells) {
		err := measure.RunParityBoth(ctx, r.Base, r.Head, b, perf.OfBackend(rec.Cells, b), o, func(base, head measure.ParityRun, change *perf.Parity) error {
			rec.Parity = append(rec.Parity, CellParity{Cell: head.Cell, Parity: head.Parity, Base: base.Parity, Change: change, Work: head.Work})
			r.progress("parity", len(rec.Parity), len(rec.Cells))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) options(p Policy) measure.Options {
	o := p.options()
	o.Extra, o.Samplers, o.Devices, o.DataSet = r.Options.Extra, r.Options.Samplers, r.Options.Devices, r.Options.DataSet
	o.StepBound = p.bound() / 2 // also where a confirmation has less time: the steps of a device are short, and few samples tell little of them
	o.Steps = func(i int, c perf.Cell) bool { return !slots[i].control && p.Steps.Of(c) }
	return o
}

func (r *Runner) progress(stage string, done, total int) {
	if r.Progress != nil {
		r.Progress(stage, done, total)
	}
}

// slot is one process of a block.
type slot struct {
	arm     perf.Arm
	control bool
}

// slots are the processes of a block, in the order of their turns. It reads the same from both ends, so that a drift of the
// machine moves base, head and control alike; the control is a second base, and runs where there are cells for it.
var slots = []slot{{perf.Base, false}, {perf.Head, false}, {perf.Base, true}, {perf.Base, true}, {perf.Head, false}, {perf.Base, false}}

// stage measures blocks of cells.
type stage struct {
	runner  *Runner
	record  *Record
	name    Stage
	cells   []perf.Cell
	control []perf.Cell
	blocks  int
	options measure.Options // their bound is that of the next block
	within  time.Duration   // what the stage should take; 0 if that does not matter

	last []perf.Measurement          // of the latest block, of the stage before at first
	took map[perf.Cell]time.Duration // … and what each cell of it took, by the clock on the wall
}

func (s *stage) run(ctx context.Context, into *[]perf.Measurement) error {
	total := s.blocks * (4*len(s.cells) + 2*len(s.control))
	done, start := 0, time.Now()
	for block := range s.blocks {
		s.last, s.took = nil, map[perf.Cell]time.Duration{}
		for _, b := range perf.Backends(s.cells) {
			mark := time.Now()
			err := s.block(ctx, block, b, func(m perf.Measurement) {
				*into, s.last = append(*into, m), append(s.last, m)
				now := time.Now()
				s.took[m.Cell] += now.Sub(mark) // the first of a cell's measurements comes when all of them are there
				mark = now
				done++
				s.runner.progress(string(s.name), done, total)
			})
			if err != nil {
				return err
			}
		}
		if block+1 < s.blocks {
			s.pace((s.within - time.Since(start)) / time.Duration(s.blocks-block-1))
		}
	}
	return nil
}

// pace sets how long the next block samples each cell, from what the latest took and the time there is for it.
func (s *stage) pace(left time.Duration) {
	if s.within == 0 {
		return
	}
	took := time.Duration(0)
	for _, c := range s.cells {
		took += s.took[c]
	}
	full, o := s.record.Policy.bound(), &s.options
	o.Bound, o.Long = paced(o.Bound, full, took, left, 4*len(s.cells)), nil
	if o.Bound < full {
		o.Long = long(s.last, o.Bound)
	}
}

// paced returns the bound of the next block's samples, so that it takes as long as is left for it: what the block before took
// above or below that is spread over the samplings of a block. Between a quarter of the full bound and all of it: below, cells
// would be timed by too little for the time that their compilation and first runs take anyway.
func paced(bound, full, took, left time.Duration, samplings int) time.Duration {
	return min(max(bound+(left-took)/time.Duration(samplings), full/4), full)
}

// long finds the cells of a block of which no process took less than the bound for a run. To warm such a cell up by more than
// its first run would cost as much as its only sample.
func long(block []perf.Measurement, bound time.Duration) map[perf.Cell]bool {
	of := map[perf.Cell]bool{}
	for _, m := range block {
		is := m.State == evidence.Measured && m.CallsPerSample == 1 && slices.Min(m.Samples) > float64(bound)
		if before, known := of[m.Cell]; known {
			is = is && before
		}
		of[m.Cell] = is
	}
	return of
}

// block measures the cells of one backend in a block. The fixed workload runs before every turn of a process.
func (s *stage) block(ctx context.Context, block int, backend string, emit func(perf.Measurement)) error {
	stream := uint64(block)
	if s.name == Confirm {
		stream += maxBlocks
	}
	cells := measure.Order(perf.OfBackend(s.cells, backend), s.record.Policy.Seed, stream)
	processes := make([]measure.Slot, len(slots))
	for i, sl := range slots {
		processes[i] = measure.Slot{Side: s.runner.Base, Cells: cells}
		if sl.arm == perf.Head {
			processes[i].Side = s.runner.Head
		}
		if sl.control {
			processes[i].Cells = perf.OfBackend(s.control, backend)
		}
	}
	passes := make([][]float64, len(slots))
	onTurn := func(i int) { passes[i] = append(passes[i], timeWorkload()) }
	err := measure.Block(ctx, processes, backend, cells, s.options, onTurn, func(i int, m perf.Measurement) error {
		m.Replicate, m.Block, m.Control = i, block, slots[i].control
		if bound := s.options.Bound; m.State == evidence.Measured && bound < s.record.Policy.bound() {
			m.BoundNS = bound.Nanoseconds()
		}
		emit(checked(m, s.record.Policy))
		return nil
	})
	for i, list := range passes {
		if len(list) > 0 {
			s.record.Workload = append(s.record.Workload, WorkloadSample{Stage: s.name, Block: block, Backend: backend, Slot: i, Arm: slots[i].arm, NS: stat.Median(list)})
		}
	}
	return err
}
