package parity

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// checkFor derives a report of a cell anew from its numbers.
func (r *Report) checkFor(c *Cell, policy Policy) error {
	class := c.Pair.class()
	if c.Pair.Reference == golden && class == ClassDefault && !strings.HasSuffix(policy.Name, anyModel) {
		policy = GoldenPolicy()
	}
	if r.CaseName != c.Case || r.ReferenceBackend != c.Pair.Reference.String() || r.CandidateBackend != c.Pair.Candidate.String() {
		return fmt.Errorf("its report is of %s, %s against %s", r.CaseName, r.CandidateBackend, r.ReferenceBackend)
	}
	if r.Policy != policy.Name {
		return fmt.Errorf("its report was judged by %q, want %q", r.Policy, policy.Name)
	}
	if err := r.checkOutputs(policy, class); err != nil {
		return err
	}
	if err := r.checkDecisions(); err != nil {
		return err
	}
	if err := r.checkSums(policy, class); err != nil {
		return err
	}
	if err := r.checkBudget(policy); err != nil {
		return err
	}
	if want := r.state(); r.State != want || r.Passed != want.Holds() {
		return fmt.Errorf("its report is %s (passed: %t), that of its numbers is %s", r.State, r.Passed, want)
	}
	return nil
}

// checkOutputs holds every output to the policy, and what the decisions judge to them.
func (r *Report) checkOutputs(policy Policy, class Class) error {
	var names []string
	for i := range r.Outputs {
		o := &r.Outputs[i]
		if slices.Contains(names, o.Name) {
			return fmt.Errorf("output %s comes twice", o.Name)
		}
		names = append(names, o.Name)
		if err := o.check(policy.For(o.Name, class), class); err != nil {
			return fmt.Errorf("output %s: %w", o.Name, err)
		}
		switch decided := o.Judgement == ByDecisions && o.Passed; {
		case decided && slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.Verdict == Bug && d.concerns(o.Name) }):
			return fmt.Errorf("output %s passed, and a decision on it is a bug", o.Name)
		case decided && o.MismatchCount > 0 && len(r.Decisions) == 0:
			return fmt.Errorf("output %s passed, %d of its elements differ, and nothing was decided otherwise", o.Name, o.MismatchCount)
		case r.Unverified == "" && o.lacksImage():
			return fmt.Errorf("nothing of an image was compared of output %s, and the report does not say so", o.Name)
		}
	}
	if len(names)+len(r.Problems) == 0 {
		return errors.New("its report compares no output")
	}
	return nil
}

// checkBudget sums the budgets of the outputs up again, unless the report says why it has none.
func (r *Report) checkBudget(policy Policy) error {
	switch held := slices.ContainsFunc(r.Outputs, func(o TensorReport) bool { return o.Budget != nil }); {
	case r.Budget == nil && held:
		return errors.New("its outputs are held to budgets, and its report is not")
	case r.Budget == nil:
		return nil
	case float64(r.Budget.Factor) != policy.Factor:
		return fmt.Errorf("its report has a budget at λ = %g, that of %q is %g", float64(r.Budget.Factor), policy.Name, policy.Factor)
	case r.Budget.Missing != "" && held:
		return fmt.Errorf("its report has no budget (%s), and its outputs have", r.Budget.Missing)
	case r.Budget.Missing != "":
		return nil
	}
	if want := summedUp(r.Outputs, &Budgets{Factor: policy.Factor}); *r.Budget != *want {
		return fmt.Errorf("its budget is %q, that of its outputs %q", r.Budget, want)
	}
	return nil
}

func (r *Report) checkDecisions() error {
	for _, d := range r.Decisions {
		switch {
		case !slices.Contains([]Verdict{Tied, Explained, Unproven, Bug}, d.Verdict):
			return fmt.Errorf("a decision has the verdict %q", d.Verdict)
		case d.Verdict == Explained && d.beyondBudget():
			return fmt.Errorf("a decision is explained, and its gap of %g is more than rounding leaves, %g", d.Gap, *d.Allowed)
		case d.Verdict == Unproven && r.Unverified == "":
			return errors.New("a decision is unproven, and the report does not say so")
		}
	}
	return nil
}

