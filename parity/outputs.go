package parity

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
)

// Report compares all outputs of one candidate with one reference. The keys up to outputs are those of spec/runtime.md 6.8.
// Unlike the original's, MeanAbsErr weights every output by its elements, and a difference in structure fails the report
// instead of aborting the sweep.
type Report struct {
	CaseName           string         `json:"case_name"`
	ReferenceBackend   string         `json:"reference_backend"`
	CandidateBackend   string         `json:"candidate_backend"`
	Seed               int64          `json:"seed"`
	Deterministic      *bool          `json:"deterministic"` // whether the candidate's session gave the same bits twice; null where it ran once
	MismatchRatioLimit Number         `json:"mismatch_ratio_limit"`
	Passed             bool           `json:"passed"` // explained differences pass
	MaxAbsErr          Number         `json:"max_abs_err"`
	MeanAbsErr         Number         `json:"mean_abs_err"`
	MaxRelErr          Number         `json:"max_rel_err"`
	MismatchCount      int            `json:"mismatch_count"` // of the outputs judged by tolerance or equality
	TotalCount         int            `json:"total_count"`
	MismatchRatio      Number         `json:"mismatch_ratio"`
	Outputs            []TensorReport `json:"outputs"`

	State             evidence.State `json:"state"`
	Policy            string         `json:"policy"`
	Problems          []string       `json:"problems,omitempty"`   // differences in structure
	Coverage          Coverage       `json:"coverage"`             // of all outputs but taps
	Unverified        string         `json:"unverified,omitempty"` // what of these outputs nobody has verified, and why
	Budget            *BudgetSummary `json:"budget,omitempty"`     // of the essential outputs; null where nobody asked for budgets
	DecisionsCompared int            `json:"decisions_compared"`
	Decisions         []Decision     `json:"decisions"` // what was decided differently
}

// Options of CompareOutputs. The zero value is the balanced profile end to end, the default class, and no knowledge of the
// model.
type Options struct {
	Policy  Policy
	Class   Class
	Setting Setting
	// Replayed says that the candidate ran under the reference's decisions. Nothing is left to settle but edges of boxes: tiles, classes
	// and counts must be equal, row corresponds to row, and no image is left out.
	Replayed bool
	// Budgets, where they are there, are what rounding may leave of the reference: a second measure of every output and of every flip.
	Budgets *Budgets
}

// CompareOutputs compares two sets of outputs, which should have the same names in the same order. Decisions are settled
// first. Outputs of detections are then compared row by matched row, and images for which other tiles were computed are left
// out of everything that follows the selection; the coverage of an output says so. The report is unverified where, in some image,
// half of an output or more was left out, or a decision is unproven.
func CompareOutputs(ref, cand tensor.List, opt Options) *Report {
	policy := opt.Policy.orDefault()
	r := &Report{Policy: policy.Name, Outputs: []TensorReport{}, Decisions: []Decision{}}
	r.checkStructure(ref, cand)
	boxes, scores := policy.For("boxes", opt.Class), policy.For("scores", opt.Class)
	s := settle(ref, cand, limits{pixels: boxes.Abs, score: scores.Abs, undefined: boxes.Undefined}, opt)
	for _, o := range ref {
		other := cand.Get(o.Name)
		if other == nil {
			continue
		}
		tol := policy.For(o.Name, opt.Class)
		r.MismatchRatioLimit = max(r.MismatchRatioLimit, Number(tol.MismatchRatio))
		t := s.compare(o.Name, o.Tensor, other, tol, opt)
		t.Name, t.Class = o.Name, opt.Class.String()
		r.Outputs = append(r.Outputs, t)
	}
	r.Decisions = append(r.Decisions, s.decisions...)
	r.DecisionsCompared = s.compared
	r.Budget = summedUp(r.Outputs, opt.Budgets)
	r.conclude()
	return r
}

// checkStructure records differences in the names of the outputs and their order.
func (r *Report) checkStructure(ref, cand tensor.List) {
	names := func(l tensor.List) []string {
		out := make([]string, len(l))
		for i, n := range l {
			out[i] = n.Name
		}
		return out
	}
	want, got := names(ref), names(cand)
	before := len(r.Problems)
	for _, name := range want {
		if !slices.Contains(got, name) {
			r.Problems = append(r.Problems, fmt.Sprintf("the candidate has no output %q", name))
		}
	}
	for _, name := range got {
		if !slices.Contains(want, name) {
			r.Problems = append(r.Problems, fmt.Sprintf("the candidate has an output %q that the reference lacks", name))
		}
	}
	if len(r.Problems) == before && !slices.Equal(want, got) {
		r.Problems = append(r.Problems, fmt.Sprintf("the outputs are ordered %v in the reference and %v in the candidate", want, got))
	}
}

