package parity

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apex-x/apexx/parity/evidence"
)

// Check refuses a matrix that its own numbers contradict: cells or executions that are missing, come twice or are out of order;
// tolerances that are not those of the policy that it names; outputs that passed although their worst element is beyond its tolerance;
// states that do not follow from the reports and the executions. It is for matrices that were read. What was computed is not in a
// matrix, only the numbers that a comparison took of it: these have to be believed.
func (m *Matrix) Check() error {
	var policies []Policy
	for _, name := range m.Policies {
		p, err := policyNamed(name)
		if err != nil {
			return err
		}
		policies = append(policies, p)
	}
	if err := m.checkShape(policies); err != nil {
		return err
	}
	for i := range m.Cells {
		c := &m.Cells[i]
		if err := m.checkCell(i, policies[i/len(m.Pairs)%len(policies)]); err != nil {
			return fmt.Errorf("the cell of %s: %w", m.Key(c), err)
		}
	}
	if !slices.EqualFunc(m.Sets, m.judgeSets(), SetVerdict.equal) {
		return errors.New("the verdicts on detections as sets are not those of its cells")
	}
	return nil
}

// equal compares two verdicts. The F1 of none and of none, which is NaN, is the same.
func (v SetVerdict) equal(o SetVerdict) bool {
	if math.IsNaN(float64(v.F1)) && math.IsNaN(float64(o.F1)) {
		v.F1, o.F1 = 0, 0
	}
	return v == o
}

// policyNamed returns the policy of a profile and level by its name, such as "balanced e2e".
func policyNamed(name string) (Policy, error) {
	for _, p := range []Profile{Quality, Balanced, Edge} {
		for _, level := range []Level{EndToEnd, Op} {
			if policy := p.Policy(level); policy.Name == name {
				return policy, nil
			}
		}
		if policy := p.AnyModel(); policy.Name == name {
			return policy, nil
		}
	}
	return Policy{}, fmt.Errorf("it was judged by the policy %q, whose tolerances this program does not know", name)
}

// checkShape finds every case in every column, and in every pair under every policy, once and in order.
func (m *Matrix) checkShape(policies []Policy) error {
	spec := MatrixSpec{Columns: m.Columns, Pairs: m.Pairs, Policies: policies, Runner: unused{}}
	for _, name := range m.Cases {
		spec.Cases = append(spec.Cases, Case{Name: name})
	}
	if err := spec.check(); err != nil {
		return err
	}
	if len(m.Pairs) == 0 || len(policies) == 0 {
		return fmt.Errorf("it compares nothing: it has %d pairs and %d policies", len(m.Pairs), len(policies))
	}
	if got, want := len(m.Executions), len(m.Cases)*len(m.Columns); got != want {
		return fmt.Errorf("it has %d executions of %d cases in %d columns, want %d", got, len(m.Cases), len(m.Columns), want)
	}
	if got, want := len(m.Cells), len(m.Cases)*len(policies)*len(m.Pairs); got != want {
		return fmt.Errorf("it has %d cells of %d cases, %d policies and %d pairs, want %d: cells were dropped or added", got, len(m.Cases), len(policies), len(m.Pairs), want)
	}
	for i, e := range m.Executions {
		if want := m.Cases[i/len(m.Columns)]; e.Case != want || e.Column != m.Columns[i%len(m.Columns)] {
			return fmt.Errorf("execution %d is of %s in %s, want %s in %s", i, e.Case, e.Column, want, m.Columns[i%len(m.Columns)])
		}
	}
	var want []Cell
	for _, name := range m.Cases {
		want = append(want, spec.cellsOf(name)...)
	}
	for i, c := range m.Cells {
		if !c.keyed(want[i]) {
			return fmt.Errorf("cell %d is of %s, %s, judged by %q; want %s, %s, %q", i, c.Case, c.Pair, c.Policy, want[i].Case, want[i].Pair, want[i].Policy)
		}
		if first := m.Cells[i-i/len(m.Pairs)%len(policies)*len(m.Pairs)]; (c.Sets == nil) != (first.Sets == nil) || c.Sets != nil && *c.Sets != *first.Sets {
			return fmt.Errorf("cell %d counts %s as sets, under another policy %s: they are of the same executions", i, c.Sets, first.Sets)
		}
	}
	return nil
}

// unused stands for the runner of a matrix that has run.
type unused struct{ Runner }

// measured tells how the side of a cell ended; stored expectations are always there.
func (m *Matrix) measured(caseAt int, col Column) evidence.State {
	if col == golden {
		return evidence.Measured
	}
	return m.Executions[caseAt*len(m.Columns)+slices.Index(m.Columns, col)].State
}

func worse(a, b evidence.State) evidence.State {
	if b.Worse(a) {
		return b
	}
	return a
}

