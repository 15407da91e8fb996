package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/apex-x/apexx/perf"
)

// WriteJSON writes a record as one JSON object.
func WriteJSON(w io.Writer, rec *Record) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(rec)
}

// Read reads a record and checks that it is whole: a part of a record must not pass as a run in which nothing happened.
func Read(from io.Reader) (*Record, error) {
	var rec Record
	d := json.NewDecoder(from)
	if err := d.Decode(&rec); err != nil {
		return nil, fmt.Errorf("not the record of a gate: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not the record of a gate: something follows the object")
	}
	return &rec, rec.Check()
}

// Check refuses records that Judge could not judge: another schema, an invalid policy, cells or measurements that are missing,
// come twice or make no sense.
func (rec *Record) Check() error {
	if rec.Schema != SchemaID {
		return fmt.Errorf("the schema is %q, want %q", rec.Schema, SchemaID)
	}
	if err := rec.Policy.Validate(); err != nil {
		return err
	}
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
		if _, ok := parityOf(rec, c); !ok {
			return fmt.Errorf("the record lacks the parity of %s", c)
		}
	}
	for _, m := range slices.Concat(rec.Screen, rec.Confirm) {
		if err := checkMeasurement(m, rec.Cells); err != nil {
			return err
		}
	}
	for _, w := range rec.Workload {
		if !(w.NS > 0) || math.IsInf(w.NS, 0) || w.Slot < 0 || w.Slot >= len(slots) {
			return fmt.Errorf("the reference workload took %v ns in slot %d", w.NS, w.Slot)
		}
	}
	if err := complete(rec.Screen, holding(rec), rec.Policy.ScreenBlocks, "screen"); err != nil {
		return err
	}
	return complete(rec.Confirm, Candidates(rec), rec.Policy.ConfirmBlocks, "confirmation")
}

func checkMeasurement(m perf.Measurement, cells []perf.Cell) error {
	if !slices.Contains(cells, m.Cell) {
		return fmt.Errorf("a measurement is of %s, which is not a cell of the record", m.Cell)
	}
	if m.State == perf.Measured && len(m.Samples) == 0 {
		return fmt.Errorf("a measurement of %s has no samples", m.Cell)
	}
	for _, ns := range slices.Concat(m.Samples, m.DeviceSamples) {
		if !(ns > 0) || math.IsInf(ns, 0) {
			return fmt.Errorf("a sample of %s is %v ns, want a positive number", m.Cell, ns)
		}
	}
	if ns := slices.Concat(m.Samples, m.DeviceSamples); len(ns) > 0 && (slices.Max(ns) > maxSampleNS || slices.Max(ns) < minSampleNS) {
		return fmt.Errorf("the samples of %s reach %v ns: other units than nanoseconds", m.Cell, slices.Max(ns))
	}
	return nil
}

// Samples outside of these are in other units: nothing here takes less than 10 ns or more than a day.
const (
	minSampleNS = 10
	maxSampleNS = 86400e9
)

// complete finds every replicate of every block and no other.
func complete(list []perf.Measurement, cells []perf.Cell, blocks int, stage string) error {
	type key struct {
		cell        perf.Cell
		block, slot int
	}
	seen := map[key]bool{}
	for _, m := range list {
		k := key{m.Cell, m.Block, m.Replicate}
		switch {
		case m.Block < 0 || m.Block >= blocks || m.Replicate < 0 || m.Replicate >= len(slots):
			return fmt.Errorf("the %s has block %d, slot %d of %s; want %d blocks of %d", stage, m.Block, m.Replicate, m.Cell, blocks, len(slots))
		case seen[k]:
			return fmt.Errorf("the %s has block %d, slot %d of %s twice", stage, m.Block, m.Replicate, m.Cell)
		case slots[m.Replicate].arm != m.Arm || slots[m.Replicate].control != m.Control:
			return fmt.Errorf("slot %d of the %s is not for %s", m.Replicate, stage, m.Arm)
		case !slices.Contains(cells, m.Cell):
			return fmt.Errorf("the %s holds %s, which was not to be measured there", stage, m.Cell)
		}
		seen[k] = true
	}
	for _, c := range cells {
		for b := range blocks {
			for i, sl := range slots {
				if !sl.control && !seen[key{c, b, i}] {
					return fmt.Errorf("the %s lacks block %d, slot %d of %s: the record is cut short", stage, b, i, c)
				}
			}
		}
	}
	return nil
}
