package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/env"
)

// Judge weighs the comparison against the greatest loss of AP of boxes that is allowed, in [0,1]: the upper end of the interval decides
// that more was lost, its lower end that no more was lost; between them nothing is decided. Faults that were injected may have lowered the base alone: under
// them nothing passes.
func (e *Evaluation) Judge(most float64) {
	c := e.Comparison
	c.MaxMapDrop, c.Undecided = &most, e.undecided()
	e.Verdict, e.ExitCode = "INCONCLUSIVE", exit.Inconclusive
	switch d, faults := c.Det.AP, env.Injected(e.Variables); {
	case c.Undecided != "":
	case d.High < -most:
		e.Verdict, e.ExitCode = "FAIL", exit.Failed
	case faults != "":
		c.Undecided = fmt.Sprintf("workers had faults injected (%s): what they lose hides what is lost", faults)
	case d.Low >= -most:
		e.Verdict, e.ExitCode = "PASS", exit.OK
	}
}

// undecided says why nothing can be judged, whatever the numbers are; "" where something can.
func (e *Evaluation) undecided() string {
	switch {
	case e.Dataset.Images < accuracy.LeastImages:
		return fmt.Sprintf("a verdict needs at least %d images, and the data set has %d", accuracy.LeastImages, e.Dataset.Images)
	case e.Comparison.Det.AP.Base <= 0:
		return fmt.Sprintf("%s finds nothing that could be lost", e.Comparison.Base)
	}
	return ""
}

// ReadEvaluation reads what EvaluationJSON wrote and judges it again. It is an error if it has another version, an unknown key, numbers that
// contradict each other, or a verdict that does not follow from them. Its errors are one line, without the file's name.
func ReadEvaluation(from io.Reader) (*Evaluation, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	var head struct {
		Version int `json:"schema_version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("not an evaluation: %w", err)
	}
	if head.Version != EvaluationSchemaVersion {
		return nil, fmt.Errorf("an evaluation of version %d, want %d", head.Version, EvaluationSchemaVersion)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var e Evaluation
	if err := d.Decode(&e); err != nil {
		return nil, fmt.Errorf("not an evaluation: %w", err)
	}
	return &e, e.check()
}

// check holds the numbers that the document has twice against each other, and the verdict against what it follows from.
func (e *Evaluation) check() error {
	if e.Summary.Det == nil {
		return errors.New("the evaluation has no numbers of boxes")
	}
	if err := e.Summary.check(); err != nil {
		return err
	}
	word, code := e.Verdict, e.ExitCode
	if e.Comparison == nil {
		if word != "" || code != exit.OK {
			return fmt.Errorf("the verdict is %q with exit code %d, and nothing was compared", word, code)
		}
		return nil
	}
	if err := e.Comparison.check(e.Summary); err != nil {
		return err
	}
	if e.Comparison.MaxMapDrop == nil {
		if word != "" || code != exit.OK {
			return fmt.Errorf("the verdict is %q with exit code %d, and there is no budget", word, code)
		}
		return nil
	}
	why := e.Comparison.Undecided
	if e.Judge(*e.Comparison.MaxMapDrop); e.Verdict != word || e.ExitCode != code || e.Comparison.Undecided != why {
		return fmt.Errorf("the verdict is %s with exit code %d, and from the numbers follows %s with %d", word, code, e.Verdict, e.ExitCode)
	}
	return nil
}

func (s EvaluationSummary) check() error {
	for _, part := range []struct {
		name string
		d    *DetectionEvaluation
	}{{"det", s.Det}, {"inst_seg", s.InstSeg}} {
		d := part.d
		if d == nil {
			continue
		}
		objects, found := 0, 0
		for _, c := range d.PerClass {
			objects, found = objects+c.Objects, found+c.Found
		}
		if d.MAP != d.COCO.AP || d.AP50 != d.COCO.AP50 || d.AP75 != d.COCO.AP75 || d.NumGT != objects || d.NumPred != found {
			return fmt.Errorf("summary.%s contradicts its own parts", part.name)
		}
		if !d.meanOfClasses() {
			return fmt.Errorf("summary.%s is not the mean of its classes", part.name)
		}
	}
	return nil
}

// meanOfClasses tells whether each AP is the mean over the classes that have one; -1 where none has.
func (d *DetectionEvaluation) meanOfClasses() bool {
	for _, of := range []struct {
		all   float64
		class func(c *evaluate.ClassSummary) float64
	}{
		{d.MAP, func(c *evaluate.ClassSummary) float64 { return c.AP }},
		{d.AP50, func(c *evaluate.ClassSummary) float64 { return c.AP50 }},
		{d.AP75, func(c *evaluate.ClassSummary) float64 { return c.AP75 }},
	} {
		sum, n := 0.0, 0.0
		for i := range d.PerClass {
			if v := of.class(&d.PerClass[i]); v >= 0 {
				sum, n = sum+v, n+1
			}
		}
		want := -1.0
		if n > 0 {
			want = sum / n
		}
		if !(math.Abs(of.all-want) <= 1e-9 && of.all <= 1) {
			return false
		}
	}
	return true
}

// check holds the differences against the numbers of both sides.
func (c *EvaluationComparison) check(candidate EvaluationSummary) error {
	if err := c.Summary.check(); err != nil {
		return err
	}
	for _, part := range []struct {
		name            string
		d               *evaluate.Differences
		base, candidate *DetectionEvaluation
	}{{"det", c.Det, c.Summary.Det, candidate.Det}, {"inst_seg", c.InstSeg, c.Summary.InstSeg, candidate.InstSeg}} {
		switch {
		case part.d == nil && part.name == "inst_seg":
			continue
		case part.d == nil || part.base == nil || part.candidate == nil:
			return fmt.Errorf("comparison.%s has not both sides", part.name)
		}
		b, d := part.base, part.candidate
		if !follows(part.d.AP, b.MAP, d.MAP) || !follows(part.d.AP50, b.AP50, d.AP50) || !follows(part.d.AP75, b.AP75, d.AP75) {
			return fmt.Errorf("comparison.%s contradicts the numbers of its sides", part.name)
		}
	}
	return c.checkPixels(candidate)
}

// checkPixels is check for labels and segments.
func (c *EvaluationComparison) checkPixels(candidate EvaluationSummary) error {
	base := c.Summary
	if d := c.Semantic; d != nil && (base.Semantic == nil || candidate.Semantic == nil || !follows(*d, base.Semantic.MIoU, candidate.Semantic.MIoU)) {
		return errors.New("comparison.semantic contradicts the numbers of its sides")
	}
	if d := c.Panoptic; d != nil && (base.Panoptic == nil || candidate.Panoptic == nil || !follows(*d, base.Panoptic.PQ, candidate.Panoptic.PQ)) {
		return errors.New("comparison.panoptic contradicts the numbers of its sides")
	}
	return nil
}

// follows tells whether a difference is that of two numbers, within its interval.
func follows(d evaluate.Difference, base, candidate float64) bool {
	const rounding = 1e-9
	return d.Base == base && d.Candidate == candidate && d.Delta == candidate-base && d.Low-rounding <= d.Delta && d.Delta <= d.High+rounding
}