// checkSums adds the outputs up again.
func (r *Report) checkSums(policy Policy, class Class) error {
	again := Report{Outputs: r.Outputs, Coverage: coverageOf(r.Outputs)}
	again.sum()
	limit := Number(0)
	for i := range r.Outputs {
		limit = max(limit, Number(policy.For(r.Outputs[i].Name, class).MismatchRatio))
	}
	switch {
	case !r.MaxAbsErr.same(again.MaxAbsErr) || !r.MeanAbsErr.same(again.MeanAbsErr) || !r.MaxRelErr.same(again.MaxRelErr):
		return fmt.Errorf("its largest error is %g (mean %g, relative %g), that of its outputs is %g (%g, %g)",
			r.MaxAbsErr, r.MeanAbsErr, r.MaxRelErr, again.MaxAbsErr, again.MeanAbsErr, again.MaxRelErr)
	case r.MismatchCount != again.MismatchCount || r.TotalCount != again.TotalCount || !r.MismatchRatio.same(again.MismatchRatio):
		return fmt.Errorf("%d of %d elements mismatch, of its outputs %d of %d", r.MismatchCount, r.TotalCount, again.MismatchCount, again.TotalCount)
	case r.MismatchRatioLimit != limit:
		return fmt.Errorf("%g of the elements may mismatch, by the policy %g", r.MismatchRatioLimit, limit)
	case r.Coverage.Expected != again.Coverage.Expected || r.Coverage.Compared != again.Coverage.Compared || !slices.Equal(r.Coverage.LeftOut, again.Coverage.LeftOut):
		return fmt.Errorf("of its outputs it covers %d of %d elements, the outputs by themselves %d of %d",
			r.Coverage.Compared, r.Coverage.Expected, again.Coverage.Compared, again.Coverage.Expected)
	}
	return nil
}

// same tells whether two numbers are equal; NaN is NaN.
func (n Number) same(o Number) bool { return n == o || n != n && o != o }

// lacksImage tells whether everything of an image was left out of a result; of less than that the report alone knows how much it was.
func (t *TensorReport) lacksImage() bool {
	if !essential(t.Name) || t.Problem != "" || len(t.Shape) == 0 {
		return false
	}
	leftOut := map[int]int{}
	for _, o := range t.Coverage.LeftOut {
		leftOut[o.Image] += o.Elements
	}
	for _, n := range leftOut {
		if n*t.Shape[0] >= t.Coverage.Expected {
			return true
		}
	}
	return false
}

// check holds an output to the rule of the policy, passed or not, its figures to each other, and what it claims to have passed to the
// worst element.
func (t *TensorReport) check(tol Tolerance, class Class) error {
	if t.Problem != "" && t.Passed {
		return fmt.Errorf("it passed, and could not be compared: %s", t.Problem)
	}
	if err := t.checkRule(tol, class); err != nil || t.Problem != "" {
		return err
	}
	if err := t.checkCounts(); err != nil {
		return err
	}
	if err := t.checkFigures(); err != nil {
		return err
	}
	if err := t.Budget.check(t.TotalCount); err != nil || !t.Passed {
		return err
	}
	isFloat := strings.HasPrefix(t.ReferenceDType, "float")
	switch t.Judgement {
	case ByTolerance:
		if !isFloat || tol.Undefined {
			return fmt.Errorf("a tolerance judged it, which is of type %s, and the policy asks for %q", t.ReferenceDType, tol)
		}
		return t.checkWorst(tol)
	case ByNothing:
		if !isFloat || !tol.Undefined || t.Coverage.Compared != 0 {
			return fmt.Errorf("nothing judged it, the policy asks for %q", tol)
		}
	case ByEquality:
		if isFloat || t.MismatchCount > 0 {
			return fmt.Errorf("it passed as equal, and %d elements of type %s differ", t.MismatchCount, t.ReferenceDType)
		}
	case ByBudget:
		if !isFloat || tol.OfLargest == 0 || !t.Budget.proves() || t.NonFiniteMismatches > 0 {
			return fmt.Errorf("it passed within its budget, and has %+v", t.Budget)
		}
	case ByDecisions:
		if isFloat {
			return fmt.Errorf("decisions judged it, which is of type %s", t.ReferenceDType)
		}
	default:
		return fmt.Errorf("it was judged by %q", t.Judgement)
	}
	return nil
}

