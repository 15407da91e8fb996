package reports

import (
	_ "embed" // for the schema
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
)

// ManifestSchema is the JSON Schema (draft 2020-12) of a Manifest.
//
//go:embed schema/manifest.schema.json
var ManifestSchema []byte

// Manifest describes an exported model. Its keys are those of spec/runtime.md 11.2 with these repairs: the path is relative
// to the manifest's folder, the digests are always there, and the outputs are listed.
type Manifest struct {
	SchemaVersion int              `json:"schema_version"`
	CreatedAtUTC  string           `json:"created_at_utc"`
	Format        string           `json:"format"`
	ShapeMode     string           `json:"shape_mode"`
	ModelClass    string           `json:"model_class"`
	Profile       string           `json:"profile"`
	Runtime       ManifestRuntime  `json:"runtime"`
	InputShape    []int            `json:"input_shape"`
	Contracts     Contracts        `json:"contracts"`
	Artifacts     Artifacts        `json:"artifacts"`
	Model         ManifestModel    `json:"model"`
	Inputs        []ManifestTensor `json:"inputs"`
	Outputs       []ManifestTensor `json:"outputs"`
	Decode        ManifestDecode   `json:"decode"`
	Opsets        map[string]int   `json:"opsets"`
}

// ManifestRuntime repeats the configuration's runtime section as far as it concerns the file.
type ManifestRuntime struct {
	Backend          string `json:"backend"`
	PrecisionProfile string `json:"precision_profile"`
}

// Contracts are the rows of the tile outputs and the sides of tiles and feature map, by level.
type Contracts struct {
	NestingDepth int            `json:"nesting_depth"`
	Kmax         map[string]int `json:"kmax"`
	TileSize     map[string]int `json:"tile_size"`
	FFMap        map[string]int `json:"ff_map"`
}

// Artifacts names the files with their digests.
type Artifacts struct {
	ONNXPath   string `json:"onnx_path"`
	ONNXSHA256 string `json:"onnx_sha256"`
}

// ManifestModel identifies what the file was made from.
type ManifestModel struct {
	Config  string   `json:"config_sha256"`
	Weights string   `json:"weights_sha256"`
	Classes []string `json:"classes"`
}

// ManifestDecode holds the settings of decoding and suppression that the file was built with.
type ManifestDecode struct {
	ScoreThreshold float32 `json:"score_threshold"`
	PreNMSTopK     int     `json:"pre_nms_topk"`
	IoUThreshold   float32 `json:"iou_threshold"`
	MaxDetections  int     `json:"max_detections"`
}

// ManifestTensor is one input or output of the file.
type ManifestTensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
}

// NewManifest describes a graph exported to onnxPath. The time is SOURCE_DATE_EPOCH (seconds) where that is set.
func NewManifest(cfg config.Config, opts model.Options, g *graph.Graph, onnxPath, sha256 string) (*Manifest, error) {
	now := time.Now()
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("SOURCE_DATE_EPOCH is %q, want seconds since 1970", text)
		}
		now = time.Unix(seconds, 0)
	}
	c, stride := cfg.Model, cfg.Model.FFPrimaryStride
	m := &Manifest{
		SchemaVersion: 1, CreatedAtUTC: now.UTC().Format(time.RFC3339), Format: "onnx", ShapeMode: "static",
		ModelClass: "ApexX", Profile: c.Profile,
		Runtime:    ManifestRuntime{cfg.Runtime.Backend, cfg.Runtime.PrecisionProfile},
		InputShape: []int{opts.Batch, 3, opts.Height, opts.Width},
		Contracts: Contracts{
			NestingDepth: cfg.EffectiveDepth(),
			Kmax:         map[string]int{"l0": c.KmaxL0, "l1": c.KmaxL1, "l2": c.KmaxL2},
			TileSize:     map[string]int{"l0": c.TileSizeL0, "l1": c.TileSizeL1, "l2": c.TileSizeL2},
			FFMap:        map[string]int{"height": opts.Height / stride, "width": opts.Width / stride},
		},
		Artifacts: Artifacts{onnxPath, sha256},
		Decode:    ManifestDecode(opts.Decode),
		Opsets:    map[string]int{"": graph.OpsetVersion, graph.Domain: graph.DomainVersion},
	}
	for _, v := range g.Inputs {
		m.Inputs = append(m.Inputs, ManifestTensor{v.Name, v.DType.String(), v.Shape})
	}
	for _, p := range g.Outputs {
		m.Outputs = append(m.Outputs, ManifestTensor{p.Name, p.Value.DType.String(), p.Value.Shape})
		if level, ok := strings.CutPrefix(p.Name, "tiles_"); ok {
			m.Contracts.Kmax[level] = p.Value.Shape[1] // dense routing holds more than the configuration's
		}
	}
	return m, nil
}
