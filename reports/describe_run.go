package reports

import (
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/internal/caps"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
)

// Executed names what a run was asked of and done with.
type Executed struct {
	Selection caps.Selection
	Precision backends.Precision
	Model     *source.Model
	Input     source.Input
	Decode    model.Decode
}

// DescribeRun makes the report of a run that finished. It is an error if outputs are missing or contradict each other, as a faulty
// backend's may. RuntimeCaps are left to those who write the report: probing every backend takes longer than a small run.
func DescribeRun(e Executed, r *evidence.Run) (*Run, error) {
	images, err := Describe(SubjectOf(e.Model, e.Input), r.Outputs)
	if err != nil {
		return nil, err
	}
	m, d, sel := e.Model, e.Decode, e.Selection
	report := &Run{
		SchemaVersion: RunSchemaVersion,
		Input:         Input{Name: e.Input.Name, Shape: e.Input.Image.Shape(), SHA256: TensorSHA256(e.Input.Image)},
		Model:         Model{Profile: m.Config.Model.Profile, Classes: m.Classes, ConfigSHA256: m.ConfigDigest, WeightsSHA256: m.WeightsDigest},
		RequestedName: sel.Requested, SelectedName: sel.Selected, ExecutionName: sel.Selected, FallbackChain: append([]caps.Attempt{}, sel.Tried...),
		FallbackPolicy: string(sel.Policy), PrecisionTarget: m.Config.Runtime.PrecisionProfile,
		RequestedDType: string(e.Precision), EffectiveDType: string(e.Precision),
		Latency: Latency{Total: millis(r.Wall), BackendExecute: millis(r.Timing.Total()), BackendPreflight: millis(r.Compile)},
		Memory:  Memory{Host: r.Memory.Host, Device: r.Memory.Device},
		Images:  images, Budgets: budgets(&m.Config, images),
		Digests:    map[string]string{},
		Thresholds: Thresholds{Score: d.ScoreThreshold, IoU: d.IoUThreshold, PreNMSTopK: d.PreNMSTopK, MaxDetections: d.MaxDetections},
	}
	if reason := string(sel.Reason()); reason != "" {
		report.SelectionReason = &reason
	}
	for _, o := range r.Outputs {
		if !strings.HasPrefix(o.Name, "tap.") {
			report.Digests[o.Name] = TensorSHA256(o.Tensor)
		}
	}
	return report, nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// SubjectOf says what the outputs of a model for an input are about.
func SubjectOf(m *source.Model, in source.Input) Subject {
	c, s := m.Config.Model, in.Image.Shape()
	side := c.FFPrimaryStride
	return Subject{Height: s[2], Width: s[3], Picture: in.Picture, Fit: in.Fit, Classes: m.Classes,
		TileSides: [3]int{c.TileSizeL0 * side, c.TileSizeL1 * side, c.TileSizeL2 * side}}
}

// budgets tells what the selection spent over the batch: b1 pays L0 tiles, b2 and b3 the splits of L0 and L1 tiles into four
// each. Dense routing ignores b1 and may exceed it.
func budgets(cfg *config.Config, images []Image) map[string]Budget {
	var used1, used2, used3 float64
	for _, im := range images {
		used1 += float64(len(im.Tiles["l0"])) * cfg.DeltaCost()
		used2 += float64(len(im.Tiles["l1"])/4) * config.SplitCost
		used3 += float64(len(im.Tiles["l2"])/4) * config.SplitCost
	}
	r, n := cfg.Routing, float64(len(images))
	return map[string]Budget{
		"b1": NewBudget(used1, n*r.BudgetB1), "b2": NewBudget(used2, n*r.BudgetB2),
		"b3": NewBudget(used3, n*r.BudgetB3), "total": NewBudget(used1+used2+used3, n*r.BudgetTotal),
	}
}
