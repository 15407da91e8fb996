package accuracy

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/internal/evaluate"
)

// Metric names one of the numbers whose differences have intervals.
type Metric string

// The metrics, of which the budgets of a policy hold for BoxAP and MaskAP.
const (
	BoxAP    Metric = "box_ap"
	BoxAP50  Metric = "box_ap50"
	BoxAP75  Metric = "box_ap75"
	MaskAP   Metric = "mask_ap"
	MaskAP50 Metric = "mask_ap50"
	MaskAP75 Metric = "mask_ap75"
	MIoU     Metric = "miou"
	PQ       Metric = "pq"
)

var words = map[Metric]string{BoxAP: "AP of boxes", BoxAP50: "AP50 of boxes", BoxAP75: "AP75 of boxes", MaskAP: "AP of masks", MaskAP50: "AP50 of masks",
	MaskAP75: "AP75 of masks", MIoU: "mIoU of labels", PQ: "PQ of segments"}

// Words names the metric for people.
func (m Metric) Words() string { return words[m] }

// Difference is what a metric loses or gains; shares, of which a hundredth is a point.
type Difference struct {
	Metric Metric `json:"metric"`
	evaluate.Difference
}

// Result is what a cell's run comes to against another one.
type Result struct {
	Against     string       `json:"against"` // the name of the other cell, or of the other build
	Numbers     Numbers      `json:"numbers"`
	Base        Numbers      `json:"base"` // of the other one
	Differences []Difference `json:"differences"`
}

// Of returns the difference of a metric, nil where there is none.
func (r *Result) Of(m Metric) *Difference {
	if r == nil {
		return nil
	}
	if i := slices.IndexFunc(r.Differences, func(d Difference) bool { return d.Metric == m }); i >= 0 {
		return &r.Differences[i]
	}
	return nil
}

// ErrOtherObjects says that two runs did not look for the same.
var ErrOtherObjects = errors.New("the runs are not of the same images, classes and objects")

func sameObjects(a, b *Found) bool { return evaluate.SameObjects(a.Boxes, b.Boxes) }

// Compare compares two runs of one data set that both ended as Measured.
func Compare(against string, base, candidate *Found, o evaluate.BootstrapOptions) (*Result, error) {
	if !sameObjects(base, candidate) {
		return nil, ErrOtherObjects
	}
	r := &Result{Against: against, Numbers: candidate.Numbers, Base: base.Numbers}
	add := func(m Metric, d evaluate.Difference) { r.Differences = append(r.Differences, Difference{m, d}) }
	boxes, err := evaluate.Compare(base.Boxes, candidate.Boxes, o)
	if err != nil {
		return nil, err
	}
	add(BoxAP, boxes.AP)
	add(BoxAP50, boxes.AP50)
	add(BoxAP75, boxes.AP75)
	if base.Masks != nil && candidate.Masks != nil {
		masks, err := evaluate.Compare(base.Masks, candidate.Masks, o)
		if err != nil {
			return nil, err
		}
		add(MaskAP, masks.AP)
		add(MaskAP50, masks.AP50)
		add(MaskAP75, masks.AP75)
	}
	if base.Labels == nil || candidate.Labels == nil {
		return r, nil
	}
	labels, err1 := evaluate.CompareLabels(base.Labels, candidate.Labels, o)
	segments, err2 := evaluate.CompareSegments(base.Segments, candidate.Segments, o)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	add(MIoU, labels)
	add(PQ, segments)
	return r, nil
}

// Points writes a difference in points with its interval: "-0.14 (-0.50 to +0.24)".
func (d Difference) Points() string {
	return fmt.Sprintf("%+.2f (%+.2f to %+.2f)", 100*d.Delta, 100*d.Low, 100*d.High)
}

// Equal says in what a result differs from another one of the same runs, which may have been computed by another build; nil where in nothing.
func (r *Result) Equal(want *Result) error {
	if r.Against != want.Against || len(r.Differences) != len(want.Differences) {
		return fmt.Errorf("it is against %q in %d numbers, and what was found gives %q and %d", r.Against, len(r.Differences), want.Against, len(want.Differences))
	}
	if err := errors.Join(r.Numbers.equal(want.Numbers), r.Base.equal(want.Base)); err != nil {
		return err
	}
	for i, d := range r.Differences {
		w := want.Differences[i]
		if d.Metric != w.Metric {
			return fmt.Errorf("differences[%d] is of %q, want %q", i, d.Metric, w.Metric)
		}
		for name, pair := range map[string][2]float64{
			"base": {d.Base, w.Base}, "candidate": {d.Candidate, w.Candidate}, "delta": {d.Delta, w.Delta}, "low": {d.Low, w.Low}, "high": {d.High, w.High},
		} {
			if !(math.Abs(pair[0]-pair[1]) <= rounding) {
				return differ(fmt.Sprintf("%s of %s", name, d.Metric), pair[0], pair[1])
			}
		}
	}
	return nil
}
