package evaluate

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
)

// recorded is what testdata/record.py wrote.
type recorded struct {
	Sets []struct {
		Truth json.RawMessage
		recordedSet
	}
	Scenes recordedSet
}

type recordedSet struct {
	Results    json.RawMessage
	BBox, Segm struct {
		Stats    [12]float64
		PerClass []float64 `json:"per_class"`
	}
}

func readRecorded(t *testing.T) (r recorded) {
	t.Helper()
	f, err := os.Open("testdata/pycocotools.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(&r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read decodes a data set and results, both strictly but for what the random sets have on purpose.
func read(t *testing.T, truth, results []byte) (*coco.Dataset, []coco.Detection) {
	t.Helper()
	d, problems, err := coco.Decode(bytes.NewReader(truth), coco.Options{})
	if err != nil || problems.Count > 0 {
		t.Fatal(err, problems.Lines(5))
	}
	list, problems, err := coco.DecodeDetections(bytes.NewReader(results), d, coco.Options{})
	if err != nil || problems.Count > 0 {
		t.Fatal(err, problems.Lines(5))
	}
	return d, list
}

const equal = 1e-9

func checkNumbers(t *testing.T, name string, m *Matches, stats [12]float64, perClass []float64) {
	t.Helper()
	for i, got := range m.Summary().Numbers() {
		if !(math.Abs(got-stats[i]) <= equal) {
			t.Errorf("%s: number %d is %.12f, pycocotools has %.12f", name, i, got, stats[i])
		}
	}
	for i, c := range m.PerClass() {
		if !(math.Abs(c.AP-perClass[i]) <= equal) {
			t.Errorf("%s: AP of class %d is %.12f, pycocotools has %.12f", name, i, c.AP, perClass[i])
		}
	}
}

func checkSet(t *testing.T, truth []byte, set recordedSet) {
	t.Helper()
	d, list := read(t, truth, set.Results)
	boxes := slices.Clone(list)
	checkNumbers(t, "boxes", MatchBoxes(d, boxes), set.BBox.Stats, set.BBox.PerClass)
	m, err := MatchMasks(d, list)
	if err != nil {
		t.Fatal(err)
	}
	checkNumbers(t, "masks", m, set.Segm.Stats, set.Segm.PerClass)
}

func TestEqualsPycocotools(t *testing.T) {
	r := readRecorded(t)
	if len(r.Sets) != 200 {
		t.Fatalf("%d sets", len(r.Sets))
	}
	for _, set := range r.Sets {
		checkSet(t, set.Truth, set.recordedSet)
	}
	truth, err := os.ReadFile("../../fixtures/scenes/annotations.json")
	if err != nil {
		t.Fatal(err)
	}
	if r.Scenes.Results == nil {
		t.Fatal("the record has no scenes")
	}
	checkSet(t, truth, r.Scenes)
}
