package quality

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/reports"
)

// Options of Assess.
type Options struct {
	Bootstrap  evaluate.BootstrapOptions
	MaxMapDrop *float64       // the greatest loss of AP that is allowed, in [0,1]; nil for no verdict
	Variables  []env.Software // that the executions ran under, as env.Environment has them
}

// assessed is what was found with the pairs of detections and objects.
type assessed struct {
	*Found
	boxes, masks *evaluate.Matches // masks are nil where either side has none
}

func (s *Set) assess(f *Found) (assessed, error) {
	a := assessed{Found: f, boxes: evaluate.MatchBoxes(s.Data, f.Detections)}
	if !s.HasMasks() || !f.hasMasks() {
		return a, nil
	}
	var err error
	a.masks, err = evaluate.MatchMasks(s.Data, f.Detections)
	return a, err
}

// Assess compares what a candidate found with the annotations and, where there is a base, with what that found. The document lacks what
// only the caller knows: when, by which program and command.
func Assess(s *Set, candidate, base *Found, o Options) (*reports.Evaluation, error) {
	c, err := s.assess(candidate)
	if err != nil {
		return nil, err
	}
	doc := &reports.Evaluation{SchemaVersion: reports.EvaluationSchemaVersion, Dataset: s.describe(), Name: candidate.Name, Variables: o.Variables, Summary: c.summary(), Curves: c.curves()}
	if e := candidate.Execution; e != nil {
		doc.Runtime, doc.ModelEval = e.runtime(), e.modelEval(base)
	}
	if base == nil {
		return doc, nil
	}
	b, err := s.assess(base)
	if err != nil {
		return nil, err
	}
	if doc.Comparison, err = compare(s, b, c, o); err != nil {
		return nil, err
	}
	doc.Curves = append(doc.Curves, b.curves()...)
	if o.MaxMapDrop != nil {
		doc.Judge(*o.MaxMapDrop)
	}
	return doc, nil
}

func (s *Set) describe() reports.EvaluationDataset {
	d := reports.EvaluationDataset{Name: s.Name, Images: len(s.Data.Images), Objects: len(s.Data.Annotations), Classes: len(s.Data.Categories),
		AnnotationsSHA256: s.SHA256, ProblemCount: s.Problems.Count, LeftOut: s.Problems.LeftOut, Problems: []string{}}
	for _, p := range s.Problems.List[:min(len(s.Problems.List), 20)] {
		d.Problems = append(d.Problems, p.String())
	}
	return d
}

func (a assessed) summary() reports.EvaluationSummary {
	s := reports.EvaluationSummary{Det: detection(a.boxes), InstSeg: detection(a.masks)}
	if a.Execution == nil || a.Execution.Semantic == nil {
		return s
	}
	names := append([]string{"background"}, a.boxes.Classes.Names...)
	r := a.Execution.Semantic.Result(len(names))
	s.Semantic = &reports.SemanticEvaluation{MIoU: r.MIoU, PerClass: map[string]float64{}}
	for i, name := range names {
		s.Semantic.PerClass[name] = r.PerClass[i]
	}
	s.Panoptic = describePanoptic(a.Execution.Panoptic.Result(), names)
	return s
}

func detection(m *evaluate.Matches) *reports.DetectionEvaluation {
	if m == nil {
		return nil
	}
	all := m.Summary()
	d := &reports.DetectionEvaluation{MAP: all.AP, AP50: all.AP50, AP75: all.AP75, COCO: all, PerClass: m.PerClass(), Scores: m.ScoreStrata()}
	for _, c := range d.PerClass {
		d.NumGT += c.Objects
		d.NumPred += c.Found
	}
	return d
}

// curves are those of boxes and masks at the overlaps of 0.5 and 0.75.
func (a assessed) curves() []reports.PrecisionRecallCurve {
	list := []reports.PrecisionRecallCurve{}
	for _, kind := range []struct {
		name string
		m    *evaluate.Matches
	}{{"boxes", a.boxes}, {"masks", a.masks}} {
		if kind.m == nil {
			continue
		}
		for _, threshold := range []int{0, 5} {
			if p := kind.m.MeanCurve(threshold); p != nil {
				list = append(list, reports.PrecisionRecallCurve{Name: a.Name, Kind: kind.name, Threshold: evaluate.Thresholds[threshold], Precision: p})
			}
		}
	}
	return list
}

