package reference_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
)

// TestRecomputedPoints holds the evidence of testdata/rounding against the points of today: what PyTorch recomputed are all values that
// are rounded, none of them to other bits.
func TestRecomputedPoints(t *testing.T) {
	g := modeltest.Hashed(t, 1, model.Options{Batch: 1, Height: 512, Width: 512}, "model.num_classes=8", "routing.budget_b1=6.4", "routing.budget_b2=4", "routing.budget_total=16")
	for _, f := range graph.Formats {
		low, err := graph.Lower(g, f)
		if err != nil {
			t.Fatal(err)
		}
		values, elements := 0, 0
		for _, n := range low.Nodes {
			if _, ok := n.Op.(graph.Round); ok && n.Inputs[0].Const == nil {
				values, elements = values+1, elements+n.Inputs[0].Len()
			}
		}
		var evidence struct {
			Forced struct {
				Values   int `json:"rounded_values"`
				Elements int `json:"rounded_elements"`
				Bits     int `json:"bits_that_differ_after_rounding"`
				Before   struct {
					Relative float64 `json:"relative_to_largest_magnitude"`
				} `json:"largest_difference_before_rounding"`
			} `json:"forced"`
		}
		path := filepath.Join("testdata", "rounding", string(f)+".json")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &evidence); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if e := evidence.Forced; e.Values != values || e.Elements != elements || e.Bits != 0 || !(e.Before.Relative <= 1e-5) {
			t.Errorf("%s has %+v; the model rounds %d values of %d elements: run testdata/rounding again", path, e, values, elements)
		}
	}
}
