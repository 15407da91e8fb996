package measure_test

import (
	"context"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/measure/measuretest"
)

// TestTimedOutputs has sessions compute something else once they are timed, after a parity run that was right. What was timed
// decides, in a replicate and in a block.
func TestTimedOutputs(t *testing.T) {
	cells := []perf.Cell{cell(1), cell(2), cell(3), cell(4)}
	want := map[int]evidence.State{1: evidence.Pass, 2: evidence.Fail, 3: evidence.Fail, 4: evidence.Pass}
	side := sideOf("later@2 nan@3 rounding@4")
	o := measure.Options{Iterations: 3}
	ctx := context.Background()
	err := measure.RunParity(ctx, side, "reference", cells, o, func(w measure.ParityRun) error {
		if w.Parity.State != evidence.Pass {
			t.Errorf("parity run of %s: %+v", w.Cell, w.Parity)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	right := map[perf.Cell]string{}
	err = measure.Replicate(ctx, sideOf(""), "reference", cells, o, func(m perf.Measurement) error {
		right[m.Cell] = m.Outputs.LastSHA256
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	check := func(m perf.Measurement) error {
		same := m.Outputs != nil && right[m.Cell] == m.Outputs.LastSHA256
		if m.Outputs == nil || m.Outputs.Parity.State != want[m.Cell.Batch] || same != (m.Cell.Batch == 1) || len(m.Outputs.LastSHA256) != 64 {
			t.Errorf("%s: %+v, want %s", m.Cell, m.Outputs, want[m.Cell.Batch])
		}
		return nil
	}
	if err := measure.Replicate(ctx, side, "reference", cells, o, check); err != nil {
		t.Error(err)
	}
	slots := []measure.Slot{{Side: side, Cells: cells}, {Side: side, Cells: cells}}
	if err := measure.Block(ctx, slots, "reference", cells, o, nil, func(_ int, m perf.Measurement) error { return check(m) }); err != nil {
		t.Error(err)
	}
}

// tripled are models of a build that computes something else.
type tripled struct{ measuretest.ModelSource }

func (m tripled) Complete(ctx context.Context, s measure.Shape) (*measure.Complete, error) {
	c, err := m.ModelSource.Complete(ctx, s)
	if err != nil {
		return nil, err
	}
	b := graph.NewBuilder("tripled")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{s.Batch * s.Height}})
	b.Output("y", b.Add1("triple", graph.Binary{Fn: graph.Add}, x, b.Add1("double", graph.Binary{Fn: graph.Add}, x, x)))
	c.Graph, err = b.Build()
	return c, err
}

// TestRunParityBoth compares the sides with each other: each is right by its own graph.
func TestRunParityBoth(t *testing.T) {
	other := sideOf("")
	other.Workloads = measure.NewWorkloads(tripled{}, reference.New())
	for name, c := range map[string]struct {
		base, head measure.Side
		change     string // the state and a part of the detail; "" for none
	}{
		"equal":              {sideOf(""), sideOf(""), "pass"},
		"another graph":      {sideOf(""), other, "fail y"},
		"the head is dead":   {sideOf(""), sideOf("kill@1"), ""},
		"the base is dead":   {sideOf("kill@1"), sideOf(""), ""},
		"the head's session": {sideOf(""), sideOf("later@1"), "pass"}, // which is right in its first run
	} {
		err := measure.RunParityBoth(context.Background(), c.base, c.head, "reference", []perf.Cell{cell(1)}, measure.Options{}, func(base, head measure.ParityRun, change *perf.Parity) error {
			if change == nil || c.change == "" {
				if change != nil || c.change != "" {
					t.Errorf("%s: %+v, want %q", name, change, c.change)
				}
				return nil
			}
			state, detail, _ := strings.Cut(c.change, " ")
			if string(change.State) != state || !strings.Contains(change.Detail, detail) || base.Parity.State != evidence.Pass || head.Parity.State != evidence.Pass {
				t.Errorf("%s: %+v (base %+v, head %+v), want %s", name, change, base.Parity, head.Parity, c.change)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
