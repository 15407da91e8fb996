//go:build cgo && linux

package cuda_test

import (
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
)

// TestParts takes the complete model into the convolutions that its steps merge. By itself each is the same step again: no launch computes
// convolutions of two parts, though nothing of either needs the other, and those of one part stay together.
func TestParts(t *testing.T) {
	g := modeltest.Hashed(t, 5, model.Options{Batch: 1, Height: 128, Width: 128}, "model.input_height=128", "model.input_width=128")
	byName := map[string]*graph.Node{}
	for _, n := range g.Nodes {
		byName[n.Name] = n
	}
	b := cuda.New(driver(t).As(hopper))
	var parts []graph.Part
	var merged int
	for _, s := range backendtest.Open(t, b, g, backends.Options{}).Plan().Steps {
		var part graph.Part
		for _, name := range s.Nodes {
			if n := byName[name]; n.Op.OpType() == "Conv" {
				part.Nodes, part.Outputs = append(part.Nodes, n), append(part.Outputs, n.Outputs[0])
			}
		}
		if len(part.Nodes) == len(s.Nodes) {
			parts = append(parts, part)
			if len(part.Nodes) > 1 {
				merged++
			}
		}
	}
	if len(parts) < 5 || merged == 0 {
		t.Fatalf("%d steps are convolutions alone, %d of them several", len(parts), merged)
	}
	apart, err := g.Apart(parts)
	if err != nil {
		t.Fatal(err)
	}
	plan := backendtest.Open(t, b, apart, backends.Options{}).Plan()
	for _, part := range parts {
		var want []string
		for _, n := range part.Nodes {
			want = append(want, n.Name)
		}
		if !slices.ContainsFunc(plan.Steps, func(s backends.Step) bool { return slices.Equal(s.Nodes, want) }) {
			t.Errorf("no step is %v", want)
		}
	}
}