// checkRule holds the rule that an output names, in words and numbers, to that of the policy. A part of the largest element is held to
// that by checkLargest.
func (t *TensorReport) checkRule(tol Tolerance, class Class) error {
	rule, atol, rtol := "equal", Number(0), Number(0)
	switch {
	case t.Problem == "" && strings.HasPrefix(t.ReferenceDType, "float"):
		rule, atol, rtol = tol.String(), Number(tol.Abs), Number(tol.Rel)
		if tol.OfLargest > 0 {
			atol = t.Atol
		}
	case t.Judgement == ByDecisions:
		rule = string(ByDecisions)
	}
	switch {
	case t.Class != class.String():
		return fmt.Errorf("its class is %q, that of its pair is %q", t.Class, class)
	case t.Tolerance != rule:
		return fmt.Errorf("it was judged by %q, the policy asks for %q", t.Tolerance, rule)
	case t.Atol != atol || t.Rtol != rtol:
		return fmt.Errorf("its bounds are %g and %g relative, those of %q are %g and %g", t.Atol, t.Rtol, rule, atol, rtol)
	}
	return nil
}

// checkFigures holds the errors that pages show to the histogram and to each other. What is added up in another order may differ by its
// rounding.
func (t *TensorReport) checkFigures() error {
	const rounded = 1 + 1e-9
	least, below := t.Histogram.largest()
	most := float64(t.MaxAbsErr)
	switch {
	case !(most >= least && (most < below || below == least || math.IsInf(below, 1))):
		return fmt.Errorf("its largest error is %g, in its histogram it is from %g to %g", most, least, below)
	case !(t.MeanAbsErr >= 0 && float64(t.MeanAbsErr) <= most*rounded) || !(t.RMSErr >= 0 && float64(t.RMSErr) <= most*rounded):
		return fmt.Errorf("its errors are %g on average and %g by their squares, and the largest is %g", t.MeanAbsErr, t.RMSErr, most)
	case t.Worst != nil && math.Abs(float64(t.Worst.Candidate-t.Worst.Reference)) > most && t.NonFiniteMismatches == 0:
		return fmt.Errorf("its worst element is off by %g, and its largest error is %g", math.Abs(float64(t.Worst.Candidate-t.Worst.Reference)), most)
	case !(math.Abs(float64(t.Bias)) <= float64(t.MeanAbsErr)*rounded) || !(t.MaxRelErr >= 0) || !(t.NMSE >= 0) || !(t.Cosine >= -1 && t.Cosine <= 1):
		return fmt.Errorf("no errors have an average of %g with a bias of %g, a largest relative one of %g, an NMSE of %g and a cosine of %g",
			t.MeanAbsErr, t.Bias, t.MaxRelErr, t.NMSE, t.Cosine)
	case t.MismatchRatio != Number(float64(t.MismatchCount)/float64(max(t.TotalCount, 1))):
		return fmt.Errorf("%d of %d elements mismatch, which is not %g", t.MismatchCount, t.TotalCount, t.MismatchRatio)
	}
	return nil
}

// largest returns the bounds of the largest finite error, half-open; both are 0 where there is none.
func (h *Histogram) largest() (least, below float64) {
	for i := len(h.Decades) - 1; i >= 0; i-- {
		switch {
		case h.Decades[i] == 0:
		case i == 0:
			return 0, decadeBounds[0]
		case i == len(decadeBounds):
			return decadeBounds[i-1], math.Inf(1)
		default:
			return decadeBounds[i-1], decadeBounds[i]
		}
	}
	return 0, 0
}

