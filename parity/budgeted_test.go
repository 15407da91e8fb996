package parity

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
	"github.com/apex-x/apexx/parity/evidence"
)

// evenly gives every element of every output one spread.
func evenly(outputs tensor.List, spread float64) *Budgets {
	b := &Budgets{Factor: 6}
	for _, o := range outputs {
		s := tensor.New(tensor.Float64, o.Shape()...)
		for i := range tensor.Data[float64](s) {
			tensor.Data[float64](s)[i] = spread
		}
		b.Spreads = append(b.Spreads, tensor.Named{Name: o.Name, Tensor: s})
	}
	return b
}

// Budgets beside which every flip is small change no scenario; budgets that no flip fits leave none of them explained, whatever the items moved.
func TestFlipsAreHeldToTheirBudget(t *testing.T) {
	held := map[DecisionKind]int{}
	for _, c := range scenarios {
		ref := &fix{fixture(11)}
		cand := &fix{ref.list.Clone()}
		c.apply(ref, cand)
		plain := CompareOutputs(ref.list, cand.list, Options{Setting: fixSetting})
		wide := CompareOutputs(ref.list, cand.list, Options{Setting: fixSetting, Budgets: evenly(ref.list, 1)})
		if wide.State != plain.State || len(wide.Decisions) != len(plain.Decisions) {
			t.Errorf("%s: %s under wide budgets, want %s", c.name, wide.State, plain.State)
		}
		narrow := CompareOutputs(ref.list, cand.list, Options{Setting: fixSetting, Budgets: evenly(ref.list, 1e-12)})
		for i, d := range narrow.Decisions {
			if d.Allowed == nil {
				continue
			}
			held[d.Kind]++
			if was := plain.Decisions[i].Verdict; was == Explained && d.Verdict != Unproven || was != Explained && d.Verdict != was {
				t.Errorf("%s: %s, and without a budget %s", c.name, d, was)
			}
			if d.Verdict == Unproven && narrow.State == evidence.Explained {
				t.Errorf("%s: explained, and %s", c.name, d)
			}
		}
	}
	for _, k := range []DecisionKind{OrderFlip, Membership, EdgeRounding} {
		if held[k] == 0 {
			t.Errorf("no flip of the kind %q was held to a budget: %v", k, held)
		}
	}
}

// With the predictions recorded, a detection on the other side of a threshold or of a suppression is held to the budget of its own logits.
func TestThresholdsAreHeldToTheirBudget(t *testing.T) {
	for _, c := range []struct {
		spread  float64
		verdict Verdict
	}{{1e-4, Explained}, {1e-9, Unproven}} {
		ref := &fix{fixture(11)}
		d := detection{box: box{300, 200, 340, 260}, class: 2, score: 0.05002}
		at := int(ref.ints("valid_counts")[0])
		cand := &fix{ref.list.Clone()}
		ref.setDetection(0, at, d, rand.New(rand.NewPCG(3, 3)))
		ref.ints("valid_counts")[0]++
		ref.recordPredictions()
		cand.recordPredictions()
		below := d
		below.score = 0.04998
		cand.predict(0, below)
		r := CompareOutputs(ref.list, cand.list, Options{Setting: fixSetting, Budgets: evenly(ref.list, c.spread)})
		i := slices.IndexFunc(r.Decisions, func(d Decision) bool { return d.Kind == BelowScore })
		if i < 0 || r.Decisions[i].Verdict != c.verdict || r.Decisions[i].Allowed == nil {
			t.Errorf("logits that stray by %g: %v, want %s", c.spread, r.Decisions, c.verdict)
		}
	}
}

// An output is held to its budget at the elements that are compared, and the report names the worst of them.
func TestOutputsBesideTheirBudget(t *testing.T) {
	ref, cand := list("a", f64(1, 2, 3, 4)), list("a", f32(1, 2+6e-6, 3, 4-3e-6))
	b := &Budgets{Factor: 6, Spreads: list("a", f64(1e-6, 2e-6, math.Inf(1), 1e-7))}
	for _, c := range []struct {
		rounded       bool
		ratio, lambda float64
		beyond        int
	}{{false, 1.25, 7.5, 1}, {true, 1.25 / math.Sqrt2, 7.5 / math.Sqrt2, 0}} {
		b.Rounded = c.rounded
		r := CompareOutputs(ref, cand, Options{Budgets: b})
		got := r.Outputs[0].Budget
		near := func(a Number, want float64) bool { return math.Abs(float64(a)-want) < 0.1*want } // float32 of the candidate
		if got == nil || !near(got.Ratio, c.ratio) || !near(got.Lambda, c.lambda) || got.Beyond != c.beyond || got.Flat != 3 || got.Unknown != 1 || got.Elements != 3 {
			t.Errorf("rounded %t: %+v", c.rounded, got)
		}
		if r.Budget == nil || r.Budget.Output != "a" || r.Budget.Ratio != got.Ratio || r.State != evidence.Pass {
			t.Errorf("rounded %t: %s, %s", c.rounded, r.State, r.Budget)
		}
	}
}

