package perf

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
)

// Scope is the part of a model that a cell times.
type Scope string

// The scopes. Network ends at the head outputs; Complete adds suppression, masks and embeddings; every other scope is one
// operator (detection: two), cut out of the complete model and fed with what reaches it there.
const (
	Network      Scope = "network"
	Complete     Scope = "complete"
	Aggregate    Scope = "aggregate"     // TileAggregate: proxies → statistics of each L0 tile
	TilePack     Scope = "tile-pack"     // TilePack of the L0 tiles of P3
	TileUnpack   Scope = "tile-unpack"   // TileUnpackFusion of the L0 tiles into P3
	FusionGate   Scope = "fusion-gate"   // the gate map α of the heavy path
	SSMScan      Scope = "ssm-scan"      // the forward TileSSMScan over the L0 tokens
	DecodeNMS    Scope = "decode-nms"    // SelectDetections and DecodeBoxes over all levels
	RoiMeanPool  Scope = "roi-mean-pool" // RoiMeanPool of the embedding head
	BoxMask      Scope = "box-mask"      // BoxMask over all detections
	GreedySelect Scope = "greedy-select" // GreedySelect of the L0 tiles
)

// AnyModel is the whole of a model that is not Apex-X, in the one shape that it has.
const AnyModel Scope = "model"

// Scopes lists every scope of Apex-X: the two of the whole model, then the operators in the order of the data.
var Scopes = []Scope{Network, Complete, Aggregate, GreedySelect, TilePack, SSMScan, FusionGate, TileUnpack, DecodeNMS, RoiMeanPool, BoxMask}

// Operator tells whether the scope is a single operator.
func (s Scope) Operator() bool { return s != Network && s != Complete && s != AnyModel }

// ParseScope returns the scope of that name.
func ParseScope(s string) (Scope, error) {
	names := make([]string, len(Scopes))
	for i, known := range Scopes {
		if s == string(known) {
			return known, nil
		}
		names[i] = string(known)
	}
	return "", fmt.Errorf("unknown scope %q (known: %s)", s, strings.Join(names, ", "))
}

// Cell is what is timed: one backend on one workload.
type Cell struct {
	Backend   string             `json:"backend"`
	Profile   string             `json:"profile"` // of the model: nano, small, base or large; of AnyModel its name
	Precision backends.Precision `json:"precision"`
	Height    int                `json:"height"` // of the image, in pixels; 0 of AnyModel, whose inputs need not be images
	Width     int                `json:"width"`
	Batch     int                `json:"batch"` // 1 of AnyModel, of which a run counts as one
	Scope     Scope              `json:"scope"`
}

// ModelCell is the cell of a model that is not Apex-X.
func ModelCell(backend, name string, p backends.Precision) Cell {
	return Cell{Backend: backend, Profile: name, Precision: p, Batch: 1, Scope: AnyModel}
}

// String returns the cell's name, such as reference/nano/fp32/512x512/b1/complete, or ort/resnet50/fp32/model. ParseCell reads it back.
func (c Cell) String() string {
	if c.Scope == AnyModel {
		return fmt.Sprintf("%s/%s/%s/%s", c.Backend, c.Profile, c.Precision, c.Scope)
	}
	return fmt.Sprintf("%s/%s/%s/%dx%d/b%d/%s", c.Backend, c.Profile, c.Precision, c.Height, c.Width, c.Batch, c.Scope)
}

// Workload is the cell's name without the backend: what two backends have in common when they are compared.
func (c Cell) Workload() string {
	_, rest, _ := strings.Cut(c.String(), "/")
	return rest
}

// Shape returns the size of the image as HEIGHTxWIDTH, "own" of AnyModel.
func (c Cell) Shape() string {
	if c.Scope == AnyModel {
		return "own"
	}
	return fmt.Sprintf("%dx%d", c.Height, c.Width)
}

// Unit is what a throughput counts: images, or runs of AnyModel.
func (c Cell) Unit() string {
	if c.Scope == AnyModel {
		return "runs"
	}
	return "images"
}

var modelCellName = regexp.MustCompile(`^([a-z0-9][a-z0-9_-]*)/([a-z0-9_-]{1,60})/([a-z0-9]+)/model$`)

var cellName = regexp.MustCompile(`^([a-z0-9][a-z0-9_-]*)/([a-z0-9_-]+)/([a-z0-9]+)/([1-9][0-9]{0,5})x([1-9][0-9]{0,5})/b([1-9][0-9]{0,5})/([a-z0-9-]+)$`)

// ParseCell reads a cell's name.
func ParseCell(name string) (Cell, error) {
	if m := modelCellName.FindStringSubmatch(name); m != nil {
		precision, err := backends.ParsePrecision(m[3])
		return ModelCell(m[1], m[2], precision), err
	}
	m := cellName.FindStringSubmatch(name)
	if m == nil {
		return Cell{}, fmt.Errorf("%q is not the name of a cell (want BACKEND/PROFILE/PRECISION/HxW/bN/SCOPE)", name)
	}
	precision, err1 := backends.ParsePrecision(m[3])
	scope, err2 := ParseScope(m[7])
	c := Cell{Backend: m[1], Profile: m[2], Precision: precision, Scope: scope}
	c.Height, _ = strconv.Atoi(m[4]) // the pattern leaves only numbers that fit
	c.Width, _ = strconv.Atoi(m[5])
	c.Batch, _ = strconv.Atoi(m[6])
	return c, errors.Join(err1, err2)
}

// OwnKernels is the backend of kernels/.
const OwnKernels = "cuda"

// DeviceBackends compute on a GPU; the others on the host's processors.
var DeviceBackends = []string{OwnKernels, "tensorrt", "ort-cuda", "ort-tensorrt"}

// OnDevice tells whether a backend computes on a GPU.
func OnDevice(backend string) bool { return slices.Contains(DeviceBackends, backend) }

// Backends lists the backends of cells in the order of their first ones.
func Backends(cells []Cell) []string {
	var names []string
	for _, c := range cells {
		if !slices.Contains(names, c.Backend) {
			names = append(names, c.Backend)
		}
	}
	return names
}

// OfBackend returns the cells of one backend, in their order.
func OfBackend(cells []Cell, backend string) []Cell {
	return slices.DeleteFunc(slices.Clone(cells), func(c Cell) bool { return c.Backend != backend })
}
