package sweep

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/env"
)

// Validate returns the first thing that is wrong with a result, nil where it is sound: the schema id; the class, which is that of the environment;
// cells unique, named as they are and those of the plan; every number finite, not negative and within perf.Measurement.Check; samples in the unit
// that the plan's bounds tell; and every cell what Sum makes of the measurements, so that nothing but samples is believed. A result may hold fewer
// replicates than its plan.
func (r *Result) Validate() error {
	switch {
	case r.Schema != SchemaID:
		return fmt.Errorf("schema is %q, want %q", r.Schema, SchemaID)
	case r.When.IsZero():
		return fmt.Errorf("when is missing")
	case r.Plan.Replicates < 1 || r.Plan.Iterations < 1 || r.Plan.BoundNS < 1:
		return fmt.Errorf("the plan has %d replicates of %d iterations in %d ns, want one or more", r.Plan.Replicates, r.Plan.Iterations, r.Plan.BoundNS)
	}
	if err := env.CheckClass(r.Class, r.Environment, r.Plan.Threads, r.Plan.Cells, perf.DevicesOf(r.Measurements)...); err != nil {
		return err
	}
	if err := sound("", reflect.ValueOf(*r)); err != nil {
		return err
	}
	if err := r.checkCells(); err != nil {
		return err
	}
	if err := r.checkMeasurements(); err != nil {
		return err
	}
	if err := r.checkSums(); err != nil {
		return err
	}
	return r.checkQuality()
}

// checkCells compares the cells with the plan, position by position.
func (r *Result) checkCells() error {
	if len(r.Cells) != len(r.Plan.Cells) {
		return fmt.Errorf("%d cells, the plan has %d", len(r.Cells), len(r.Plan.Cells))
	}
	seen := map[string]bool{}
	for i, c := range r.Cells {
		name := c.Cell.String()
		if _, err := perf.ParseCell(name); err != nil {
			return fmt.Errorf("cells[%d]: %w", i, err)
		}
		switch {
		case c.Name != name:
			return fmt.Errorf("cells[%d] is named %q, want %q", i, c.Name, name)
		case c.Cell != r.Plan.Cells[i]:
			return fmt.Errorf("cells[%d] is %s, the plan has %s there", i, name, r.Plan.Cells[i])
		case seen[name]:
			return fmt.Errorf("cell %s appears twice", name)
		}
		if err := c.Parity.Check(); err != nil {
			return fmt.Errorf("the parity of cell %s: %w", name, err)
		}
		if err := c.Work.Check(); err != nil {
			return fmt.Errorf("the work of cell %s: %w", name, err)
		}
		seen[name] = true
	}
	return nil
}

func (r *Result) checkMeasurements() error {
	type place struct {
		cell      perf.Cell
		replicate int
	}
	planned, seen := map[perf.Cell]bool{}, map[place]bool{}
	for _, c := range r.Plan.Cells {
		planned[c] = true
	}
	for i := range r.Measurements {
		m := &r.Measurements[i]
		at := place{m.Cell, m.Replicate}
		switch {
		case !planned[m.Cell]:
			return fmt.Errorf("measurements[%d] is of cell %s, which the plan does not have", i, m.Cell)
		case m.Replicate >= r.Plan.Replicates:
			return fmt.Errorf("measurements[%d]: replicate %d of cell %s, the plan has %d", i, m.Replicate, m.Cell, r.Plan.Replicates)
		case seen[at]:
			return fmt.Errorf("replicate %d of cell %s appears twice", m.Replicate, m.Cell)
		case m.Arm == perf.Base || m.Control:
			return fmt.Errorf("replicate %d of cell %s is of a gate", m.Replicate, m.Cell)
		}
		if err := r.Plan.check(m); err != nil {
			return fmt.Errorf("replicate %d of cell %s: %w", m.Replicate, m.Cell, err)
		}
		seen[at] = true
	}
	return nil
}

// check refuses a measurement that no machine can give, or whose samples are no nanoseconds.
func (p *Plan) check(m *perf.Measurement) error {
	if err := m.Check(); err != nil {
		return err
	}
	return m.CheckUnits(p.Iterations, time.Duration(p.BoundNS))
}

