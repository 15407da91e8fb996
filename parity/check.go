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
	if err := m.checkAlike(); err != nil {
		return err
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
		if min(e.Upload, e.Execute, e.Download, e.Wall) < 0 || min(e.HostBytes, e.DevBytes, e.Peak) < 0 {
			return fmt.Errorf("execution %d, of %s in %s, took a negative time or memory", i, e.Case, e.Column)
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

// deterministic is both of the sides of a cell; stored expectations did not run.
func (m *Matrix) deterministic(caseAt int, p Pair) *bool {
	of := func(col Column) *bool {
		if col == golden {
			return nil
		}
		return m.Executions[caseAt*len(m.Columns)+slices.Index(m.Columns, col)].Deterministic
	}
	return both(of(p.Reference), of(p.Candidate))
}

func equalBools(a, b *bool) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

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
		return m.checkAbsence(c, caseAt)
	case !ran:
		return fmt.Errorf("there is a report of a comparison, and its sides ended as %s and %s", ref, cand)
	}
	if want := m.deterministic(caseAt, c.Pair); !equalBools(c.Report.Deterministic, want) {
		return errors.New("its report and its executions do not say the same of a second run")
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

// checkAbsence holds what a cell without a report says of itself to how its sides ended. Whether a case has stored expectations is not in a matrix.
func (m *Matrix) checkAbsence(c *Cell, caseAt int) error {
	if c.Pair.Reference == golden && m.measured(caseAt, c.Pair.Candidate) == evidence.Measured {
		return nil
	}
	want := c.Pair.absence(func(col Column) evidence.Outcome {
		if col == golden {
			return evidence.Outcome{State: evidence.Measured}
		}
		return m.Executions[caseAt*len(m.Columns)+slices.Index(m.Columns, col)].Outcome
	})
	if c.Outcome != want {
		return fmt.Errorf("its reason is %q, %q, that of its sides is %q, %q", c.Reason, c.Detail, want.Reason, want.Detail)
	}
	return nil
}

// checkAlike finds the same outputs in every comparison of a case: all columns execute one graph, and stored expectations are the same for all
// of them. What was left out of a cell would not have been judged there.
func (m *Matrix) checkAlike() error {
	perCase := len(m.Policies) * len(m.Pairs)
	for at := 0; at < len(m.Cells); at += perCase {
		first := map[bool]*Cell{} // of stored expectations, and of columns
		for i := at; i < at+perCase; i++ {
			c := &m.Cells[i]
			stored := c.Pair.Reference == golden
			switch of := first[stored]; {
			case c.Report == nil || len(c.Report.Problems) > 0:
			case of == nil:
				first[stored] = c
			case !c.Report.alike(of.Report):
				return fmt.Errorf("the cell of %s compares %s, that of %s compares %s", m.Key(c), c.Report.outputs(), m.Key(of), of.Report.outputs())
			}
			if c.Replay != nil && len(c.Replay.Problems) == 0 && !c.Replay.alike(c.Report) {
				return fmt.Errorf("the cell of %s compares %s under the reference's decisions, and %s without", m.Key(c), c.Replay.outputs(), c.Report.outputs())
			}
		}
	}
	return nil
}

// alike tells whether two reports are of the same outputs, whose shapes a wrong backend may have got wrong.
func (r *Report) alike(o *Report) bool {
	return slices.EqualFunc(r.Outputs, o.Outputs, func(a, b TensorReport) bool { return a.Name == b.Name })
}

// outputs tells of a report how many outputs it has, and which, for people.
func (r *Report) outputs() string {
	var names []string
	for i := range r.Outputs {
		names = append(names, r.Outputs[i].Name)
	}
	return fmt.Sprintf("%d outputs (%s)", len(names), strings.Join(names, ", "))
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