// A model that amplifies rounding passes by its budget, and by nothing else.
func TestAmplifiedRounding(t *testing.T) {
	ref, cand := list("y", f64(1, -2, 4)), list("y", f32(1+2e-4, -2, 4))
	for _, c := range []struct {
		name   string
		spread *tensor.Tensor
		cand   tensor.List
		passed bool
	}{
		{"within its budget", f64(1e-4, 1e-4, 1e-4), cand, true},
		{"beyond its budget", f64(1e-5, 1e-4, 1e-4), cand, false},
		{"of which nothing is known", f64(math.Inf(1), 1e-4, 1e-4), cand, false},
		{"whose budget leaves nothing right", f64(1, 1, 1), cand, false},
		{"not finite", f64(1e-4, 1e-4, 1e-4), list("y", f32(1, float32(math.NaN()), 4)), false},
	} {
		r := CompareOutputs(ref, c.cand, Options{Policy: Balanced.AnyModel(), Setting: Setting{AnyModel: true}, Budgets: &Budgets{Factor: 6, Spreads: list("y", c.spread)}})
		if o := r.Outputs[0]; o.Passed != c.passed || (o.Judgement == ByBudget) != c.passed {
			t.Errorf("an output %s: passed %t, judged by %s: %+v", c.name, o.Passed, o.Judgement, o.Budget)
		}
	}
}

// budgeter derives budgets for one case, and counts how often.
type budgeter struct{ asked int }

func (b *budgeter) Budget(_ context.Context, c *Case, _ budget.Run, _ tensor.List, _ []string) (tensor.List, error) {
	b.asked++
	if c.Name != "fine" {
		return nil, errors.New("no rule")
	}
	return list("x", f64(1e-6)), nil
}

// A matrix derives budgets once for a case whose references decided alike, says why a cell has none, and holds up its own numbers.
func TestMatrixWithBudgets(t *testing.T) {
	_, spec := smallMatrix(1)
	b := &budgeter{}
	spec.Budgets = b
	m, err := Run(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if b.asked == 0 || b.asked > len(m.Cases) {
		t.Errorf("budgets were derived %d times for %d cases", b.asked, len(m.Cases))
	}
	var with, without *Cell
	for i := range m.Cells {
		c := &m.Cells[i]
		if c.Report == nil || c.Pair.Reference == golden {
			continue
		}
		if c.Report.Budget == nil {
			t.Errorf("%s, %s: nobody says whether there is a budget", c.Case, c.Pair)
		} else if c.Report.Budget.Missing != "" {
			without = c
		} else if c.State == evidence.Pass {
			with = c
		}
	}
	if with == nil || without == nil {
		t.Fatalf("cells with a budget: %v, without: %v", with, without)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	for name, tt := range map[string]struct {
		edit func(o *TensorReport)
		want string
	}{
		"a ratio beyond":      {func(o *TensorReport) { o.Budget.Ratio = 2 }, "the worst is at 2 of it"},
		"elements that lack":  {func(o *TensorReport) { o.Budget.Elements-- }, "are held to a budget"},
		"judged by a budget":  {func(o *TensorReport) { o.Judgement = ByBudget }, "passed within its budget"},
		"elements beyond all": {func(o *TensorReport) { o.Budget.Beyond = 9 }, "are beyond it"},
	} {
		o := &with.Report.Outputs[0]
		kept, budget := *o, *o.Budget
		tt.edit(o)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		*o, *kept.Budget = kept, budget
	}
	if text := without.Report.Budget.String(); !strings.Contains(text, "no rule") && !strings.Contains(text, "float32") {
		t.Errorf("why there is no budget: %s", text)
	}
}

// Budgets are of declared roundings to one format: those that both sides of a pair have, or one of them.
func TestRoundingsOfPairs(t *testing.T) {
	col := func(b string, p backends.Precision) Column { return Column{Backend: b, Precision: p} }
	for _, c := range []struct {
		ref, cand Column
		want      budget.Run
		missing   string
	}{
		{col("reference", backends.FP64), col("ort", backends.FP32), budget.Run{}, ""},
		{col("reference", backends.FP64), col("ort", backends.FP16), budget.Run{Precision: backends.FP16}, ""},
		{col("ort", backends.TF32), col("reference", backends.FP32), budget.Run{Precision: backends.TF32}, ""},
		{col("reference", backends.BF16), col("ort", backends.BF16), budget.Run{Precision: backends.BF16, Twin: true}, ""},
		{col("reference", backends.FP16), col("ort", backends.BF16), budget.Run{}, "each side has another"},
		{col("reference", backends.FP64), col("ort", backends.INT8), budget.Run{}, "ranges that were measured"},
		{col("reference", backends.FP8), col("ort", backends.FP8), budget.Run{}, "ranges that were measured"},
		{col("reference", backends.FP16), col("tensorrt", backends.FP16), budget.Run{}, "adds fp16 up in fp16"},
		{col("reference", backends.FP64), col("tensorrt", backends.FP32), budget.Run{}, ""},
	} {
		run, missing := roundedIn(Pair{Reference: c.ref, Candidate: c.cand})
		if run != c.want || (missing == "") != (c.missing == "") || !strings.Contains(missing, c.missing) {
			t.Errorf("%s beside %s: %+v, %q", c.cand, c.ref, run, missing)
		}
	}
}
