package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/perf/measure"
)

// HashedDefault are the weights of a profile for which there are no trained ones.
const HashedDefault = "hashed:1"

// OwnModels makes the complete models of this build: the configuration and weights of a request, for any profile and shape, with
// pictures as input. It implements measure.ModelSource.
type OwnModels struct {
	Request source.ModelRequest // its Embedded weights serve their own profile, nano
	Decode  model.Decode

	// Precisions are those in which the models are going to run: some need a calibrated model.
	Precisions []backends.Precision

	Pictures [][]byte // encoded; sample i of a batch is picture i, and the first comes again after the last

	opened   map[string]*source.Model
	pictures []*picture.Picture
}

// Open returns the model of a profile.
func (s *OwnModels) Open(profile string) (*source.Model, error) {
	if m := s.opened[profile]; m != nil {
		return m, nil
	}
	m, err := source.Open(s.requestOf(profile))
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", profile, err)
	}
	if s.opened == nil {
		s.opened = map[string]*source.Model{}
	}
	s.opened[profile] = m
	return m, nil
}

// requestOf adds a profile to the request, and weights where it names none.
func (s *OwnModels) requestOf(profile string) source.ModelRequest {
	r := s.Request
	r.Set = append(slices.Clone(r.Set), "model.profile="+profile)
	if r.Weights == "" && profile != "nano" {
		r.Weights = HashedDefault
	}
	return r
}

// Complete implements measure.ModelSource.
func (s *OwnModels) Complete(_ context.Context, shape measure.Shape) (*measure.Complete, error) {
	m, err := s.Open(shape.Profile)
	if err != nil {
		return nil, err
	}
	g, err := m.GraphIn(model.Options{Batch: shape.Batch, Height: shape.Height, Width: shape.Width, Decode: s.Decode}, s.Precisions...)
	if err != nil {
		return nil, err
	}
	return s.describe(m, shape, &measure.Complete{Graph: g, Digests: measure.Digests{Config: m.ConfigDigest, Weights: m.WeightsDigest}})
}

// describe adds inputs, comparison settings and costs to a graph.
func (s *OwnModels) describe(m *source.Model, shape measure.Shape, c *measure.Complete) (*measure.Complete, error) {
	image, err := s.image(shape)
	if err != nil {
		return nil, err
	}
	c.Feeds = measure.Feeds{{{Name: "image", Tensor: image}}, {{Name: "image", Tensor: mirrored(image)}}}
	cfg := m.Config
	c.Setting = settingOf(m, s.Decode, shape.Height, shape.Width)
	c.Costs = measure.Costs{L0: cfg.DeltaCost(), Split: config.SplitCost, B1: cfg.Routing.BudgetB1, B2: cfg.Routing.BudgetB2,
		B3: cfg.Routing.BudgetB3, Dense: cfg.Model.ForceDenseRouting}
	return c, nil
}

// mirrored returns images with left and right exchanged.
func mirrored(image *tensor.Tensor) *tensor.Tensor {
	out := image.Clone()
	for row := range slices.Chunk(tensor.Data[float32](out), out.Shape()[3]) {
		slices.Reverse(row)
	}
	return out
}

// image letterboxes pictures into a batch [B,3,H,W].
func (s *OwnModels) image(shape measure.Shape) (*tensor.Tensor, error) {
	for i := len(s.pictures); i < min(shape.Batch, len(s.Pictures)); i++ {
		p, err := picture.Decode(s.Pictures[i])
		if err != nil {
			return nil, err
		}
		s.pictures = append(s.pictures, p)
	}
	image := tensor.New(tensor.Float32, shape.Batch, 3, shape.Height, shape.Width)
	data, n := tensor.Data[float32](image), 3*shape.Height*shape.Width
	for i := range shape.Batch {
		p := s.pictures[i%len(s.pictures)]
		fit, err := picture.NewFit(p.Width, p.Height, shape.Width, shape.Height)
		if err != nil {
			return nil, err
		}
		if err := fit.Tensor(p, data[i*n:(i+1)*n]); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// Exported makes the models that another build of apexx defines: it has that build export each shape, so that a change of the
// graph is measured like a change of a kernel. It implements measure.ModelSource.
type Exported struct {
	Own    *OwnModels // for inputs and settings
	Binary string
	Env    []string // added to this process's environment
}

// Complete implements measure.ModelSource.
func (e *Exported) Complete(ctx context.Context, shape measure.Shape) (*measure.Complete, error) {
	m, err := e.Own.Open(shape.Profile)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "apexx-export-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, e.Binary, e.arguments(dir, shape)...)
	cmd.Env = append(os.Environ(), e.Env...)
	if said, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s export: %w: %s", e.Binary, err, firstLine(said))
	}
	encoded, err := input.Read(filepath.Join(dir, "model.onnx"), input.Model)
	if err != nil {
		return nil, fmt.Errorf("%s export: %w", e.Binary, err)
	}
	g, err := onnx.Read(encoded)
	if err != nil {
		return nil, fmt.Errorf("the model that %s exports cannot be read by this build: %w", e.Binary, err)
	}
	if err := e.Own.giveRanges(m, g); err != nil {
		return nil, err
	}
	digests, err := exportedDigests(dir)
	if err != nil {
		return nil, fmt.Errorf("%s export: %w", e.Binary, err)
	}
	return e.Own.describe(m, shape, &measure.Complete{Graph: g, Digests: digests})
}

// giveRanges gives a graph that another build exported the ranges of this build's model, if a cell needs ranges: a model that is exported in fp32
// has none, and both builds round alike with the same. Where the graph has a value of which there is no range, sessions that need it name the value,
// and all others run.
func (s *OwnModels) giveRanges(m *source.Model, g *graph.Graph) error {
	if !slices.ContainsFunc(s.Precisions, backends.Precision.Scaled) {
		return nil
	}
	f, err := m.Calibration()
	if err != nil {
		return err
	}
	g.Calibration = f.Calibration()
	return nil
}

// exportedDigests reads which model a build exported.
func exportedDigests(dir string) (measure.Digests, error) {
	var manifest struct {
		Model measure.Digests `json:"model"`
	}
	text, err := input.Read(filepath.Join(dir, "export_manifest.json"), input.Configuration)
	if err != nil {
		return measure.Digests{}, err
	}
	err = json.Unmarshal(text, &manifest)
	return manifest.Model, err
}

func (e *Exported) arguments(dir string, shape measure.Shape) []string {
	r, d := e.Own.requestOf(shape.Profile), e.Own.Decode
	args := []string{"export", "--out", dir, "--shape", fmt.Sprintf("%dx3x%dx%d", shape.Batch, shape.Height, shape.Width),
		"--score-threshold", fmt.Sprint(d.ScoreThreshold), "--iou-threshold", fmt.Sprint(d.IoUThreshold),
		"--pre-nms-topk", fmt.Sprint(d.PreNMSTopK), "--max-detections", fmt.Sprint(d.MaxDetections)}
	if r.Weights != "" {
		args = append(args, "--weights", r.Weights)
	}
	if r.Config != "" {
		args = append(args, "--config", r.Config)
	}
	for _, s := range r.Set {
		args = append(args, "--set", s)
	}
	return args
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}
