package parity

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
	"github.com/apex-x/apexx/parity/evidence"
)

// Budgeter derives how far rounding may carry the outputs of a case from exact arithmetic, or the outputs of two executions in a low precision from each
// other (budget.Whole), under the decisions that an execution recorded: a spread for every element of the graph's outputs and of the taps that are
// named, as "tap.NAME".
type Budgeter interface {
	Budget(ctx context.Context, c *Case, run budget.Run, decisions tensor.List, taps []string) (tensor.List, error)
}

// Budgets are the spreads of a reference's outputs, the second measure of a comparison beside the tolerances of a profile.
type Budgets struct {
	Factor  float64     // λ > 0: how many spreads rounding may leave
	Spreads tensor.List // float64, by the names of outputs and taps, in their shapes; infinite where nothing is known
	Rounded bool        // the reference is no exact result: it strays as the candidate does, and their difference has √2 of a spread
}

// scaled is how many spreads two executions may be apart. No Budgets allow nothing, and say so by nil.
func (b *Budgets) scaled() float64 {
	if b.Rounded {
		return b.Factor * math.Sqrt2
	}
	return b.Factor
}

// spreads returns those of an output of that shape, nil where there are none.
func (b *Budgets) spreads(output string, shape []int) []float64 {
	if b == nil {
		return nil
	}
	if t := b.Spreads.Get(output); t != nil && slices.Equal(t.Shape(), shape) {
		return tensor.Data[float64](t)
	}
	return nil
}

// BudgetReport is an output beside what rounding may leave of it.
type BudgetReport struct {
	Elements int    `json:"elements"` // that were compared
	Unknown  int    `json:"unknown"`  // of which nothing is known, such as cells at an edge that rounds
	Beyond   int    `json:"beyond"`   // off by more than their budget, which is budget.Dependent·λ·σ
	Ratio    Number `json:"ratio"`    // the largest error over its budget; infinite where equality is asked for, or a value is not finite
	Lambda   Number `json:"lambda"`   // the least λ under which every element is within its budget
	Flat     int    `json:"flat_index"`
	Allowed  Number `json:"allowed"` // error at that element
	Noise    Number `json:"noise"`   // √(Σ(λ·σ)²/Σ reference²): what share of the output independent roundings may make of it
}

// proves tells whether an output of any model is right because of its budget alone: every element is known, and within λ·σ without the allowance for
// dependent errors, and that leaves more than two right digits.
func (b *BudgetReport) proves() bool {
	return b != nil && b.Unknown == 0 && b.Ratio*budget.Dependent <= 1 && b.Noise <= amplified
}

// check holds the numbers of a budget, of that many compared elements, to each other.
func (b *BudgetReport) check(elements int) error {
	switch {
	case b == nil:
	case b.Elements < 0 || b.Unknown < 0 || b.Beyond < 0 || b.Elements+b.Unknown != elements || b.Beyond > b.Elements:
		return fmt.Errorf("of %d elements %d are held to a budget, %d have none and %d are beyond it", elements, b.Elements, b.Unknown, b.Beyond)
	case (b.Beyond > 0) != (b.Ratio > 1):
		return fmt.Errorf("%d elements are beyond the budget, and the worst is at %g of it", b.Beyond, b.Ratio)
	}
	return nil
}

// judge holds the stretches of a floating-point output to their budgets.
func (b *Budgets) judge(ref, cand *tensor.Tensor, parts []stretch, spreads []float64) *BudgetReport {
	n := lengthOf(parts)
	want, spread, at := make([]float64, 0, n), make([]float64, 0, n), make([]int, 0, n)
	got := tensor.New(cand.DType(), n)
	refs := ref.Float64s()
	var allowed, magnitude float64
	for _, p := range parts {
		for i := p.ref; i < p.ref+p.n; i++ {
			setElement(got, len(want), cand, p.cand+i-p.ref)
			want, spread, at = append(want, refs[i]), append(spread, spreads[i]), append(at, i)
			if s := b.scaled() * spreads[i]; !math.IsInf(s, 1) {
				allowed, magnitude = allowed+s*s, magnitude+refs[i]*refs[i]
			}
		}
	}
	j := (&budget.Budget{Factor: b.scaled()}).Judge(got, budget.Value{Tensor: tensor.Must(tensor.Of(want, n)), Spread: spread}, budget.Margin{Times: budget.Dependent})
	r := &BudgetReport{Elements: j.Elements, Unknown: j.Unknown, Beyond: j.Beyond, Ratio: Number(j.Ratio), Lambda: Number(j.Ratio * b.Factor), Flat: -1,
		Allowed: Number(j.Allowed), Noise: Number(math.Sqrt(ratio(allowed, magnitude)))}
	if j.Worst >= 0 {
		r.Flat = at[j.Worst]
	}
	return r
}

// setElement copies one float.
func setElement(to *tensor.Tensor, i int, from *tensor.Tensor, j int) {
	if from.DType() == tensor.Float64 {
		tensor.Data[float64](to)[i] = tensor.Data[float64](from)[j]
		return
	}
	tensor.Data[float32](to)[i] = tensor.Data[float32](from)[j]
}

// derived holds what was compared of an output to the budgets, where there are some.
func (b *Budgets) derived(t *TensorReport, name string, ref, cand *tensor.Tensor, parts []stretch) {
	spreads := b.spreads(name, ref.Shape())
	if spreads == nil || t.Problem != "" || !ref.DType().IsFloat() {
		return
	}
	t.Budget = b.judge(ref, cand, parts, spreads)
	if !t.Passed && t.anyScale && t.NonFiniteMismatches == 0 && t.Budget.proves() {
		t.Passed, t.Judgement = true, ByBudget
	}
}

