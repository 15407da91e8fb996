package sweep

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
)

// classID, of at most maxClassID bytes, is what fits a file name everywhere. (The regular expression says no length: compiling
// 200 repetitions took longer than all else that starts with the program.)
var classID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

const maxClassID = 200

// ValidClass says what is wrong with a class: its kind is one of the three, its ID lower-case letters, digits, dots, dashes and
// underscores, at most 200 of them.
func ValidClass(c env.Class) error {
	if !slices.Contains([]env.Kind{env.LockedGPU, env.UnlockedGPU, env.SharedCPU}, c.Kind) {
		return fmt.Errorf("class.kind is %q, want gpu-locked, gpu-unlocked or cpu", c.Kind)
	}
	if len(c.ID) > maxClassID || !classID.MatchString(c.ID) {
		return fmt.Errorf("class.id %q is not fit for a file name (want lower-case letters, digits, dots and dashes)", c.ID)
	}
	return nil
}

// Validate returns the first thing that is wrong with a result, nil where it is sound: the schema id; the class; cells unique,
// named as they are and those of the plan; every number finite and not negative; known states, samples where and only where the
// state is measured; and the counts of a summary those of the measurements. A result may hold fewer replicates than its plan.
func (r *Result) Validate() error {
	switch {
	case r.Schema != SchemaID:
		return fmt.Errorf("schema is %q, want %q", r.Schema, SchemaID)
	case r.When.IsZero():
		return fmt.Errorf("when is missing")
	case r.Plan.Replicates < 1 || r.Plan.Iterations < 1:
		return fmt.Errorf("the plan has %d replicates of %d iterations, want one or more", r.Plan.Replicates, r.Plan.Iterations)
	}
	if err := ValidClass(r.Class); err != nil {
		return err
	}
	if err := sound("", reflect.ValueOf(*r)); err != nil {
		return err
	}
	if err := r.checkCells(); err != nil {
		return err
	}
	counts, err := r.checkMeasurements()
	if err != nil {
		return err
	}
	for _, c := range r.Cells {
		if err := c.checkSummary(counts[c.Name]); err != nil {
			return fmt.Errorf("cell %s: %w", c.Name, err)
		}
	}
	return nil
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
		case !slices.Contains(states, c.State):
			return fmt.Errorf("cell %s: unknown state %q", name, c.State)
		}
		seen[name] = true
	}
	return nil
}

// count is what the measurements of one cell hold.
type count struct{ measured, other, samples int }

func (r *Result) checkMeasurements() (map[string]count, error) {
	counts := map[string]count{}
	for _, c := range r.Cells {
		counts[c.Name] = count{}
	}
	type key struct {
		name      string
		replicate int
	}
	seen := map[key]bool{}
	for i, m := range r.Measurements {
		name := m.Cell.String()
		n, known := counts[name]
		k := key{name, m.Replicate}
		switch {
		case !known:
			return nil, fmt.Errorf("measurements[%d] is of cell %s, which the plan does not have", i, name)
		case m.Replicate >= r.Plan.Replicates:
			return nil, fmt.Errorf("measurements[%d]: replicate %d of cell %s, the plan has %d", i, m.Replicate, name, r.Plan.Replicates)
		case seen[k]:
			return nil, fmt.Errorf("replicate %d of cell %s appears twice", m.Replicate, name)
		}
		if err := checkMeasurement(m); err != nil {
			return nil, fmt.Errorf("measurements[%d]: %w", i, err)
		}
		seen[k] = true
		if m.State == evidence.Measured {
			n.measured++
			n.samples += len(m.Samples)
		} else {
			n.other++
		}
		counts[name] = n
	}
	return counts, nil
}

// checkMeasurement holds one measurement to what every one is: of a known state, with samples where and only where it is measured,
// every number finite and not negative, no sample of no time, and the device's samples as many as the host's.
func checkMeasurement(m perf.Measurement) error {
	of := fmt.Sprintf("replicate %d of cell %s is %s and has", m.Replicate, m.Cell, m.State)
	switch {
	case !slices.Contains(states, m.State):
		return fmt.Errorf("unknown state %q", m.State)
	case m.State == evidence.Measured && len(m.Samples) == 0:
		return fmt.Errorf("%s no samples", of)
	case m.State != evidence.Measured && len(m.Samples)+len(m.DeviceSamples) > 0:
		return fmt.Errorf("%s samples", of)
	case len(m.DeviceSamples) > 0 && len(m.DeviceSamples) != len(m.Samples):
		return fmt.Errorf("%s %d samples of the host and %d of the device", of, len(m.Samples), len(m.DeviceSamples))
	case slices.Contains(m.Samples, 0), slices.Contains(m.DeviceSamples, 0):
		return fmt.Errorf("%s a sample of 0 ns", of)
	}
	return sound("", reflect.ValueOf(m))
}

func (c *CellResult) checkSummary(n count) error {
	switch {
	case c.State == evidence.Measured && n.measured == 0:
		return fmt.Errorf("it is measured and has no measurements")
	case c.State == evidence.Measured && n.other > 0:
		return fmt.Errorf("it is measured and %d of its replicates are not", n.other)
	case n.measured > 0 != (c.Summary != nil):
		return fmt.Errorf("%d measured replicates and summary %v", n.measured, c.Summary)
	case c.Summary == nil:
		return nil
	case c.Summary.Replicates != n.measured || c.Summary.Samples != n.samples:
		return fmt.Errorf("the summary is of %d samples in %d replicates, the measurements hold %d in %d",
			c.Summary.Samples, c.Summary.Replicates, n.samples, n.measured)
	}
	for _, s := range []*perf.Summary{c.Summary, c.Device} {
		if s == nil {
			continue
		}
		if quantiles := []float64{s.P50, s.P90, s.P95}; !slices.IsSorted(quantiles) || s.P99 != nil && *s.P99 < s.P95 {
			return fmt.Errorf("the quantiles of the summary are not in order: %v", quantiles)
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
	if v.Type() == reflect.TypeFor[time.Time]() {
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
