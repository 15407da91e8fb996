package reports

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf/env"
)

func TestEvaluationVerdict(t *testing.T) {
	for _, tt := range []struct {
		images          int
		base, low, high float64
		word            string
		code            int
	}{
		{64, 0.8, -0.03, -0.011, "FAIL", exit.Failed}, {64, 0.8, -0.03, -0.01, "INCONCLUSIVE", exit.Inconclusive}, {64, 0.8, -0.03, 0.02, "INCONCLUSIVE", exit.Inconclusive},
		{64, 0.8, -0.01, 0.02, "PASS", exit.OK}, {64, 0.8, 0.01, 0.02, "PASS", exit.OK},
		{19, 0.8, 0, 0, "INCONCLUSIVE", exit.Inconclusive}, {1, 0.8, -0.8, -0.8, "INCONCLUSIVE", exit.Inconclusive},
		{64, 0, 0, 0, "INCONCLUSIVE", exit.Inconclusive}, {64, -1, 0, 0, "INCONCLUSIVE", exit.Inconclusive},
	} {
		e := Evaluation{Dataset: EvaluationDataset{Images: tt.images},
			Comparison: &EvaluationComparison{Det: &evaluate.Differences{AP: evaluate.Difference{Base: tt.base, Low: tt.low, High: tt.high}}}}
		if e.Judge(0.01); e.Verdict != tt.word || e.ExitCode != tt.code {
			t.Errorf("%+v: %s, exit code %d", tt, e.Verdict, e.ExitCode)
		}
		e.Variables = []env.Software{{Key: "cuda:APEXX_INJECT", Value: "wrong@*"}}
		if e.Judge(0.01); (e.Verdict == "FAIL") != (tt.word == "FAIL") || e.Verdict == "PASS" {
			t.Errorf("%+v with faults: %s, exit code %d", tt, e.Verdict, e.ExitCode)
		}
	}
}

// TestReadEvaluation believes what was written, and nothing that does not follow from its numbers.
func TestReadEvaluation(t *testing.T) {
	var text bytes.Buffer
	if err := EvaluationJSON(&text, evaluated()); err != nil {
		t.Fatal(err)
	}
	e, err := ReadEvaluation(bytes.NewReader(text.Bytes()))
	if err != nil || e.Verdict != "PASS" || e.Comparison.Det.AP != evaluated().Comparison.Det.AP {
		t.Fatalf("%+v, %v", e, err)
	}
	for name, tt := range map[string]struct {
		change func(*Evaluation)
		want   string
	}{
		"a verdict of one's own":   {func(e *Evaluation) { e.Comparison.Det.AP.Low = -0.2 }, "the verdict is PASS with exit code 0, and from the numbers follows INCONCLUSIVE with 3"},
		"too few images":           {func(e *Evaluation) { e.Dataset.Images = 19 }, "follows INCONCLUSIVE with 3"},
		"a milder code":            {func(e *Evaluation) { e.Verdict, e.ExitCode = "FAIL", 0 }, "the verdict is FAIL with exit code 0"},
		"a verdict without budget": {func(e *Evaluation) { e.Comparison.MaxMapDrop = nil }, "there is no budget"},
		"nothing compared":         {func(e *Evaluation) { e.Comparison = nil }, "nothing was compared"},
		"no numbers":               {func(e *Evaluation) { e.Summary.Det = nil }, "has no numbers of boxes"},
		"another AP":               {func(e *Evaluation) { e.Summary.Det.MAP = 0.9 }, "summary.det contradicts its own parts"},
		"an AP of no class":        {func(e *Evaluation) { e.Summary.Det.PerClass[0].AP = 0.9 }, "summary.det is not the mean of its classes"},
		"an interval elsewhere":    {func(e *Evaluation) { e.Comparison.Det.AP.Low, e.Comparison.Det.AP.High = 0.1, 0.1 }, "comparison.det contradicts the numbers of its sides"},
		"lost objects":             {func(e *Evaluation) { e.Summary.InstSeg.NumGT = 7 }, "summary.inst_seg contradicts its own parts"},
		"another base":             {func(e *Evaluation) { e.Comparison.Summary.Det.COCO.AP = 0.9 }, "summary.det contradicts its own parts"},
		"another difference":       {func(e *Evaluation) { e.Comparison.InstSeg.AP.Delta = 0 }, "comparison.inst_seg contradicts the numbers of its sides"},
		"another mIoU":             {func(e *Evaluation) { e.Comparison.Semantic.Candidate = 0.8 }, "comparison.semantic contradicts the numbers of its sides"},
		"PQ of one side":           {func(e *Evaluation) { e.Comparison.Panoptic = &evaluate.Difference{} }, "comparison.panoptic contradicts the numbers of its sides"},
		"one side":                 {func(e *Evaluation) { e.Comparison.Summary.Det = nil }, "comparison.det has not both sides"},
		"another version":          {func(e *Evaluation) { e.SchemaVersion = 1 }, "an evaluation of version 1, want 2"},
	} {
		t.Run(name, func(t *testing.T) {
			e := evaluated()
			tt.change(e)
			text.Reset()
			if err := EvaluationJSON(&text, e); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadEvaluation(&text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	for text, want := range map[string]string{"{": "not an evaluation", `{"schema_version": 2, "extra": 1}`: "unknown field"} {
		if _, err := ReadEvaluation(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEvaluationSchema(t *testing.T) {
	write := func(e *Evaluation) any {
		return encoded(t, func(w io.Writer) error { return EvaluationJSON(w, e) })
	}
	e := evaluated()
	if err := validate(t, EvaluationSchema, write(e)); err != nil {
		t.Error(err)
	}
	refuses(t, EvaluationSchema, e, map[string]any{
		"schema_version": 1, "generated_at_utc": "today", "dataset/images": 0, "dataset/annotations_sha256": "7d28", "summary/det": nil, "summary/det/map": 1.5, "summary/det/coco/ap_small": -0.5,
		"summary/det/per_class/ap": nil, "summary/det/per_class/extra": 1, "summary/det/score_strata/detections": -1, "summary/semantic/miou": -1, "summary/panoptic/all/pq": 2,
		"comparison/confidence": 1, "comparison/det/ap/low": "NaN", "comparison/det/ap/extra": 0, "comparison/changes/image_id": -1, "verdict": "FINE", "exit_code": 6,
		"curves/precision": []any{2}, "model_eval/det_score_target/exact_match_rate": 3, "extra": 1, "build": nil,
	})
	least := &Evaluation{SchemaVersion: EvaluationSchemaVersion, GeneratedAt: e.GeneratedAt, Dataset: e.Dataset, Name: "found.json",
		Summary: EvaluationSummary{Det: e.Summary.Det}, Curves: []PrecisionRecallCurve{}}
	if err := validate(t, EvaluationSchema, write(least)); err != nil {
		t.Errorf("results of a file: %v", err)
	}
}

// FuzzReadEvaluation reads anything without a panic, and what it believes it believes again.
func FuzzReadEvaluation(f *testing.F) {
	var text bytes.Buffer
	if err := EvaluationJSON(&text, evaluated()); err != nil {
		f.Fatal(err)
	}
	f.Add(text.Bytes())
	f.Add([]byte(`{"schema_version": 2, "summary": {"det": {}}, "comparison": {"max_map_drop": 0.1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ReadEvaluation(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := EvaluationJSON(&again, e); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadEvaluation(&again); err != nil {
			t.Fatal(err)
		}
	})
}
