package mot

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/apex-x/apexx/internal/track"
)

// TestEvaluateEqualsTrackEval compares with what TrackEval says of the sequences of testdata/oracle.py, all numbers within 1e-9.
func TestEvaluateEqualsTrackEval(t *testing.T) {
	text, err := os.ReadFile("testdata/oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var oracle struct {
		Cases []struct {
			Name, Truth, Result string
			Metrics             map[string]float64
		}
	}
	if err := json.Unmarshal(text, &oracle); err != nil {
		t.Fatal(err)
	}
	if len(oracle.Cases) < 30 {
		t.Fatalf("%d cases", len(oracle.Cases))
	}
	for _, c := range oracle.Cases {
		truth, err := Parse([]byte(c.Truth))
		result, err2 := Parse([]byte(c.Result))
		if err != nil || err2 != nil {
			t.Fatal(c.Name, err, err2)
		}
		m, err := Evaluate(truth, result)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		got := numbers(t, m)
		if len(got) != len(c.Metrics) {
			t.Errorf("%s: %d metrics, want %d", c.Name, len(got), len(c.Metrics))
		}
		for name, want := range c.Metrics {
			if v, ok := got[name]; !ok || !(math.Abs(v-want) <= 1e-9) {
				t.Errorf("%s: %s is %.12g, want %.12g", c.Name, name, v, want)
			}
		}
	}
}

// numbers returns metrics by their keys.
func numbers(t *testing.T, m Metrics) map[string]float64 {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]float64
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEvaluateDoesNotSeeNames gives objects and tracks other ids: no number may change.
func TestEvaluateDoesNotSeeNames(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var truth, result, renamedTruth, renamedResult []Row
	for frame := 1; frame <= 20; frame++ {
		for id := int64(1); id <= 5; id++ {
			x := 30*float64(id) + float64(frame)
			row := Row{frame, id, track.Box{x, 0, x + 20, 20}, 1}
			truth = append(truth, row)
			row.ID = 10 * id
			renamedTruth = append(renamedTruth, row)
			if r.Float64() < 0.8 {
				d := r.Float64() * 8
				row.ID, row.Box = id+int64(frame/10), track.Box{x + d, 0, x + d + 20, 20}
				result = append(result, row)
				row.ID = 1000 + 7*row.ID
				renamedResult = append(renamedResult, row)
			}
		}
	}
	a, err := Evaluate(truth, result)
	b, err2 := Evaluate(renamedTruth, renamedResult)
	if err != nil || err2 != nil || a != b || a.IDSwitches == 0 || a.HOTA <= 0 || a.HOTA >= 1 {
		t.Errorf("%+v, %v\n%+v, %v", a, err, b, err2)
	}
}
