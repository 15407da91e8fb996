package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/reports"
)

// ErrInput marks an input that the model does not accept.
var ErrInput = errors.New("bad input")

// Result is a finished run. Outputs are views into the session: Close after use.
type Result struct {
	Outputs tensor.List
	Report  *reports.Run

	session backends.Session
	subject reports.Subject
	input   source.Input
}

// Close ends the session.
func (r *Result) Close() error { return r.session.Close() }

// Scene joins the picture of one sample with what was found in it.
func (r *Result) Scene(sample int) reports.Scene {
	return r.subject.SceneOf(r.Report.Images[sample], r.input.Image, sample)
}

// Once compiles the model for an input, runs it and describes the result. Errors about the input wrap ErrInput. The report's
// RuntimeCaps are left to those who write it, since probing every backend takes longer than a small run.
func Once(ctx context.Context, b backends.Backend, m *source.Model, in source.Input, d model.Decode, opts backends.Options) (*Result, error) {
	start := time.Now()
	g, err := m.Graph(in.Options(d))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	session, err := b.Compile(ctx, g, opts)
	if err != nil {
		return nil, err
	}
	compiled := time.Now()
	outputs, err := session.Run(ctx, in.Tensors())
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	total := time.Since(start)
	subject := SubjectOf(m, in)
	images, err := reports.Describe(subject, outputs)
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	memory := session.Memory()
	report := &reports.Run{
		SchemaVersion: reports.RunSchemaVersion,
		Input:         reports.Input{Name: in.Name, Shape: in.Image.Shape(), SHA256: reports.TensorSHA256(in.Image)},
		Model:         reports.Model{Profile: m.Config.Model.Profile, Classes: m.Classes, ConfigSHA256: m.ConfigDigest, WeightsSHA256: m.WeightsDigest},
		RequestedName: b.Name(), SelectedName: b.Name(), ExecutionName: b.Name(),
		FallbackPolicy: "strict", PrecisionTarget: m.Config.Runtime.PrecisionProfile,
		RequestedDType: string(opts.Precision), EffectiveDType: string(opts.Precision),
		Latency: reports.Latency{Total: ms(total), BackendExecute: ms(session.LastTiming().Total()), BackendPreflight: ms(compiled.Sub(start))},
		Memory:  reports.Memory{Host: memory.Host, Device: memory.Device},
		Images:  images, Budgets: budgets(&m.Config, images),
		Digests:    map[string]string{},
		Thresholds: reports.Thresholds{Score: d.ScoreThreshold, IoU: d.IoUThreshold, PreNMSTopK: d.PreNMSTopK, MaxDetections: d.MaxDetections},
	}
	for _, o := range outputs[:len(g.Outputs)] {
		report.Digests[o.Name] = reports.TensorSHA256(o.Tensor)
	}
	return &Result{Outputs: outputs, Report: report, session: session, subject: subject, input: in}, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// SubjectOf says what the outputs of a model for an input are about.
func SubjectOf(m *source.Model, in source.Input) reports.Subject {
	c, s := m.Config.Model, in.Image.Shape()
	side := c.FFPrimaryStride
	return reports.Subject{Height: s[2], Width: s[3], Picture: in.Picture, Fit: in.Fit, Classes: m.Classes,
		TileSides: [3]int{c.TileSizeL0 * side, c.TileSizeL1 * side, c.TileSizeL2 * side}}
}

// splitCost is the cost of one split against its budget (spec/routing.md 24).
const splitCost = 1.0

// budgets tells what the selection spent over the batch: b1 pays L0 tiles, b2 and b3 the splits of L0 and L1 tiles into four
// each. Dense routing ignores b1 and may exceed it.
func budgets(cfg *config.Config, images []reports.Image) map[string]reports.Budget {
	var used1, used2, used3 float64
	for _, im := range images {
		used1 += float64(len(im.Tiles["l0"])) * cfg.DeltaCost()
		used2 += float64(len(im.Tiles["l1"])/4) * splitCost
		used3 += float64(len(im.Tiles["l2"])/4) * splitCost
	}
	r, n := cfg.Routing, float64(len(images))
	return map[string]reports.Budget{
		"b1": reports.NewBudget(used1, n*r.BudgetB1), "b2": reports.NewBudget(used2, n*r.BudgetB2),
		"b3": reports.NewBudget(used3, n*r.BudgetB3), "total": reports.NewBudget(used1+used2+used3, n*r.BudgetTotal),
	}
}