// checkCounts adds up what was compared and what was left out.
func (t *TensorReport) checkCounts() error {
	elements, leftOut := 1, 0
	for _, n := range t.Shape {
		elements *= n
	}
	for _, o := range t.Coverage.LeftOut {
		if o.Elements < 1 {
			return fmt.Errorf("it leaves out %d elements", o.Elements)
		}
		leftOut += o.Elements
	}
	counted := t.Histogram.Zero + t.Histogram.NonFinite
	for _, n := range t.Histogram.Decades {
		counted += n
	}
	switch {
	case t.Coverage.Expected != elements || t.Coverage.Compared < 0 || t.Coverage.Compared+leftOut != elements:
		return fmt.Errorf("of %d elements %d were compared and %d left out", elements, t.Coverage.Compared, leftOut)
	case t.TotalCount != counted || t.Judgement != ByNothing && t.TotalCount != t.Coverage.Compared:
		return fmt.Errorf("%d elements were compared, and its histogram has %d", t.TotalCount, counted)
	case t.MismatchCount < 0 || t.MismatchCount > t.TotalCount || t.NonFiniteMismatches != t.Histogram.NonFinite:
		return fmt.Errorf("%d of %d elements mismatch, %d of them not finite; its histogram has %d", t.MismatchCount, t.TotalCount, t.NonFiniteMismatches, t.Histogram.NonFinite)
	case t.Unforgiven < 0 || t.Unforgiven > t.MismatchCount || t.Unforgiven > 0 && t.Passed && t.Judgement == ByTolerance:
		return fmt.Errorf("%d of %d mismatches are off by more than is ever forgiven, and it passed: %t", t.Unforgiven, t.MismatchCount, t.Passed)
	}
	return nil
}

// checkLargest holds the bound to the largest element, of which it is a part: that is at least the worst element, and at most the root of
// the sum of all squares, which is RMS²·n/NMSE. Elements that were left out are in neither.
func (t *TensorReport) checkLargest(tol Tolerance) error {
	largest := float64(t.Atol) / tol.OfLargest
	if t.Worst != nil && !(largest >= math.Abs(float64(t.Worst.Reference))*(1-1e-12)) {
		return fmt.Errorf("it passed %s, and its bound is %g beside an element of %g", tol, t.Atol, t.Worst.Reference)
	}
	all := float64(t.RMSErr) * math.Sqrt(float64(t.TotalCount-t.NonFiniteMismatches)/float64(t.NMSE))
	if t.NMSE > 0 && t.Coverage.Compared == t.Coverage.Expected && !(largest <= all*(1+1e-9)) {
		return fmt.Errorf("it passed %s, and its bound is %g, where all elements together are %g", tol, t.Atol, all)
	}
	return nil
}

// checkWorst finds the element farthest beyond its tolerance within it, or the mismatches within what the rule forgives.
func (t *TensorReport) checkWorst(tol Tolerance) error {
	if tol.OfLargest > 0 {
		if err := t.checkLargest(tol); err != nil {
			return err
		}
		tol.Abs, tol.OfLargest = float64(t.Atol), 0
	}
	switch {
	case tol.noisy(t.NMSE, t.TotalCount):
		return fmt.Errorf("it passed %s, and its noise is %g", tol, math.Sqrt(float64(t.NMSE)))
	case t.NonFiniteMismatches > 0:
		return fmt.Errorf("it passed, and %d elements are NaN, or infinite on one side", t.NonFiniteMismatches)
	case t.Smallest == nil:
		return errors.New("it does not say which tolerance would pass")
	case tol.Angle > 0:
		if t.Smallest.Angle == nil || !(float64(*t.Smallest.Angle) <= tol.Angle*(1+1e-12)) || t.MismatchCount > 0 {
			return fmt.Errorf("it passed %s, and %s would be needed", tol, t.Smallest)
		}
		return nil
	case t.Worst == nil:
		if t.MaxAbsErr != 0 || t.MismatchCount > 0 || t.TotalCount != t.Histogram.Zero {
			return errors.New("its elements differ, and it does not name the worst")
		}
		return nil
	}
	off, allowed := math.Abs(float64(t.Worst.Candidate-t.Worst.Reference)), tol.allowed(float64(t.Worst.Reference))
	switch {
	case t.MismatchCount > 0 && (tol.MismatchRatio == 0 || !(off <= forgiven*allowed)), t.MismatchCount == 0 && !(off <= allowed):
		return fmt.Errorf("it passed %s, and its worst element is off by %g", tol, off)
	case tol.Rel == 0 && !(float64(t.Smallest.Abs) <= tol.Abs):
		return fmt.Errorf("it passed %s, and %s would be needed", tol, t.Smallest)
	}
	return nil
}
