package gate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
)

// Check refuses records that Judge could not judge: another schema, an invalid policy, a class of machines that is not that of the
// environment, cells, controls or measurements that are missing, come twice or make no sense. A live run is checked before it is judged, by the same
// rules as a file.
func (rec *Record) Check() error {
	if lacks := olderLacks[rec.Schema]; lacks != "" {
		return fmt.Errorf("its schema is %s: %s; apexx %s judges it", rec.Schema, lacks, rec.Version)
	}
	if rec.Schema != SchemaID {
		return fmt.Errorf("the schema is %q, want %q", rec.Schema, SchemaID)
	}
	if rec.When.IsZero() {
		return errors.New("it does not say when it was measured")
	}
	if err := rec.Policy.Validate(); err != nil {
		return err
	}
	if err := rec.checkCells(); err != nil {
		return err
	}
	measured := slices.Concat(rec.Screen, rec.Confirm)
	if err := env.CheckClass(rec.Class, rec.Environment, rec.Policy.Threads, rec.Cells, perf.DevicesOf(measured)...); err != nil {
		return err
	}
	for _, m := range measured {
		if !slices.Contains(rec.Cells, m.Cell) {
			return fmt.Errorf("a measurement is of %s, which is not a cell of the record", m.Cell)
		}
		if err := checkSamples(m, rec.Policy); err != nil {
			return fmt.Errorf("a measurement of %s: %w", m.Cell, err)
		}
	}
	if err := rec.checkQuality(); err != nil {
		return err
	}
	held := holding(rec)
	screen := plan{stage: Screen, cells: held, control: rec.Policy.controlled(held), blocks: rec.Policy.ScreenBlocks}
	if err := screen.complete(rec.Screen, rec.Workload); err != nil {
		return err
	}
	confirm := plan{stage: Confirm, cells: Candidates(rec), blocks: rec.Policy.ConfirmBlocks}
	return confirm.complete(rec.Confirm, rec.Workload)
}

// checkCells finds every cell and its parity once.
func (rec *Record) checkCells() error {
	if len(rec.Cells) == 0 {
		return errors.New("the record has no cells")
	}
	for i, c := range rec.Cells {
		if _, err := perf.ParseCell(c.String()); err != nil {
			return err
		}
		if slices.Contains(rec.Cells[:i], c) {
			return fmt.Errorf("the cell %s comes twice", c)
		}
		p := rec.parityOf(c)
		if p.Parity.State == evidence.NotRun {
			return fmt.Errorf("the record lacks the parity of %s", c)
		}
		for _, p := range []*perf.Parity{&p.Parity, &p.Base, p.Change} {
			if p == nil {
				continue
			}
			if err := p.Check(); err != nil {
				return fmt.Errorf("the parity of %s: %w", c, err)
			}
		}
		if ran := p.Parity.State.Compared() && p.Base.State.Compared(); ran != (p.Change != nil) || p.Change != nil && !p.Change.State.Compared() {
			return fmt.Errorf("the parity of %s: head and base both ran (%t), and their comparison is %+v", c, ran, p.Change)
		}
	}
	if len(rec.Parity) != len(rec.Cells) {
		return fmt.Errorf("the record has %d parities of %d cells", len(rec.Parity), len(rec.Cells))
	}
	return nil
}

// plan is what a stage has to hold.
type plan struct {
	stage   Stage
	cells   []perf.Cell
	control []perf.Cell // of cells, with an A/A arm
	blocks  int
}

// place is where in a stage a measurement belongs.
type place struct {
	cell        perf.Cell
	block, slot int
}

// in returns the cells of a slot.
func (p plan) in(s slot) []perf.Cell {
	if s.control {
		return p.control
	}
	return p.cells
}

