package execute

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
)

// An execution that honestly computes something a little different, here from an image with noise, decides some things otherwise:
// other tiles, another order, detections that appear and go. The comparer finds every such decision in that execution's own numbers,
// and none of them is a bug, whatever the arithmetic says about the size of the difference.
func TestHonestDifferencesAreNoBugs(t *testing.T) {
	ctx := context.Background()
	decode := model.DefaultDecode()
	decode.MaxDetections, decode.PreNMSTopK = 30, 40 // both cut
	kinds := map[parity.DecisionKind]int{}
	for _, set := range [][]string{nil, {"model.nesting_depth=2", "model.kmax_l2=24", "routing.budget_b1=2.4", "routing.budget_b2=2", "routing.budget_b3=3"}} {
		m, err := source.Open(source.ModelRequest{Weights: "hashed:7", Set: append([]string{"model.profile=nano", "model.num_classes=5"}, set...)})
		if err != nil {
			t.Fatal(err)
		}
		run := func(image *tensor.Tensor, p backends.Precision) (tensor.List, parity.Setting) {
			in := source.Input{Name: "honest", Image: image}
			r, err := Once(ctx, reference.New(), m, in, decode, backends.Options{Precision: p, Taps: []string{"all"}})
			if err = errors.Join(err, r.Err); err != nil {
				t.Fatal(err)
			}
			return r.Outputs, ParityCase(&source.Case{Input: in, Model: m, Decode: decode}).Setting
		}
		image := noise(5, 1, 3, 256, 256)
		ref, setting := run(image, backends.FP64)
		if set != nil && ref.Get(setting.LevelOneScores) == nil {
			t.Errorf("no output is named %q, by which the parents of level 2 are ranked", setting.LevelOneScores)
		}
		for trial := range 10 {
			r := rand.New(rand.NewPCG(uint64(trial), 2))
			disturbed := image.Clone()
			for i, v := range tensor.Data[float32](disturbed) {
				tensor.Data[float32](disturbed)[i] = v + float32(r.NormFloat64())*1e-4*float32(trial*trial)
			}
			cand, _ := run(disturbed, backends.FP32)
			loose := parity.Policy{Name: "loose", For: func(string, parity.Class) parity.Tolerance { return parity.Tolerance{Abs: 8} }}
			for _, d := range parity.CompareOutputs(ref, cand, parity.Options{Policy: loose, Setting: setting}).Decisions {
				kinds[d.Kind]++
				if d.Verdict == parity.Bug || d.Verdict == parity.Unproven {
					t.Errorf("%v, trial %d: %s", set, trial, d)
				}
			}
		}
	}
	for _, k := range []parity.DecisionKind{parity.OrderFlip, parity.Membership, parity.CutOff, parity.Suppression, parity.EdgeRounding} {
		if kinds[k] == 0 {
			t.Errorf("no difference of the kind %q occurred: %v", k, kinds)
		}
	}
}
