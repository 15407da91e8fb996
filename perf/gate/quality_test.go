package gate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/accuracy/accuracytest"
)

// evaluated is a world whose cells were evaluated: on the head, cell 0 finds what keep leaves.
func evaluated(keep func(i int, d coco.Detection) bool) world {
	w, set := quiet(), accuracytest.New(48)
	w.plan = set.Plan()
	w.evaluate = func(cell int, arm perf.Arm) accuracy.Run {
		if arm == perf.Head && cell == 0 {
			return set.Run(w.cells[cell], arm, keep)
		}
		return set.Run(w.cells[cell], arm, nil)
	}
	return w
}

// TestQualityOutcomes judges what cells find beside how fast they are. The first smuggles: it is a third faster, its outputs are right, and it
// loses small objects.
func TestQualityOutcomes(t *testing.T) {
	set := accuracytest.New(48)
	ends := func(s evidence.State, of perf.Arm) func(*world) {
		return func(w *world) {
			before := w.evaluate
			w.evaluate = func(cell int, arm perf.Arm) accuracy.Run {
				if cell == 0 && arm == of {
					return accuracy.Run{Cell: w.cells[cell], Arm: arm, State: s, Reason: "segmentation fault", Detail: "the worker died"}
				}
				return before(cell, arm)
			}
		}
	}
	for name, tt := range map[string]struct {
		keep    func(i int, d coco.Detection) bool
		change  func(*world)
		outcome Outcome
		code    int
		state   CellState
		reason  string
	}{
		"fast and blind to small objects": {set.Large, func(w *world) { w.slow[0] = 0.67 }, QualityLost, 1, CellQualityLost,
			"reference/nano/fp32/128x128/b1/complete: finds less than the base (on synthetic: AP of boxes against the base: -"},
		"blind, and the machine moved": {set.Large, func(w *world) { w.drift = 0.5 }, QualityLost, 1, CellQualityLost, "finds less than the base"},
		"blind and slower":             {set.Large, func(w *world) { w.slow[0] = 1.5 }, QualityLost, 1, CellQualityLost, "finds less than the base"},
		"equal":                        {nil, nil, Pass, 0, CellClear, "; on synthetic none of 4 evaluated cells lost any AP"},
		"equal and slower":             {nil, func(w *world) { w.slow[0] = 1.5 }, Regression, 1, CellRegressed, "slower by 8 % or more"},
		"a little, within a budget of ten points": {func(i int, _ coco.Detection) bool { return i%40 > 0 },
			func(w *world) { w.plan.Policy.MaxMapDrop = must(accuracy.ParseBudgets("10")) }, Pass, 0, CellClear, "none of 4 evaluated cells lost more AP than it may, "},
		"a little, and the interval holds the budget": {func(i int, _ coco.Detection) bool { return i%40 > 0 },
			func(w *world) { w.plan.Policy.MaxMapDrop = must(accuracy.ParseBudgets("2.5")) }, Inconclusive, 3, CellNoisy, "undecided (quality on synthetic: AP of boxes against the base"},
		"no budget":                {nil, func(w *world) { w.plan.Policy.MaxMapDrop = accuracy.Budgets{} }, Inconclusive, 3, CellNoisy, "nobody has said how many points fp32 may lose"},
		"the head crashes on it":   {nil, ends(evidence.Crashed, perf.Head), Broken, 6, CellBroken, "crashed, hung or could not be measured"},
		"the base crashes on it":   {nil, ends(evidence.Crashed, perf.Base), Inconclusive, 3, CellUnverified, "the base crashed on synthetic: segmentation fault the worker died"},
		"another session is wrong": {nil, otherSession, ParityFailed, 1, CellParityFailed, "the session that was evaluated on synthetic: boxes are off"},
	} {
		t.Run(name, func(t *testing.T) {
			w := evaluated(tt.keep)
			if tt.change != nil {
				tt.change(&w)
			}
			rec := w.record()
			v := rec.Verdict
			if v.Outcome != tt.outcome || v.ExitCode != tt.code || v.Cells[0].State != tt.state || !strings.Contains(strings.Join(v.Reasons, "\n"), tt.reason) {
				t.Errorf("%s (%d), cell %s: %q", v.Outcome, v.ExitCode, v.Cells[0].State, v.Reasons)
			}
			back, err := Read(bytes.NewReader(encoded(t, rec)))
			if err != nil {
				t.Fatal(err)
			}
			if why := Differs(back.Verdict, Judge(back)); why != "" {
				t.Error("replayed: " + why)
			}
		})
	}
}

func must(b accuracy.Budgets, err error) accuracy.Budgets {
	if err != nil {
		panic(err)
	}
	return b
}

// otherSession has the evaluated session give other outputs than the timed one.
func otherSession(w *world) {
	before := w.evaluate
	w.evaluate = func(cell int, arm perf.Arm) accuracy.Run {
		r := before(cell, arm)
		if cell == 0 && arm == perf.Head {
			r.Parity = perf.Parity{State: evidence.Fail, Detail: "boxes are off"}
		}
		return r
	}
}

// TestQualityIsChecked edits records: what evidence does not give, and what is missing, is refused.
func TestQualityIsChecked(t *testing.T) {
	w := evaluated(accuracytest.New(48).Large)
	text := string(encoded(t, w.record()))
	ap := w.record().Evaluations[1].Found.Numbers.Boxes.AP
	for want, change := range map[string]func(*Record){
		"what was found gives": func(rec *Record) {
			rec.Evaluations[1].Found.Numbers.Boxes.AP = rec.Evaluations[0].Found.Numbers.Boxes.AP
		},
		"comes twice":                  func(rec *Record) { rec.Evaluations[1] = rec.Evaluations[0] },
		"lacks the evaluation of":      func(rec *Record) { rec.Evaluations = rec.Evaluations[1:] },
		"the record has 8 evaluations": func(rec *Record) { rec.Quality = nil },
		"bootstrap: want 500":          func(rec *Record) { rec.Quality.Policy.Replicates = 10 },
		"want from 0.9":                func(rec *Record) { rec.Quality.Policy.Confidence = 0.5 },
		"it is of 48 images":           func(rec *Record) { rec.Quality.DataSet.Images = 5000 },
	} {
		var rec Record
		if err := json.Unmarshal([]byte(text), &rec); err != nil {
			t.Fatal(err)
		}
		change(&rec)
		if err := rec.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	number := fmt.Sprintf("\"ap\": %v,", ap)
	if _, err := Read(strings.NewReader(strings.Replace(text, number, "\"ap\": 0.99,", 1))); err == nil || !strings.Contains(err.Error(), "the file was changed after it was written") {
		t.Errorf("an AP of 0.99: %v", err)
	}
}