func compare(s *Set, base, candidate assessed, o Options) (*reports.EvaluationComparison, error) {
	o.Bootstrap = o.Bootstrap.Complete()
	c := &reports.EvaluationComparison{Base: base.Name, Summary: base.summary(), Replicates: o.Bootstrap.Replicates, Confidence: o.Bootstrap.Confidence,
		Seed: o.Bootstrap.Seed, Changes: []reports.EvaluationChange{}}
	boxes, err := evaluate.Compare(base.boxes, candidate.boxes, o.Bootstrap)
	if err != nil {
		return nil, err
	}
	c.Det = &boxes
	if base.masks != nil && candidate.masks != nil {
		masks, err := evaluate.Compare(base.masks, candidate.masks, o.Bootstrap)
		if err != nil {
			return nil, err
		}
		c.InstSeg = &masks
	}
	if b, d := base.Execution, candidate.Execution; b != nil && d != nil && b.Semantic != nil && d.Semantic != nil {
		labels, err1 := evaluate.CompareLabels(b.Semantic, d.Semantic, o.Bootstrap)
		segments, err2 := evaluate.CompareSegments(b.Panoptic, d.Panoptic, o.Bootstrap)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		c.Semantic, c.Panoptic = &labels, &segments
	}
	changes, err := evaluate.Changes(base.boxes, candidate.boxes)
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		i := slices.IndexFunc(s.Data.Images, func(im coco.Image) bool { return im.ID == change.Image })
		c.Changes = append(c.Changes, reports.EvaluationChange{Image: change.Image, File: s.Data.Images[i].FileName, Changed: change.Changed, Influence: change.Influence})
	}
	return c, nil
}

func (e *Execution) runtime() *reports.EvaluationRuntime {
	ms := evaluate.Describe(e.Milliseconds)
	return &reports.EvaluationRuntime{RequestedBackend: e.Backend, SelectedBackend: e.Backend, ExecutionBackend: e.Backend, FallbackPolicy: "strict",
		EffectiveDType: e.Precision, Latency: map[string]float64{"backend_execute": ms.Mean}, Unmapped: e.Unmapped}
}

// modelEval describes scores and tiles of the images, and compares them with those of a base that was executed too.
func (e *Execution) modelEval(base *Found) *reports.ModelEvaluation {
	m := &reports.ModelEvaluation{Source: "coco", NumSamples: len(e.Scores), DetScore: evaluate.Describe(e.Scores), ExecutionBackend: e.Backend,
		SelectedTiles: reports.TileSpread{Mean: evaluate.Describe(e.Tiles).Mean, P95: percentile(e.Tiles, 0.95)}}
	if base != nil && base.Execution != nil {
		scores, tiles := evaluate.Regress(e.Scores, base.Execution.Scores), evaluate.Regress(e.Tiles, base.Execution.Tiles)
		m.DetScoreTarget, m.SelectedTilesTarget = &scores, &tiles
	}
	return m
}

// percentile interpolates linearly at (n-1)·p.
func percentile(values []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	x := p * float64(len(sorted)-1)
	i := int(math.Floor(x))
	return sorted[i] + (x-float64(i))*(sorted[min(i+1, len(sorted)-1)]-sorted[i])
}

// Pictures draws what base and candidate found in the images that changed most, at most so many of them, for the page.
func Pictures(s *Set, doc *reports.Evaluation, base, candidate *Found, most int) error {
	if doc.Comparison == nil {
		return nil
	}
	objects := s.ByImage()
	for _, change := range doc.Comparison.Changes[:min(len(doc.Comparison.Changes), most)] {
		im := s.Data.Images[slices.IndexFunc(s.Data.Images, func(im coco.Image) bool { return im.ID == change.Image })]
		p, err := s.Picture(im)
		if err != nil {
			return err
		}
		matches := "matches"
		if change.Changed == 1 {
			matches = "match"
		}
		shown := reports.CaseImages{Case: fmt.Sprintf("%s: %+.2f points of AP, %d changed %s", change.File, 100*change.Influence, change.Changed, matches)}
		for _, side := range []struct {
			label string
			list  []reports.Detection
		}{{"annotations", s.Truth(im, objects[im.ID])}, {base.Name, s.detectionsOf(base, im)}, {candidate.Name, s.detectionsOf(candidate, im)}} {
			image, err := reports.JPEG(side.label, reports.Overlay(reports.Scene{Picture: p, Detections: side.list}))
			if err != nil {
				return err
			}
			shown.Images = append(shown.Images, image)
		}
		doc.Images = append(doc.Images, shown)
	}
	return nil
}
