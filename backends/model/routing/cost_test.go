package routing

import (
	"bytes"
	"math"
	"path/filepath"
	"testing"
)

func workedCosts(t *testing.T) *CostModel {
	t.Helper()
	return must(NewCostModel(map[string]LevelCost{"l0": {.2, 1, .1, .2, .3}, " L1": {.3, 1.5, .1, .2, .4}, "l2": {.4, 2, .2, .3, .5}}))(t)
}

func TestCostModel(t *testing.T) {
	m, d := workedCosts(t), must(NewCostModel(nil))(t)
	for _, c := range []struct {
		name string
		got  float64
		want float64
	}{
		{"cheap", must(m.Cheap(L0, 5))(t), 1}, {"heavy", must(m.Heavy(L0, 5, true))(t), 6.5}, {"heavy without IO", must(m.Heavy(L0, 5, false))(t), 5},
		{"delta", must(m.Delta(L0, 5, true))(t), 5.5}, {"split", must(m.Split(L0, 2))(t), .6}, {"expected", must(m.Expected(L0, []float64{0, .5, 1}, true))(t), 2.25},
		{"total", must(m.Total(CostCounts{Heavy: map[Level]int{L0: 2, L1: 1}, Cheap: map[Level]int{L0: 3}, Split: map[Level]int{L0: 1, L1: 2}}, true))(t), 6.1},
		{"total heavy", must(m.Total(CostCounts{Heavy: map[Level]int{L0: 2, L1: 1}}, true))(t), 4.4},
		{"default heavy", must(d.Heavy(L0, 1, true))(t), 1}, {"default delta", must(d.Delta(L0, 1, true))(t), .8}, {"default split", must(d.Split(L2, 1))(t), 1},
	} {
		near(t, c.name, c.got, c.want, 1e-15)
	}
}

func TestCostModelErrors(t *testing.T) {
	good := DefaultLevelCost()
	for _, c := range []struct {
		levels map[string]LevelCost
		sub    string
	}{
		{map[string]LevelCost{"l0": good, "l1": good}, "l0, l1, and l2"}, {map[string]LevelCost{"l0": good, "l1": good, "l3": good}, "l0, l1, and l2"},
		{map[string]LevelCost{"l0": good, "L0": good, "l1": good, "l2": good}, "given twice"},
		{map[string]LevelCost{"l0": {Cheap: 1, Heavy: 1}, "l1": good, "l2": good}, "must be > c_cheap"},
		{map[string]LevelCost{"l0": {Cheap: -1, Heavy: 1}, "l1": good, "l2": good}, "must be >= 0"},
		{map[string]LevelCost{"l0": {Heavy: math.NaN()}, "l1": good, "l2": good}, "finite"},
		{map[string]LevelCost{"l0": {Heavy: 1, SplitOverhead: math.Inf(1)}, "l1": good, "l2": good}, "split_overhead"},
	} {
		_, err := NewCostModel(c.levels)
		wantErr(t, err, c.sub)
	}
	m := workedCosts(t)
	_, err := m.Cheap(L0, -1)
	wantErr(t, err, "must be >= 0")
	_, err = m.Delta(Level(3), 1, true)
	wantErr(t, err, "one of")
	_, err = m.Total(CostCounts{Cheap: map[Level]int{Level(9): 1}}, true)
	wantErr(t, err, "one of")
	_, err = m.Total(CostCounts{Split: map[Level]int{L2: -1}}, true)
	wantErr(t, err, "must be >= 0")
	for _, p := range []float64{-.1, 1.1, math.NaN()} {
		_, err = m.Expected(L0, []float64{p}, true)
		wantErr(t, err, "in [0, 1]")
	}
}

