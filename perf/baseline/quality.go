package baseline

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/sweep"
)

// Quality says what cells may lose of average precision against the reference in float32 (accuracy.BaseOf), and on which data set.
type Quality struct {
	DataSet           string           `json:"data_set"`
	AnnotationsSHA256 string           `json:"annotations_sha256"`
	MaxMapDrop        accuracy.Budgets `json:"max_map_drop"` // in points, by precision
}

func (q *Quality) validate() error {
	switch {
	case q == nil:
		return nil
	case q.DataSet == "" || !digest.MatchString(q.AnnotationsSHA256):
		return errors.New("quality: data_set and annotations_sha256 name the data set")
	case len(q.MaxMapDrop) == 0:
		return errors.New("quality: max_map_drop has no precision")
	}
	if err := q.MaxMapDrop.Check(); err != nil {
		return fmt.Errorf("quality: %w", err)
	}
	return nil
}

// qualityOf makes the budgets of a baseline out of a sweep's data set; nil where it has none.
func qualityOf(r *sweep.Result, budgets accuracy.Budgets) *Quality {
	if r.Plan.Quality == nil {
		return nil
	}
	if budgets == nil {
		budgets = accuracy.DefaultBudgets()
	}
	d := r.Plan.Quality.DataSet
	return &Quality{DataSet: d.Name, AnnotationsSHA256: d.Annotations, MaxMapDrop: budgets}
}

// unfit says what keeps the evaluations of a sweep from being judged by the budgets of a baseline.
func (q *Quality) unfit(p *accuracy.Plan) error {
	switch {
	case p == nil:
		return nil
	case q == nil:
		return fmt.Errorf("%w: it has no budgets of quality (quality.max_map_drop); record one from a sweep with --quality %s", ErrNoBaseline, p.DataSet.Name)
	case q.AnnotationsSHA256 != p.DataSet.Annotations:
		return fmt.Errorf("%w: its budgets of quality are for %s (%.12s), and this is %s (%.12s)", ErrNoBaseline, q.DataSet, q.AnnotationsSHA256, p.DataSet.Name, p.DataSet.Annotations)
	}
	return nil
}

// QualityCheck is the quality of one cell against its budget.
type QualityCheck struct {
	Cell      string           `json:"cell"`
	Status    string           `json:"status"` // CheckPass, CheckFail, CheckUndecided or CheckMissing
	MaxPoints float64          `json:"max_map_drop"`
	Result    *accuracy.Result `json:"result,omitempty"` // nil where missing
	Note      string           `json:"note,omitempty"`   // why it did not pass
}

// judgeQuality judges every complete cell of a sweep with a data set.
func judgeQuality(q *Quality, r *sweep.Result) (checks []QualityCheck) {
	if r.Plan.Quality == nil {
		return nil
	}
	policy := r.Plan.Quality.Policy
	policy.MaxMapDrop = q.MaxMapDrop
	for _, c := range r.Cells {
		if c.Quality == nil {
			continue
		}
		k := QualityCheck{Cell: c.Name, Status: CheckMissing, MaxPoints: q.MaxMapDrop[c.Cell.Precision], Result: c.Quality.Result, Note: c.Quality.Detail}
		if c.Quality.State == evidence.Fail {
			k.Status = CheckFail
		} else if k.Result != nil {
			var v accuracy.Verdict
			v, k.Note = policy.Judge(k.Result, r.Plan.Quality.DataSet.Images, c.Cell.Precision)
			k.Status = map[accuracy.Verdict]string{accuracy.Kept: CheckPass, accuracy.Lost: CheckFail, accuracy.Undecided: CheckUndecided}[v]
		}
		checks = append(checks, k)
	}
	return checks
}

// qualityStatus is the status of a comparison whose metrics came to one, with the quality of its cells.
func qualityStatus(metrics string, checks []QualityCheck) string {
	has := func(status string) bool {
		return slices.ContainsFunc(checks, func(k QualityCheck) bool { return k.Status == status })
	}
	switch {
	case metrics == CheckFail || has(CheckFail) || has(CheckMissing):
		return CheckFail
	case has(CheckUndecided):
		return CheckUndecided
	}
	return metrics
}