// checkSums holds every cell against the sum of its measurements.
func (r *Result) checkSums() error {
	of := map[perf.Cell][]perf.Measurement{}
	for _, m := range r.Measurements {
		of[m.Cell] = append(of[m.Cell], m)
	}
	for _, got := range r.Cells {
		want := Sum(got.Cell, of[got.Cell])
		want.Parity, want.Work, want.Detail = got.Parity, got.Work, got.Detail // what samples do not tell
		got.Quality = nil                                                      // see checkQuality
		if err := equal("", reflect.ValueOf(got), reflect.ValueOf(want)); err != nil {
			return fmt.Errorf("cell %s: %w", got.Name, err)
		}
		if got.Cell.Scope == perf.Complete && got.Ended().Holds() {
			if err := got.Work.CheckWhole(); err != nil {
				return fmt.Errorf("cell %s: %w: the file was changed after it was written", got.Name, err)
			}
		}
		if err := checkParity(got.Parity, timedParity(got.Cell, of[got.Cell])); err != nil {
			return fmt.Errorf("cell %s: %w", got.Name, err)
		}
	}
	return nil
}

// checkParity refuses what is said of a cell and is better than what a timed session of it computed.
func checkParity(got perf.Parity, timed *perf.Parity) error {
	switch {
	case timed == nil || !worse(*timed, got):
		return nil
	case timed.State == got.State:
		return fmt.Errorf("parity.max_abs is %v, of a timed session it is %v: the file was changed after it was written", got.MaxAbs, timed.MaxAbs)
	}
	return fmt.Errorf("parity.state is %s, of a timed session it is %s: the file was changed after it was written", got.State, timed.State)
}

// rounding is the relative difference that a sum may have which was made by another build or written with fewer digits.
const rounding = 1e-9

// equal walks through two values of one type and returns the first number, text or absence in which they differ, with the JSON path to it.
func equal(path string, got, want reflect.Value) error {
	differ := func(g, w any) error {
		return fmt.Errorf("%s is %v, its samples give %v: the file was changed after it was written", strings.TrimPrefix(path, "."), g, w)
	}
	switch got.Kind() {
	case reflect.Float64:
		if g, w := got.Float(), want.Float(); math.Abs(g-w) > rounding*w {
			return differ(g, w)
		}
	case reflect.Pointer:
		switch {
		case got.IsNil() && want.IsNil():
		case got.IsNil():
			return differ("null", "a value")
		case want.IsNil():
			return differ("a value", "none")
		default:
			return equal(path, got.Elem(), want.Elem())
		}
	case reflect.Struct:
		for i := range got.NumField() {
			name, _, _ := strings.Cut(got.Type().Field(i).Tag.Get("json"), ",")
			if err := equal(path+"."+name, got.Field(i), want.Field(i)); err != nil {
				return err
			}
		}
	case reflect.String, reflect.Int, reflect.Int64:
		if !got.Equal(want) {
			return differ(got, want)
		}
	}
	return nil
}

// sound walks through a value and returns the first number that is NaN, infinite or negative, with the JSON path to it: nothing
// that a sweep records can be. Walking covers fields that are added later too.
func sound(path string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Float64:
		if f := v.Float(); !(f >= 0) || math.IsInf(f, 1) {
			return fmt.Errorf("%s is %g, want a finite number that is not negative", strings.TrimPrefix(path, "."), f)
		}
	case reflect.Int, reflect.Int64:
		if v.Int() < 0 {
			return fmt.Errorf("%s is %d, want a number that is not negative", strings.TrimPrefix(path, "."), v.Int())
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return sound(path, v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := sound(path+"["+strconv.Itoa(i)+"]", v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if err := sound(path+"."+k.String(), v.MapIndex(k)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return soundFields(path, v)
	}
	return nil
}

func soundFields(path string, v reflect.Value) error {
	switch v.Type() {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[accuracy.Run](), reflect.TypeFor[accuracy.Plan](), reflect.TypeFor[CellQuality](): // which checkQuality looks at
		return nil
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "temperature_c" { // below freezing is a temperature
			continue
		}
		if err := sound(path+"."+name, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}
