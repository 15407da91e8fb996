package accuracy_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	. "github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/accuracy/accuracytest"
)

var cell = perf.Cell{Backend: "ort", Profile: "nano", Precision: backends.FP16, Height: 512, Width: 512, Batch: 1, Scope: perf.Complete}

// TestJudge lets the end of the interval decide, the worse of boxes and masks.
func TestJudge(t *testing.T) {
	result := func(boxes, masks [2]float64) *Result {
		d := func(m Metric, low, high float64) Difference {
			return Difference{m, evaluate.Difference{Base: 0.8, Low: low, High: high}}
		}
		return &Result{Against: "the base", Base: Numbers{Boxes: evaluate.Summary{AP: 0.8}}, Differences: []Difference{d(BoxAP, boxes[0], boxes[1]), d(MaskAP, masks[0], masks[1])}}
	}
	same := [2]float64{0, 0}
	for _, tt := range []struct {
		boxes, masks [2]float64
		images       int
		want         Verdict
	}{
		{same, same, 64, Kept}, {[2]float64{-0.005, 0.01}, same, 64, Kept}, {[2]float64{0.01, 0.02}, same, 64, Kept},
		{[2]float64{-0.0051, 0.01}, same, 64, Undecided}, {[2]float64{-0.02, -0.005}, same, 64, Undecided}, {[2]float64{-0.02, -0.0051}, same, 64, Lost},
		{same, [2]float64{-0.02, -0.01}, 64, Lost}, {[2]float64{-0.02, 0}, [2]float64{-0.02, -0.01}, 64, Lost}, {[2]float64{-0.02, -0.01}, [2]float64{-0.02, 0}, 64, Lost},
		{same, [2]float64{-0.02, 0}, 64, Undecided}, {same, same, 19, Undecided}, {[2]float64{-0.5, -0.4}, same, 19, Undecided},
	} {
		p := DefaultPolicy()
		got, why := p.Judge(result(tt.boxes, tt.masks), tt.images, backends.FP16)
		if got != tt.want || (why == "") != (got == Kept) {
			t.Errorf("%+v: %s (%s)", tt, got, why)
		}
	}
	p := DefaultPolicy()
	if v, why := p.Judge(result([2]float64{-0.0312, -0.0123}, same), 64, backends.FP16); v != Lost || why != "AP of boxes against the base: +0.00 (-3.12 to -1.23) points, and 0.5 may be lost" {
		t.Errorf("%s: %s", v, why)
	}
	delete(p.MaxMapDrop, backends.FP16)
	if v, why := p.Judge(result(same, same), 64, backends.FP16); v != Undecided || !strings.Contains(why, "nobody has said how many points fp16 may lose") {
		t.Errorf("without a budget: %s, %s", v, why)
	}
	if v, _ := p.Judge(&Result{Against: "the base"}, 64, backends.FP32); v != Undecided {
		t.Errorf("where the base finds nothing: %s", v)
	}
}