// settle compares the decisions of both executions as far as their outputs record them.
func settle(ref, cand tensor.List, lim limits, opt Options) *settled {
	s := &settled{decided: map[string]bool{}, budgets: opt.Budgets}
	if opt.Setting.AnyModel {
		return s
	}
	batch := 0
	for _, name := range []string{"valid_counts", "valid_l0"} {
		if comparableCounts(ref, cand, name) {
			batch = ref.Get(name).Len()
			break
		}
	}
	s.rerouted = make([]bool, batch)
	if opt.Replayed {
		s.pairReplayed(ref, cand, lim, opt.Setting)
		return s
	}
	s.compareTiles(ref, cand, opt.Setting)
	s.compareDetections(ref, cand, lim, opt.Setting)
	return s
}

// compare measures one output on what both sides decided alike.
func (s *settled) compare(name string, ref, cand *tensor.Tensor, tol Tolerance, opt Options) TensorReport {
	if !slices.Equal(ref.Shape(), cand.Shape()) {
		return Compare(ref, cand, tol) // whose report says so
	}
	chosen := s.choose(name, ref)
	of := objects{}
	if tol.MismatchRatio > 0 {
		of = objectsOf(name, ref, opt.Setting)
	}
	t := compareParts(ref, cand, tol, chosen.parts, of)
	t.Note, t.lost = chosen.note, chosen.lost
	t.Coverage.LeftOut = chosen.leftOut
	for _, o := range t.Coverage.LeftOut {
		s.checkFinite(name, "reference", ref, o.Image)
		s.checkFinite(name, "candidate", cand, o.Image)
	}
	if t.Judgement == ByNothing {
		t.judgedByNothing(s.rerouted)
	}
	opt.Budgets.derived(&t, name, ref, cand, chosen.parts)
	s.passDecided(name, &t)
	return t
}

// judgedByNothing turns what was measured without a rule into what was left out.
func (t *TensorReport) judgedByNothing(images []bool) {
	if n := t.Coverage.Compared; n > 0 {
		t.Coverage.LeftOut = append(t.Coverage.LeftOut, Omission{causeNoRule, 0, n})
	}
	t.Coverage.Compared = 0
	for image := range max(len(images), 1) {
		t.lost = append(t.lost, image)
	}
}

// passDecided lets the decisions judge an output that holds what was decided: it passes unless one of them is a bug.
func (s *settled) passDecided(name string, t *TensorReport) {
	if !s.decided[name] || t.Problem != "" {
		return
	}
	t.Judgement, t.Tolerance = ByDecisions, "decisions"
	t.Passed = !slices.ContainsFunc(s.decisions, func(d Decision) bool { return d.Verdict == Bug && d.concerns(name) })
}

// concerns reports whether the decision is about what an output holds. Missing detections are named after their scores, and
// show in the classes and counts as well.
func (d *Decision) concerns(output string) bool {
	return d.Output == output || d.Kind == Missing && (output == "class_ids" || output == "valid_counts")
}

// conclude sums up the outputs and decides the state.
func (r *Report) conclude() {
	r.Coverage, r.Unverified = coverageOf(r.Outputs), unverified(r.Outputs)
	if at := slices.IndexFunc(r.Decisions, func(d Decision) bool { return d.Verdict == Unproven }); at >= 0 && r.Unverified == "" {
		r.Unverified = r.Decisions[at].String()
	}
	r.sum()
	r.State = r.state()
	r.Passed = r.State.Holds()
}

// state is what follows from the outputs, the decisions, and what nobody has verified.
func (r *Report) state() evidence.State {
	failed := slices.ContainsFunc(r.Outputs, func(t TensorReport) bool { return !t.Passed })
	switch {
	case failed || len(r.Problems) > 0 || slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.Verdict == Bug }):
		return evidence.Fail
	case r.Unverified != "":
		return evidence.Unverified
	case len(r.Decisions) > 0:
		return evidence.Explained
	}
	return evidence.Pass
}

// sum adds up what was measured under a tolerance or for equality.
func (r *Report) sum() {
	var sum float64
	var finite int
	for _, o := range r.Outputs {
		if o.Judgement == ByDecisions {
			continue
		}
		n := o.TotalCount - o.NonFiniteMismatches
		sum += float64(o.MeanAbsErr) * float64(n)
		finite += n
		r.MaxAbsErr, r.MaxRelErr = max(r.MaxAbsErr, o.MaxAbsErr), max(r.MaxRelErr, o.MaxRelErr)
		r.MismatchCount += o.MismatchCount
		r.TotalCount += o.TotalCount
	}
	r.MeanAbsErr = Number(sum / float64(max(finite, 1)))
	r.MismatchRatio = Number(float64(r.MismatchCount) / float64(max(r.TotalCount, 1)))
}
