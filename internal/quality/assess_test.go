package quality

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/coco/synthetic"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/reports"
)

// TestAssessIsBelieved reads what Assess makes: numbers that are in the document twice are the same to the last bit, and the verdict follows
// from them.
func TestAssessIsBelieved(t *testing.T) {
	var annotations, results bytes.Buffer
	made := synthetic.New(synthetic.Spec{Images: 40, Classes: 6, Objects: 7, Detections: 9, Noise: 0.1, Miss: 0.1, Masks: true, Seed: 3})
	if err := made.Annotations(&annotations); err != nil {
		t.Fatal(err)
	}
	if err := made.Results(&results); err != nil {
		t.Fatal(err)
	}
	data, _, err := coco.Decode(&annotations, coco.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := coco.DecodeDetections(&results, data, coco.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set := &Set{Name: "synthetic", Data: data}
	drop := 0.02
	for name, o := range map[string]Options{"with a budget": {MaxMapDrop: &drop}, "without one": {}} {
		o.Bootstrap.Replicates = 100
		base := &Found{Name: "reference fp32", Detections: list, Execution: executed(t, data, 1)}
		candidate := &Found{Name: "ort fp16", Detections: list[:len(list)-20], Execution: executed(t, data, 2)}
		doc, err := Assess(set, candidate, base, o)
		if err != nil {
			t.Fatal(err)
		}
		if doc.Comparison.InstSeg == nil || doc.Comparison.Semantic == nil || doc.Comparison.Panoptic == nil || (doc.Verdict != "") != (o.MaxMapDrop != nil) {
			t.Fatalf("%s: %+v", name, doc.Comparison)
		}
		var text bytes.Buffer
		if err := reports.EvaluationJSON(&text, doc); err != nil {
			t.Fatal(err)
		}
		if _, err := reports.ReadEvaluation(&text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// executed is what a run would know of each image, drawn by a seed.
func executed(t *testing.T, data *coco.Dataset, seed uint64) *Execution {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	classes := data.Mapping()
	e := &Execution{Backend: "reference", Precision: "fp32", Semantic: new(evaluate.Semantic), Panoptic: evaluate.NewPanoptic(withBackground(classes))}
	for range data.Images {
		predicted, truth := make([]uint8, 60), make([]uint8, 60)
		found, objects := evaluate.PanopticImage{Map: make([]int32, 60)}, evaluate.PanopticImage{Map: make([]int32, 60)}
		for i := range truth {
			truth[i] = uint8(i / 20 * 2)
			if predicted[i] = truth[i]; rnd.IntN(4) == 0 {
				predicted[i] = uint8(rnd.IntN(len(classes.IDs) + 1))
			}
			objects.Map[i] = int32(i/20 + 1)
			found.Map[i] = int32(min(i/20+1+rnd.IntN(4)/3, 3))
		}
		for id := range int32(3) {
			objects.Segments = append(objects.Segments, evaluate.Segment{ID: id + 1, Class: 2 * int(id)})
			found.Segments = append(found.Segments, evaluate.Segment{ID: id + 1, Class: 2 * int(id)})
		}
		if err := e.Semantic.Add(predicted, truth); err != nil {
			t.Fatal(err)
		}
		if err := e.Panoptic.Add(found, objects); err != nil {
			t.Fatal(err)
		}
		e.Scores, e.Tiles, e.Milliseconds = append(e.Scores, rnd.Float64()), append(e.Tiles, 8), append(e.Milliseconds, 1)
	}
	return e
}