func TestBudgets(t *testing.T) {
	b, err := ParseBudgets("fp16=0.25, int8=3")
	if err != nil || b[backends.FP16] != 0.25 || b[backends.INT8] != 3 || b[backends.BF16] != 1 || b.String() != "fp64=0.1,fp32=0.1,tf32=0.5,fp16=0.25,bf16=1,int8=3,fp8=2" {
		t.Errorf("%v %v", b, err)
	}
	if b, err := ParseBudgets("1.5"); err != nil || b[backends.FP64] != 1.5 || b[backends.FP8] != 1.5 {
		t.Errorf("%v %v", b, err)
	}
	for _, text := range []string{"", "x", "fp16", "fp16=x", "fp17=1", "-1", "101", "NaN", "fp16=-1"} {
		if _, err := ParseBudgets(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

// TestRunChecksItsEvidence edits a run: numbers that the pairs do not give are refused, and so are pairs of other sets.
func TestRunChecksItsEvidence(t *testing.T) {
	set := accuracytest.New(24)
	plan := set.Plan()
	good := set.Run(cell, perf.Head, nil)
	text, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	var back Run
	if err := json.Unmarshal(text, &back); err != nil || back.Check(&plan.DataSet) != nil || !reflect.DeepEqual(back.Found.Numbers, good.Found.Numbers) {
		t.Fatalf("%v, %v", err, back.Check(&plan.DataSet))
	}
	other := accuracytest.New(25).Run(cell, perf.Head, nil)
	zero := 0.5
	for want, change := range map[string]func(r *Run){
		"numbers.boxes, number 1 of COCO's twelve, is":      func(r *Run) { r.Found.Numbers.Boxes.AP += 0.01 },
		"numbers.boxes, number 4 of COCO's twelve, is":      func(r *Run) { r.Found.Numbers.Boxes.APSmall = 0.9 },
		"numbers.miou: the counts are there: false":         func(r *Run) { r.Found.Numbers.MIoU = &zero },
		"numbers.masks: the pairs are there: false":         func(r *Run) { r.Found.Numbers.Masks = &r.Found.Numbers.Boxes },
		"it is of 25 images":                                func(r *Run) { r.Found = other.Found },
		"it ended as \"pass\"":                              func(r *Run) { r.State = evidence.Pass },
		"it is crashed, and what it found is there: true":   func(r *Run) { r.State = evidence.Crashed },
		"it is measured, and what it found is there: false": func(r *Run) { r.Found = nil },
		"nobody compared what its session gives":            func(r *Run) { r.Parity.State = evidence.NotRun },
		"its scope has no detections":                       func(r *Run) { r.Cell.Scope = perf.Network },
	} {
		r, found := good, *good.Found
		r.Found = &found
		change(&r)
		if err := r.Check(&plan.DataSet); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestCompare finds what a cell lost that finds no small objects.
func TestCompare(t *testing.T) {
	set := accuracytest.New(48)
	plan := set.Plan()
	base, blind := set.Run(cell, perf.Base, nil), set.Run(cell, perf.Head, set.Large)
	r, err := Compare("the base", base.Found, blind.Found, plan.Policy.Bootstrap())
	if err != nil {
		t.Fatal(err)
	}
	if v, why := plan.Policy.Judge(r, 48, backends.FP16); v != Lost {
		t.Errorf("%s: %s; %+v", v, why, r)
	}
	if r.Numbers.Boxes.APSmall >= r.Base.Boxes.APSmall/2 || r.Numbers.Boxes.APLarge != r.Base.Boxes.APLarge {
		t.Errorf("small %v of %v, large %v of %v", r.Numbers.Boxes.APSmall, r.Base.Boxes.APSmall, r.Numbers.Boxes.APLarge, r.Base.Boxes.APLarge)
	}
	again, err := Compare("the base", base.Found, blind.Found, plan.Policy.Bootstrap())
	if err != nil || again.Equal(r) != nil {
		t.Errorf("not the same again: %v", again.Equal(r))
	}
	again.Differences[0].High = 0
	if err := again.Equal(r); err == nil || !strings.Contains(err.Error(), "high of box_ap is 0, and what was found gives") {
		t.Errorf("%v", err)
	}
	few := accuracytest.New(47).Run(cell, perf.Head, nil)
	if _, err := Compare("the base", base.Found, few.Found, plan.Policy.Bootstrap()); err != ErrOtherObjects {
		t.Errorf("%v", err)
	}
}

// TestCheckRuns wants every run once, and all of the same objects.
func TestCheckRuns(t *testing.T) {
	set := accuracytest.New(24)
	plan := set.Plan()
	all := func(perf.Cell, perf.Arm) bool { return true }
	base, head := set.Run(cell, perf.Base, nil), set.Run(cell, perf.Head, func(i int, _ coco.Detection) bool { return i%9 > 0 })
	if err := plan.CheckRuns([]Run{base, head}, all); err != nil {
		t.Error(err)
	}
	if err := plan.CheckRuns([]Run{head, head}, all); err == nil || !strings.Contains(err.Error(), "comes twice") {
		t.Errorf("%v", err)
	}
	if err := plan.CheckRuns([]Run{head}, func(perf.Cell, perf.Arm) bool { return false }); err == nil || !strings.Contains(err.Error(), "was not asked for") {
		t.Errorf("%v", err)
	}
}
