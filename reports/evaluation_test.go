package reports

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/perf/env"
)

// evaluated is an evaluation of two executions with a budget that holds.
func evaluated() *Evaluation {
	numbers := func(ap float64) *DetectionEvaluation {
		s := evaluate.Summary{AP: ap, AP50: ap + 0.1, AP75: ap + 0.05, APSmall: -1, APMedium: ap, APLarge: ap + 0.2, AR1: 0.3, AR10: 0.6, AR100: 0.7}
		return &DetectionEvaluation{MAP: s.AP, AP50: s.AP50, AP75: s.AP75, NumGT: 8, NumPred: 11, COCO: s, PerClass: []evaluate.ClassSummary{
			{Name: "disk", Objects: 5, Found: 7, Summary: s, Sizes: evaluate.SizeCounts{Medium: 3, Large: 2}, Scores: scoreStrata(7, ap)},
			{Name: "star | ring", Objects: 3, Found: 4, Summary: s, Sizes: evaluate.SizeCounts{Medium: 3}, Scores: scoreStrata(4, ap)}}, Scores: scoreStrata(11, ap)}
	}
	boxes, masks, baseBoxes, baseMasks := numbers(0.5), numbers(0.4), numbers(0.501), numbers(0.41)
	boxes.AP75, boxes.COCO.AP75, boxes.PerClass[0].AP75, boxes.PerClass[1].AP75 = 0.561, 0.561, 0.561, 0.561
	differences := func(base, candidate *DetectionEvaluation) *evaluate.Differences {
		one := func(base, candidate float64) evaluate.Difference {
			delta := candidate - base
			return evaluate.Difference{Base: base, Candidate: candidate, Delta: delta, Low: delta - 0.004, High: delta + 0.003}
		}
		return &evaluate.Differences{AP: one(base.MAP, candidate.MAP), AP50: one(base.AP50, candidate.AP50), AP75: one(base.AP75, candidate.AP75)}
	}
	drop, r2, baseMIoU := 0.01, 0.98, 0.76
	return &Evaluation{
		SchemaVersion: EvaluationSchemaVersion, GeneratedAt: "2026-11-28T10:00:00Z", Version: "v1.2.3", Build: Build{Revision: "0123abc"}, Command: "apexx eval --precision fp16 --against reference:fp32 --max-map-drop 0.01",
		Dataset: EvaluationDataset{Name: "scenes", Images: 64, Objects: 527, Classes: 8, AnnotationsSHA256: strings.Repeat("7d28", 16), ProblemCount: 2, LeftOut: 1,
			Problems: []string{"annotations[1] (id 2), bbox: width is NaN, want a finite number (left out)"}},
		Name: "reference fp16", Variables: []env.Software{{Key: "GOGC", Value: "50"}},
		Summary: EvaluationSummary{Det: boxes, InstSeg: masks, Semantic: &SemanticEvaluation{0.75, map[string]float64{"background": 0.9, "disk": 0.7, "star | ring": 0.65}},
			Panoptic: &PanopticEvaluation{PQ: 0.6, Source: "apexx", All: evaluate.PanopticQuality{PQ: 0.6, SQ: 0.8, RQ: 0.75}}},
		Runtime: &EvaluationRuntime{RequestedBackend: "reference", SelectedBackend: "reference", ExecutionBackend: "reference", FallbackPolicy: "strict", EffectiveDType: "fp16", PrecisionProfile: "balanced"},
		ModelEval: &ModelEvaluation{Source: "coco", NumSamples: 64, DetScore: evaluate.Spread{Mean: 0.9, Std: 0.05, Min: 0.6, Max: 1}, SelectedTiles: TileSpread{8, 9.5},
			ExecutionBackend: "reference", PrecisionProfile: "balanced", DetScoreTarget: &evaluate.Regression{MAE: 1e-4, RMSE: 2e-4, Bias: -1e-5, R2: &r2},
			SelectedTilesTarget: &evaluate.Regression{ExactMatch: 1}},
		Comparison: &EvaluationComparison{Base: "reference fp32", Summary: EvaluationSummary{Det: baseBoxes, InstSeg: baseMasks, Semantic: &SemanticEvaluation{MIoU: 0.76}},
			Replicates: 2000, Confidence: 0.99, Det: differences(baseBoxes, boxes),
			InstSeg: differences(baseMasks, masks), Semantic: &evaluate.Difference{Base: 0.76, Candidate: 0.75, Delta: 0.75 - baseMIoU, Low: -0.02, High: -0.001}, MaxMapDrop: &drop, Changes: []EvaluationChange{{3, "000003.jpg", 4, -0.002}}},
		Verdict: "PASS", ExitCode: 0,
		Curves: []PrecisionRecallCurve{{"reference fp16", "boxes", 0.5, []float64{1, 0.9, 0.5, 0}}, {"reference fp32", "boxes", 0.5, []float64{1, 0.8, 0.6, 0}}},
		Images: []CaseImages{{Case: "000003.jpg", Images: []LabelledImage{{Label: "reference fp16", Type: "jpeg", Data: []byte("jpeg")}}}},
	}
}

// scoreStrata are two strata.
func scoreStrata(n int, mean float64) []evaluate.ScoreStratum {
	return []evaluate.ScoreStratum{{Low: 0, High: 0.1, Found: 1, MeanScore: 0.07},
		{Low: 0.8, High: 0.9, Found: n - 1, Right50: n - 1, Right75: n - 2, Precision50: 1, Precision75: 0.75, MeanScore: 0.8 + mean/10}}
}

func TestEvaluationTexts(t *testing.T) {
	var table, markdown, document bytes.Buffer
	if err := EvaluationTable(&table, evaluated()); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "evaluation.txt", table.String())
	if err := EvaluationMarkdown(&markdown, evaluated()); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "evaluation.md", markdown.String())
	if err := EvaluationJSON(&document, evaluated()); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "evaluation.json", document.String())
	var back Evaluation
	if err := json.Unmarshal(document.Bytes(), &back); err != nil || back.Comparison.Det.AP != evaluated().Comparison.Det.AP {
		t.Errorf("the JSON is read back as %+v (%v)", back, err)
	}
}

// TestEvaluationPage looks for what the page has to say, and that names cannot become markup.
func TestEvaluationPage(t *testing.T) {
	e := evaluated()
	e.Name = "<script>alert(1)</script>"
	var page bytes.Buffer
	if err := EvaluationHTML(&page, e); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<strong>PASS</strong>", "at most 1.00 points of AP may be lost to reference fp32; the interval is -0.50 to &#43;0.20", "Images that changed most",
		"data:image/jpeg;base64,anBlZw==", "star | ring", "50.00 (3)", "0.8 to 0.9", "Precision and recall", "-1.40 to -0.70"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page.String(), "<script>") {
		t.Error("a name became markup")
	}
	bare := &Evaluation{Name: "x", Summary: EvaluationSummary{Det: &DetectionEvaluation{MAP: -1}}}
	page.Reset()
	if err := EvaluationHTML(&page, bare); err != nil || !strings.Contains(page.String(), "<strong>AP –</strong>") {
		t.Errorf("without anything: %v", err)
	}
}
