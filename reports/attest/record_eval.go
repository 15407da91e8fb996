package attest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/reports"
)

// evalRecord is an evaluation on annotated pictures, whose verdict was derived anew from its interval.
type evalRecord struct{ *reports.Evaluation }

func readEval(data []byte) (record, error) {
	e, err := reports.ReadEvaluation(bytes.NewReader(data))
	return evalRecord{e}, err
}

func (e evalRecord) items() []string { return []string{EvalReport} }

func (e evalRecord) origin() origin {
	o := origin{build: &e.Build, models: []reports.ModelDigests{{}}}
	if e.Model != nil {
		o.models[0] = reports.ModelDigests{Config: e.Model.ConfigSHA256, Weights: e.Model.WeightsSHA256}
	}
	return o
}

func (e evalRecord) judge(r *rules) (Status, string) {
	rule, c := r.policy.Evaluation, e.Comparison
	switch faults := env.Injected(e.Variables); {
	case faults != "":
		return Fail, injected(faults)
	case e.Runtime == nil:
		return Fail, fmt.Sprintf("%s was read from a file, not executed", e.Name)
	case e.Dataset.AnnotationsSHA256 != rule.Dataset:
		return Fail, fmt.Sprintf("its data set is %.12s, the policy requires %.12s", e.Dataset.AnnotationsSHA256, rule.Dataset)
	case !slices.Contains(rule.Executions, e.Name):
		return Fail, fmt.Sprintf("it is of %s, the policy accepts %q", e.Name, rule.Executions)
	case e.Summary.Det.MAP < rule.MinMap:
		return Fail, fmt.Sprintf("the AP of boxes is %.4f, the policy requires %v", e.Summary.Det.MAP, rule.MinMap)
	case c == nil || c.Base != rule.Base:
		return Fail, fmt.Sprintf("it is not compared with %s", rule.Base)
	case c.MaxMapDrop == nil || *c.MaxMapDrop > rule.MaxMapDrop:
		return Fail, fmt.Sprintf("its budget is no loss of at most %v, which the policy requires", rule.MaxMapDrop)
	case c.Confidence < rule.MinConfidence:
		return Fail, fmt.Sprintf("its intervals are of %g %%, the policy requires %g %%", 100*c.Confidence, 100*rule.MinConfidence)
	}
	text := fmt.Sprintf("%s: AP of boxes %.4f, %+.4f against %s (%+.4f to %+.4f)", e.Verdict, e.Summary.Det.MAP, c.Det.AP.Delta, c.Base, c.Det.AP.Low, c.Det.AP.High)
	switch e.ExitCode {
	case exit.OK:
		return Pass, text
	case exit.Inconclusive:
		return Pending, text
	}
	return Fail, text
}

func (e evalRecord) tests() []test { return nil }