func TestCalibrate(t *testing.T) {
	m := must(NewCostModel(nil))(t)
	measured := map[string]float64{"c_heavy": 2, "pack_overhead": .4}
	if err := m.Calibrate(CalibrationRecord{Level: L1, Measured: measured, Blend: .5, Applied: true}); err != nil {
		t.Fatal(err)
	}
	measured["c_heavy"] = 99 // the model holds its own copy
	if err := m.Calibrate(CalibrationRecord{Level: L1, Measured: map[string]float64{"c_heavy": 5}, Blend: 1}); err != nil {
		t.Fatal(err)
	}
	if c := must(m.Level(L1))(t); c.Heavy != 1.5 || c.PackOverhead != .2 || len(m.History()) != 2 || m.History()[0].Measured["c_heavy"] != 2 {
		t.Errorf("calibrated to %+v, history %v", c, m.History())
	}
	for _, c := range []struct {
		r   CalibrationRecord
		sub string
	}{
		{CalibrationRecord{Measured: map[string]float64{"c_cheap": 3, "pack_overhead": .5}, Blend: 1, Applied: true}, "must be > c_cheap"},
		{CalibrationRecord{Measured: map[string]float64{"io": 3}, Blend: 1}, "unsupported calibration key"},
		{CalibrationRecord{Measured: map[string]float64{"c_heavy": -3}, Blend: 1}, "must be >= 0"},
		{CalibrationRecord{Blend: math.NaN()}, "blend"}, {CalibrationRecord{Blend: 1.5}, "blend"}, {CalibrationRecord{Level: 4}, "one of"},
	} {
		wantErr(t, m.Calibrate(c.r), c.sub)
	}
	if c := must(m.Level(L0))(t); c != DefaultLevelCost() || len(m.History()) != 2 {
		t.Errorf("a failed calibration left %+v and %d records", c, len(m.History()))
	}
}

func TestCostModelJSON(t *testing.T) {
	m := workedCosts(t)
	if err := m.Calibrate(CalibrationRecord{Level: L2, Measured: map[string]float64{"c_heavy": 3}, Blend: .25, Applied: true}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "costs", "model.json")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded := must(LoadCostModel(path))(t)
	if a, b := must(HashJSON(m.Object()))(t), must(HashJSON(loaded.Object()))(t); a != b || must(loaded.Level(L2))(t).Heavy != 2.25 {
		t.Errorf("loaded %v, saved %v", loaded.Object(), m.Object())
	}
	d := must(ParseCostModel([]byte(`{"levels": {}}`)))(t)
	if c := must(d.Level(L2))(t); c != DefaultLevelCost() {
		t.Errorf("no levels give %+v", c)
	}
	history := func(record string) string { return `{"calibration_history":[` + record + `]}` }
	for text, sub := range map[string]string{
		`[]`: "want an object", `{"levels":[]}`: "levels", `{"levels":{"l0":1}}`: `level "l0"`, `{"levels":{"l0":{"c_cheap":1}}}`: "c_heavy",
		`{"levels":{"l0":{"c_cheap":1,"c_heavy":"2"}}}`: "want a number", `{"levels":{"l0":{"c_cheap":1,"c_heavy":2}}}`: "l0, l1, and l2",
		`{"calibration_history":{}}`: "want a list", history(`1`): "calibration_history[0]", history(`{}`): "level",
		history(`{"level":"l5"}`): "one of", history(`{"level":"l0","applied":true}`): "blend", history(`{"level":"l0","blend":1}`): "applied",
		history(`{"level":"l0","blend":2,"applied":true}`): "blend", history(`{"level":"l0","blend":1,"applied":true,"measured_timings":{"x":1}}`): "unsupported calibration key",
		history(`{"level":"l0","blend":1,"applied":true,"measured_timings":{"c_heavy":null}}`): "want a number",
	} {
		_, err := ParseCostModel([]byte(text))
		wantErr(t, err, sub)
	}
	if m := must(ParseCostModel([]byte(history(`{"level":" L0","blend":1,"applied":true}`))))(t); len(m.History()) != 1 {
		t.Errorf("history %v", m.History())
	}
}

func FuzzParseCostModel(f *testing.F) {
	f.Add([]byte(`{"levels":{"l0":{"c_cheap":0.2,"c_heavy":1},"l1":{"c_cheap":0.2,"c_heavy":1},"l2":{"c_cheap":0,"c_heavy":1e3,"split_overhead":2}}}`))
	f.Add([]byte(`{"calibration_history":[{"level":"l1","blend":1,"applied":true,"measured_timings":{"c_heavy":2}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseCostModel(data)
		if err != nil {
			return
		}
		text := must(CanonicalJSON(m.Object()))(t)
		if got := must(CanonicalJSON(must(ParseCostModel(text))(t).Object()))(t); !bytes.Equal(got, text) {
			t.Errorf("%s becomes %s", text, got)
		}
	})
}
