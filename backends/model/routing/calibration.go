package routing

import (
	"fmt"
	"maps"
	"slices"

	"github.com/apex-x/apexx/internal/input"
)

// CalibrationRecord is one call of [CostModel.Calibrate].
type CalibrationRecord struct {
	Level    Level
	Measured map[string]float64 // field name to measured cost, finite, >= 0
	Blend    float64            // weight of the measurement, in [0,1]
	Applied  bool               // false: recorded only
}

func (r CalibrationRecord) check() error {
	if err := r.Level.check(); err != nil {
		return err
	}
	if !(r.Blend >= 0 && r.Blend <= 1) {
		return fmt.Errorf("blend is %v: must be in [0, 1]", r.Blend)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Measured)) {
		if new(LevelCost).field(key) == nil {
			return fmt.Errorf("unsupported calibration key %q: want one of %v", key, costFields)
		}
		if v := r.Measured[key]; !finite(v) || v < 0 {
			return fmt.Errorf("measured %s is %v: must be >= 0 and finite", key, v)
		}
	}
	return nil
}

// Calibrate moves the named fields of a level towards measurements, field = (1-Blend)*field + Blend*measured, if r.Applied,
// and appends a copy of r to the history either way. A call that fails changes nothing, while the original kept the modified
// costs. Source: spec 7.3.
func (m *CostModel) Calibrate(r CalibrationRecord) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.Applied {
		cost := m.levels[r.Level]
		for key, measured := range r.Measured {
			f := cost.field(key)
			*f = float64((1-r.Blend)**f) + float64(r.Blend*measured)
		}
		if err := cost.check(); err != nil {
			return fmt.Errorf("calibrate level %v: %w", r.Level, err)
		}
		m.levels[r.Level] = cost
	}
	r.Measured = maps.Clone(r.Measured)
	m.history = append(m.history, r)
	return nil
}

// History returns a copy of the calibrations so far, oldest first.
func (m *CostModel) History() []CalibrationRecord {
	out := slices.Clone(m.history)
	for i := range out {
		out[i].Measured = maps.Clone(out[i].Measured)
	}
	return out
}

// Object returns the JSON object form, with the keys levels and calibration_history. Source: spec 7.4.
func (m *CostModel) Object() map[string]any {
	levels := map[string]any{}
	for _, l := range Levels {
		fields := map[string]any{}
		for _, name := range costFields {
			fields[name] = *m.levels[l].field(name)
		}
		levels[l.String()] = fields
	}
	history := []any{}
	for _, r := range m.history {
		measured := map[string]any{}
		for k, v := range r.Measured {
			measured[k] = v
		}
		history = append(history, map[string]any{"level": r.Level.String(), "measured_timings": measured, "blend": r.Blend, "applied": r.Applied})
	}
	return map[string]any{"levels": levels, "calibration_history": history}
}

// Save writes the model as indented JSON. Folders are created; the file is written whole or not at all.
func (m *CostModel) Save(path string) error { return saveJSON(path, m.Object()) }

// LoadCostModel reads a file that Save wrote.
func LoadCostModel(path string) (*CostModel, error) {
	data, err := input.Read(path, input.Routing)
	if err != nil {
		return nil, err
	}
	m, err := ParseCostModel(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// ParseCostModel reads the JSON object form. Absent or empty levels give the defaults. The history is kept and checked but
// not applied again. Unknown keys are ignored.
func ParseCostModel(data []byte) (*CostModel, error) {
	v, err := decodeJSON(data)
	if err != nil {
		return nil, err
	}
	obj, err := asObject(v, "cost model")
	if err != nil {
		return nil, err
	}
	entries, err := optionalObject(obj, "levels")
	if err != nil {
		return nil, err
	}
	levels := map[string]LevelCost{}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if levels[name], err = levelCostFrom(entries[name]); err != nil {
			return nil, fmt.Errorf("level %q: %w", name, err)
		}
	}
	m, err := NewCostModel(levels)
	if err != nil {
		return nil, err
	}
	if history, ok := obj["calibration_history"]; ok {
		list, err := asList(history, "calibration_history")
		if err != nil {
			return nil, err
		}
		for i, item := range list {
			r, err := recordFrom(item)
			if err != nil {
				return nil, fmt.Errorf("calibration_history[%d]: %w", i, err)
			}
			m.history = append(m.history, r)
		}
	}
	return m, nil
}

func levelCostFrom(v any) (LevelCost, error) {
	obj, err := asObject(v, "cost")
	if err != nil {
		return LevelCost{}, err
	}
	var c LevelCost
	for i, name := range costFields {
		value, ok := obj[name]
		if !ok && i >= 2 { // only the first two are required
			continue
		}
		if *c.field(name), err = asNumber(value, name); err != nil {
			return LevelCost{}, err
		}
	}
	return c, nil
}

func recordFrom(v any) (CalibrationRecord, error) {
	fail := func(err error) (CalibrationRecord, error) { return CalibrationRecord{}, err }
	obj, err := asObject(v, "record")
	if err != nil {
		return fail(err)
	}
	name, err := asString(obj["level"], "level")
	if err != nil {
		return fail(err)
	}
	r := CalibrationRecord{Measured: map[string]float64{}}
	if r.Level, err = ParseLevel(name); err != nil {
		return fail(err)
	}
	if r.Blend, err = asNumber(obj["blend"], "blend"); err != nil {
		return fail(err)
	}
	applied, ok := obj["applied"].(bool)
	if !ok {
		return fail(fmt.Errorf("applied is %s: want a boolean", jsonKind(obj["applied"])))
	}
	r.Applied = applied
	measured, err := optionalObject(obj, "measured_timings")
	if err != nil {
		return fail(err)
	}
	for _, key := range slices.Sorted(maps.Keys(measured)) {
		if r.Measured[key], err = asNumber(measured[key], key); err != nil {
			return fail(err)
		}
	}
	return r, r.check()
}