// amplified is the largest noise that an output of any model may have because its operators amplify rounding: beyond it, the budget says
// that the output has hardly two right digits, and proves nothing.
const amplified = 1e-2

// BudgetSummary is what a report says of its budgets.
type BudgetSummary struct {
	Factor  Number `json:"factor"`            // λ
	Output  string `json:"output,omitempty"`  // that comes nearest to its budget, or is farthest beyond it; of the essential ones
	Ratio   Number `json:"ratio"`             // of that output; above 1 it is off by more than rounding explains
	Lambda  Number `json:"lambda"`            // the least λ under which all essential outputs are within their budgets
	Missing string `json:"missing,omitempty"` // why there is none
}

// Beyond tells whether an essential output is off by more than rounding explains, whatever the tolerances say.
func (s *BudgetSummary) Beyond() bool { return s != nil && s.Ratio > 1 }

// summedUp sums the budgets of the essential outputs up; nil without any.
func summedUp(outputs []TensorReport, b *Budgets) *BudgetSummary {
	if b == nil {
		return nil
	}
	s := &BudgetSummary{Factor: Number(b.Factor)}
	for i := range outputs {
		if o := &outputs[i]; o.Budget != nil && o.Budget.Elements > 0 && essential(o.Name) && (s.Output == "" || o.Budget.Ratio > s.Ratio) {
			s.Output, s.Ratio, s.Lambda = o.Name, o.Budget.Ratio, o.Budget.Lambda
		}
	}
	return s
}

// String renders a summary for people: "0.31 of the budget at λ = 6 (boxes)", "without a budget: …".
func (s *BudgetSummary) String() string {
	switch {
	case s == nil:
		return ""
	case s.Missing != "":
		return "without a budget: " + s.Missing
	case s.Output == "":
		return "nothing is known of how far rounding carries its outputs"
	case math.IsInf(float64(s.Ratio), 1):
		return fmt.Sprintf("beyond any budget (%s)", s.Output)
	}
	text := fmt.Sprintf("%s of the budget at λ = %g (%s); within it from λ = %s on", beside(float64(s.Ratio), 1), float64(s.Factor), s.Output,
		beside(float64(s.Lambda), float64(s.Factor)))
	if s.Beyond() {
		text += ": more than rounding explains"
	}
	return text
}

// Share renders the worst error over its budget: "0.31", and of one that is hardly beyond it "1.003".
func (r *BudgetReport) Share() string { return beside(float64(r.Ratio), 1) }

// beside renders a number with two significant digits, or with as many as tell it from a limit.
func beside(v, limit float64) string {
	for digits := 2; ; digits++ {
		text := strconv.FormatFloat(v, 'g', digits, 64)
		if shown, err := strconv.ParseFloat(text, 64); err != nil || cmp.Compare(shown, limit) == cmp.Compare(v, limit) {
			return text
		}
	}
}

// budgetsFor derives the budgets of a pair of a case at λ under the reference's decisions, the spreads once for all pairs whose references
// decided alike, and for every λ.
func (r *caseRun) budgetsFor(ctx context.Context, p Pair, factor float64) (*Budgets, string) {
	ref := r.side(p.Reference)
	switch {
	case r.spec.Budgets == nil || factor == 0 || p.Reference == golden || ref.State != evidence.Measured:
		return nil, ""
	}
	run, missing := roundedIn(p)
	if missing != "" {
		return nil, missing
	}
	known := slices.IndexFunc(r.derived, func(d derivation) bool { return d.run == run && evidence.Identical(d.decisions, ref.Decisions) })
	if known < 0 {
		d := derivation{run: run, decisions: ref.Decisions}
		d.spreads, d.err = r.spec.Budgets.Budget(ctx, r.of, run, ref.Decisions, tapsOf(ref.Outputs))
		r.derived = append(r.derived, d)
		known = len(r.derived) - 1
	}
	if d := r.derived[known]; d.err != nil {
		return nil, d.err.Error()
	} else {
		return &Budgets{Factor: factor, Spreads: d.spreads, Rounded: p.Reference.Precision != backends.FP64}, ""
	}
}

// roundedIn says which declared roundings part the sides of a pair, or why nothing is derived of them.
func roundedIn(p Pair) (run budget.Run, missing string) {
	a, b := p.Reference.Precision, p.Candidate.Precision
	switch {
	case a.Format().Scaled() || b.Format().Scaled():
		return run, "budgets are of roundings to a format, and those of int8 and fp8 follow ranges that were measured"
	case narrowSums(p.Reference) || narrowSums(p.Candidate):
		return run, "budgets are of sums in float32, and tensorrt adds fp16 up in fp16"
	case wide(a) && wide(b):
		return run, ""
	case a == b:
		return budget.Run{Precision: a, Twin: true}, ""
	case wide(a):
		return budget.Run{Precision: b}, ""
	case wide(b):
		return budget.Run{Precision: a}, ""
	}
	return run, "budgets are of one low precision, and each side has another"
}

// derivation is a whole run under some decisions.
type derivation struct {
	run       budget.Run
	decisions tensor.List
	spreads   tensor.List
	err       error
}

func wide(p backends.Precision) bool { return p == backends.FP32 || p == backends.FP64 }

// tapsOf names the taps among outputs.
func tapsOf(outputs tensor.List) []string {
	var names []string
	for _, o := range outputs {
		if !essential(o.Name) {
			names = append(names, o.Name[len("tap."):])
		}
	}
	return names
}

// withoutBudget notes why a cell that was compared has no budgets.
func (c *Cell) withoutBudget(why string, factor float64) {
	if why == "" {
		return
	}
	for _, r := range []*Report{c.Report, c.Replay} {
		if r != nil {
			r.Budget = &BudgetSummary{Factor: Number(factor), Missing: why}
		}
	}
}