// complete finds every replicate of every block and no other, and the fixed workload before each.
func (p plan) complete(list []perf.Measurement, workload []WorkloadSample) error {
	seen := map[place]bool{}
	for _, m := range list {
		at := place{m.Cell, m.Block, m.Replicate}
		switch {
		case m.Block < 0 || m.Block >= p.blocks || m.Replicate < 0 || m.Replicate >= len(slots):
			return fmt.Errorf("the %s has block %d, slot %d of %s; want %d blocks of %d", p.stage, m.Block, m.Replicate, m.Cell, p.blocks, len(slots))
		case seen[at]:
			return fmt.Errorf("the %s has block %d, slot %d of %s twice", p.stage, m.Block, m.Replicate, m.Cell)
		case slots[m.Replicate] != slot{m.Arm, m.Control}:
			return fmt.Errorf("slot %d of the %s is not for %s (control: %t)", m.Replicate, p.stage, m.Arm, m.Control)
		case !slices.Contains(p.in(slots[m.Replicate]), m.Cell):
			return fmt.Errorf("slot %d of the %s holds %s, which was not to be measured there", m.Replicate, p.stage, m.Cell)
		}
		seen[at] = true
	}
	for b := range p.blocks {
		for i, s := range slots {
			for _, c := range p.in(s) {
				if !seen[place{c, b, i}] {
					return fmt.Errorf("the %s lacks block %d, slot %d of %s: the record is cut short", p.stage, b, i, c)
				}
			}
		}
	}
	return p.controlled(workload)
}

// controlled finds a sample of the fixed workload before every process: without them, a machine that moved would not be noticed.
func (p plan) controlled(workload []WorkloadSample) error {
	type process struct{ block, slot int }
	left := map[process]int{}
	for b := range p.blocks {
		for i, s := range slots {
			left[process{b, i}] = len(perf.Backends(p.in(s)))
		}
	}
	for _, w := range workload {
		switch {
		case w.Stage != Screen && w.Stage != Confirm:
			return fmt.Errorf("the fixed workload has a sample of the stage %q (known: %s, %s)", w.Stage, Screen, Confirm)
		case w.Stage != p.stage:
			continue
		case !(w.NS >= minSampleNS && w.NS <= maxSampleNS):
			return fmt.Errorf("the fixed workload took %v ns in block %d of the %s", w.NS, w.Block, p.stage)
		case left[process{w.Block, w.Slot}] == 0 || slots[w.Slot].arm != w.Arm:
			return fmt.Errorf("the fixed workload has a sample before slot %d (%s) of block %d too many in the %s", w.Slot, w.Arm, w.Block, p.stage)
		}
		left[process{w.Block, w.Slot}]--
	}
	for b := range p.blocks {
		for i := range slots {
			if left[process{b, i}] > 0 {
				return fmt.Errorf("the %s lacks the fixed workload before slot %d of block %d: the record is cut short", p.stage, i, b)
			}
		}
	}
	return nil
}

// Samples outside of these are in other units: nothing here takes less than 10 ns or more than a day.
const (
	minSampleNS = 10
	maxSampleNS = 86400e9
)

// checkSamples refuses samples that are no durations, or not in nanoseconds.
func checkSamples(m perf.Measurement, p Policy) error {
	o := p.options().Filled()
	if m.BoundNS < 0 || m.BoundNS > 0 && m.BoundNS >= o.Bound.Nanoseconds() {
		return fmt.Errorf("its samples were cut to %d ns, of %d", m.BoundNS, o.Bound.Nanoseconds())
	}
	if err := m.Check(); err != nil {
		return err
	}
	switch {
	case m.State == evidence.Measured && m.Outputs == nil:
		return errors.New("nobody compared what it computed")
	case m.State == evidence.Measured && m.Device == nil && perf.OnDevice(m.Cell.Backend): // δ is that of the device
		return errors.New("it does not say on which GPU it was taken")
	}
	for _, ns := range m.DeviceSamples { // a ratio of two of them is judged
		if ns == 0 {
			return errors.New("a sample of the device is 0 ns, want a positive number")
		}
	}
	if len(m.Samples) > 0 && slices.Max(slices.Concat(m.Samples, m.DeviceSamples)) < minSampleNS {
		return fmt.Errorf("its samples reach %v ns: other units than nanoseconds", slices.Max(m.Samples))
	}
	return m.CheckUnits(o.Iterations, cmp.Or(time.Duration(m.BoundNS), o.Bound))
}

// checked returns the measurement, or where its numbers make no sense one that ended in an error for that reason: what one worker says
// wrongly costs its cell, and the others stand.
func checked(m perf.Measurement, p Policy) perf.Measurement {
	if err := checkSamples(m, p); err != nil {
		return m.Refused(err)
	}
	return m
}