// checkCell derives the state of a cell anew.
func (m *Matrix) checkCell(at int, policy Policy) error {
	c := &m.Cells[at]
	caseAt := at / (len(m.Policies) * len(m.Pairs))
	ref, cand := m.measured(caseAt, c.Pair.Reference), m.measured(caseAt, c.Pair.Candidate)
	ran := ref == evidence.Measured && cand == evidence.Measured
	switch {
	case c.Report == nil && c.State.Compared():
		return fmt.Errorf("its state is %s, and there is no report of a comparison", c.State)
	case c.Report == nil && ran && c.Pair.Reference != golden:
		return errors.New("both sides ran, and there is no report of a comparison")
	case c.Report == nil && !ran && c.State != worse(ref, cand):
		return fmt.Errorf("its state is %s, and its sides ended as %s and %s", c.State, ref, cand)
	case c.Report == nil:
		return nil
	case !ran:
		return fmt.Errorf("there is a report of a comparison, and its sides ended as %s and %s", ref, cand)
	}
	for _, r := range []*Report{c.Report, c.Replay} {
		if r == nil {
			continue
		}
		if err := r.checkFor(c, policy); err != nil {
			return err
		}
	}
	if c.State.Broken() || c.State == evidence.Cancelled { // the run under the reference's decisions ended so
		return nil
	}
	state, err := c.again()
	if err == nil && state != c.State {
		err = fmt.Errorf("its state is %s, that of its numbers is %s", c.State, state)
	}
	return err
}

// again derives the state of a cell that was compared from its reports and its sets.
func (c *Cell) again() (evidence.State, error) {
	rule, inSets := c.Pair.setRule()
	if inSets != (c.Sets != nil) {
		return "", fmt.Errorf("its detections were counted as sets: %t, want %t", c.Sets != nil, inSets)
	}
	switch {
	case inSets && (c.Sets.Pairs < 0 || c.Sets.Pairs > min(c.Sets.Reference, c.Sets.Candidate)):
		return "", fmt.Errorf("its sets are impossible: %s", c.Sets)
	case inSets && c.Report.State != evidence.Fail && c.Sets.contradicts(rule.f1):
		return evidence.Fail, nil
	case c.Replay == nil:
		return c.Report.State, nil
	case !c.Report.Diverged():
		return "", errors.New("it was run under the reference's decisions, and had decided nothing otherwise")
	}
	state, _ := c.Report.Settle(c.Replay)
	return state, nil
}

// checkFor derives a report of a cell anew from its numbers.
func (r *Report) checkFor(c *Cell, policy Policy) error {
	class, factor := c.Pair.class(), policy.Factor
	if c.Pair.Reference == golden && class == ClassDefault && !strings.HasSuffix(policy.Name, anyModel) {
		policy = GoldenPolicy()
	}
	if r.CaseName != c.Case || r.ReferenceBackend != c.Pair.Reference.String() || r.CandidateBackend != c.Pair.Candidate.String() {
		return fmt.Errorf("its report is of %s, %s against %s", r.CaseName, r.CandidateBackend, r.ReferenceBackend)
	}
	if r.Policy != policy.Name {
		return fmt.Errorf("its report was judged by %q, want %q", r.Policy, policy.Name)
	}
	if r.Budget != nil && float64(r.Budget.Factor) != factor {
		return fmt.Errorf("its report has a budget at λ = %g, that of %q is %g", float64(r.Budget.Factor), policy.Name, factor)
	}
	var names []string
	for i := range r.Outputs {
		o := &r.Outputs[i]
		if slices.Contains(names, o.Name) {
			return fmt.Errorf("output %s comes twice", o.Name)
		}
		names = append(names, o.Name)
		if err := o.check(policy.For(o.Name, class)); err != nil {
			return fmt.Errorf("output %s: %w", o.Name, err)
		}
		if o.Judgement == ByDecisions && o.Passed && slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.Verdict == Bug && d.concerns(o.Name) }) {
			return fmt.Errorf("output %s passed, and a decision on it is a bug", o.Name)
		}
	}
	for _, d := range r.Decisions {
		if !slices.Contains([]Verdict{Tied, Explained, Unproven, Bug}, d.Verdict) {
			return fmt.Errorf("a decision has the verdict %q", d.Verdict)
		}
		if d.Verdict == Explained && d.beyondBudget() {
			return fmt.Errorf("a decision is explained, and its gap of %g is more than rounding leaves, %g", d.Gap, *d.Allowed)
		}
		if d.Verdict == Unproven && r.Unverified == "" {
			return errors.New("a decision is unproven, and the report does not say so")
		}
	}
	if want := r.state(); r.State != want || r.Passed != want.Holds() {
		return fmt.Errorf("its report is %s (passed: %t), that of its numbers is %s", r.State, r.Passed, want)
	}
	return nil
}

// check holds what an output claims to have passed against the rule of the policy and the worst element.
func (t *TensorReport) check(tol Tolerance) error {
	if t.Problem != "" || !t.Passed {
		if t.Passed {
			return fmt.Errorf("it passed, and could not be compared: %s", t.Problem)
		}
		return nil
	}
	if err := t.checkCounts(); err != nil {
		return err
	}
	if err := t.Budget.check(t.TotalCount); err != nil {
		return err
	}
	isFloat := strings.HasPrefix(t.ReferenceDType, "float")
	switch t.Judgement {
	case ByTolerance:
		if !isFloat || tol.Undefined || t.Tolerance != tol.String() {
			return fmt.Errorf("it was judged by %q, the policy asks for %q", t.Tolerance, tol)
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
	case tol.Noise > 0 && !(math.Sqrt(float64(t.NMSE)) <= tol.Noise):
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
