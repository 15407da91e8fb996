package execute

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
)

// flipVariable makes the test binary a worker of the backend flipping, as JSON of a flip.
const flipVariable = "APEXX_TEST_FLIP"

// flip tells a worker how to flip.
type flip struct {
	Last, Next int
	Move       float32
	Worst      bool // chooses against its own utilities
	Wrong      bool // computes other logits after any selection
}

func init() {
	misbehave = append(misbehave, func() (bool, error) {
		text := os.Getenv(flipVariable)
		if text == "" {
			return false, nil
		}
		var f flip
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			return true, err
		}
		b := &flipping{Backend: reference.New(), nudge: tie{f.Last, f.Next, f.Move}.nudge, choose: best}
		if f.Worst {
			b.choose = worst
		}
		if f.Wrong {
			b.spoil = wrongLogit
		}
		return true, worker.ServeStdio(context.Background(), b)
	})
}

// caseModels are the models of one case.
type caseModels struct{ of *source.Case }

func (m caseModels) Complete(context.Context, measure.Shape) (*measure.Complete, error) {
	g, err := m.of.Model.Graph(m.of.Options(m.of.Decode))
	if err != nil {
		return nil, err
	}
	image := m.of.Tensors()
	other := image.Clone()
	tensor.Data[float32](other[0].Tensor)[0] += 0x1p-20 // the utilities stay as near to each other
	return &measure.Complete{Graph: g, Feeds: measure.Feeds{image, other}, Setting: ParityCase(m.of).Setting}, nil
}

// TestTimedFlipsAreVerified: a timed cell whose selection flips for what rounding may do is verified under the oracle's decisions, before it is
// timed and, having given the same bits, while it was. One that flips against its own utilities fails, and so does arithmetic that is wrong
// after a flip. A head that flips is held to the base's decisions, too.
func TestTimedFlipsAreVerified(t *testing.T) {
	of, near := closeUtilities(t)
	c := perf.Cell{Backend: "flipping", Profile: "nano", Precision: backends.FP32, Height: 384, Width: 512, Batch: 1, Scope: perf.Complete}
	models := caseModels{of}
	side := func(f flip) measure.Side {
		return measure.Side{Arm: perf.Head, Workloads: measure.NewWorkloads(models, reference.New()), Spec: func(name string) worker.Spec {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			return worker.Spec{Name: name, Command: []string{self}, Env: []string{flipVariable + "=" + string(text)}, Deadline: 10 * time.Minute}
		}}
	}
	flips := flip{Last: near.last, Next: near.next, Move: near.move}
	wrong, against := flips, flip{Worst: true}
	wrong.Wrong = true
	const verified = "verified by replay: under the reference's decisions "
	for _, f := range []struct {
		name           string
		flip           flip
		state          evidence.State
		detail         string
		change         evidence.State // against a base that does not flip
		changeIsProven string
	}{
		{"none", flip{}, evidence.Pass, "", evidence.Pass, ""},
		{"near tie", flips, evidence.Explained, verified, evidence.Explained, verified},
		{"worse tile", against, evidence.Fail, "tiles_l0[0]: ", evidence.Fail, "tiles_l0[0]: "},
		{"near tie, then wrong logits", wrong, evidence.Fail, "under the reference's decisions: semantic_logits: 1 of ", evidence.Fail, "under the reference's decisions: semantic_logits: 1 of "},
	} {
		head := side(f.flip)
		err := measure.RunParityBoth(t.Context(), side(flip{}), head, "flipping", []perf.Cell{c}, measure.Options{}, func(_, head measure.ParityRun, change *perf.Parity) error {
			if head.Parity.State != f.state || !strings.Contains(head.Parity.Detail, f.detail) {
				t.Errorf("%s: %+v, want %s with %q", f.name, head.Parity, f.state, f.detail)
			}
			if change == nil || change.State != f.change || !strings.Contains(change.Detail, f.changeIsProven) {
				t.Errorf("%s against the base: %+v, want %s with %q", f.name, change, f.change, f.changeIsProven)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = measure.Replicate(t.Context(), head, "flipping", []perf.Cell{c}, measure.Options{Iterations: 1, Long: map[perf.Cell]bool{c: true}}, func(m perf.Measurement) error {
			if m.Outputs == nil || m.Outputs.Parity.State != f.state {
				t.Errorf("%s, timed: %s %s, %+v", f.name, m.State, m.Detail, m.Outputs)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
