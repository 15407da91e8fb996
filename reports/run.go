package reports

import (
	"crypto/sha256"
	_ "embed" // for the schemas
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/caps"
	"github.com/apex-x/apexx/internal/mask"
	"github.com/apex-x/apexx/parity"
)

// Run is the JSON report of one run of the model on one input. The keys of the runtime report of spec/runtime.md 4.3 keep
// their names; its schema is schema/run.schema.json.
type Run struct {
	SchemaVersion   int    `json:"schema_version"`
	Input           Input  `json:"input"`
	Model           Model  `json:"model"`
	RequestedName   string `json:"requested_backend"`
	SelectedName    string `json:"selected_backend"`
	ExecutionName   string `json:"execution_backend"`
	FallbackPolicy  string `json:"fallback_policy"`
	PrecisionTarget string `json:"precision_profile"`
	// SelectionReason is why the selected backend is not the requested one: the requested one's reason, null where they are the same. FallbackChain
	// lists what was tried in vain before the selected one.
	SelectionReason *string        `json:"selection_fallback_reason"`
	FallbackChain   []caps.Attempt `json:"fallback_chain"`
	// ExecutionReason stays null, for readers of the original's report: what was selected executes the run, or the run fails.
	ExecutionReason *string `json:"execution_fallback_reason"`
	RequestedDType  string  `json:"requested_dtype"`
	EffectiveDType  string  `json:"effective_dtype"`

	RuntimeCaps any               `json:"runtime_caps"` // what caps prints
	Latency     Latency           `json:"latency_ms"`
	Memory      Memory            `json:"memory_bytes"`
	Images      []Image           `json:"images"`
	Budgets     map[string]Budget `json:"budgets"`
	Digests     map[string]string `json:"output_sha256"`
	Thresholds  Thresholds        `json:"thresholds"`
}

// Thresholds are the settings of decoding and suppression. The single precision keeps 0.05 from being written as
// 0.05000000074505806.
type Thresholds struct {
	Score         float32 `json:"score"`
	IoU           float32 `json:"iou"`
	PreNMSTopK    int     `json:"pre_nms_topk"`
	MaxDetections int     `json:"max_detections"`
}

// RunSchema is the JSON Schema (draft 2020-12) of a Run or a list of them, as apexx run --json writes it. It refers to
// CapsSchema by its $id.
//
//go:embed schema/run.schema.json
var RunSchema []byte

// CapsSchema is the JSON Schema (draft 2020-12) of what apexx caps --json prints.
//
//go:embed schema/caps.schema.json
var CapsSchema []byte

// RunSchemaVersion is the version of the schema that this package writes.
const RunSchemaVersion = 1

// Input says what ran.
type Input struct {
	Name   string `json:"name"`
	Shape  []int  `json:"shape"`
	SHA256 string `json:"sha256"` // of the input tensor's bytes
}

// Model identifies the configuration and weights.
type Model struct {
	Profile       string   `json:"profile"`
	Classes       []string `json:"classes"`
	ConfigSHA256  string   `json:"config_sha256"`
	WeightsSHA256 string   `json:"weights_sha256"`
}

// Latency is in milliseconds by the wall clock: Total spans compile and run, BackendExecute is the backend's own clock of
// the run, BackendPreflight is compilation.
type Latency struct {
	Total            float64 `json:"total"`
	BackendExecute   float64 `json:"backend_execute"`
	BackendPreflight float64 `json:"backend_preflight"`
}

// Memory is what the session held.
type Memory struct {
	Host   int64 `json:"host"`
	Device int64 `json:"device"`
}

// Image is the result for one image of the batch; coordinates are pixels of the picture, or of the input tensor when there
// is no picture.
type Image struct {
	Width          int                `json:"width"`
	Height         int                `json:"height"`
	DetScore       parity.Number      `json:"det_score"` // best score, 0 without detections
	SelectedTiles  int                `json:"selected_tiles"`
	Detections     []Detection        `json:"detections"`
	Tiles          map[string][]int64 `json:"tiles"` // l0 in selection order, l1 and l2 in Hilbert order
	Utilities      []parity.Number    `json:"utilities"`
	SplitUtilities []parity.Number    `json:"split_utilities"`
}

// Detection is one detected object. Its numbers are finite unless the backend is faulty or the weights make the model
// overflow.
type Detection struct {
	Box       [4]parity.Number `json:"box"` // x1, y1, x2, y2
	Score     parity.Number    `json:"score"`
	ClassID   int64            `json:"class_id"`
	Class     string           `json:"class"`
	Mask      *mask.RLE        `json:"mask"` // where the mask's probability is at least ½
	MaskScore parity.Number    `json:"mask_score"`
	Embedding string           `json:"embedding_sha256"`   // of the embedding as little-endian float32
	TrackID   int64            `json:"track_id,omitempty"` // of the track that it belongs to in a sequence, 0 for none
	Annotated bool             `json:"-"`                  // by somebody, not found: it is drawn, and its score means nothing
}

// bounds returns the box, and whether it is finite.
func (d Detection) bounds() (box [4]float64, finite bool) {
	finite = true
	for i, v := range d.Box {
		box[i] = float64(v)
		finite = finite && v-v == 0
	}
	return box, finite
}

// Budget is what a level's selection spent of its budget, in the configuration's cost units.
type Budget struct {
	Used   float64 `json:"used"`
	Budget float64 `json:"budget"`
	Ratio  float64 `json:"ratio"`
}

// NewBudget computes the ratio, 0 for a budget of 0.
func NewBudget(used, budget float64) Budget {
	b := Budget{Used: used, Budget: budget}
	if budget != 0 {
		b.Ratio = used / budget
	}
	return b
}

// TensorSHA256 is the digest of a tensor's elements as little-endian bytes (booleans as one byte).
func TensorSHA256(t *tensor.Tensor) string {
	h := sha256.New()
	buf := make([]byte, 0, 1<<16)
	put := func(b ...byte) {
		if buf = append(buf, b...); len(buf) > 1<<16-16 {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	var word [8]byte
	switch t.DType() {
	case tensor.Float32:
		for _, v := range tensor.Data[float32](t) {
			put(binary.LittleEndian.AppendUint32(word[:0], math.Float32bits(v))...)
		}
	case tensor.Float64:
		for _, v := range tensor.Data[float64](t) {
			put(binary.LittleEndian.AppendUint64(word[:0], math.Float64bits(v))...)
		}
	case tensor.Int64:
		for _, v := range tensor.Data[int64](t) {
			put(binary.LittleEndian.AppendUint64(word[:0], uint64(v))...)
		}
	case tensor.Int32:
		for _, v := range tensor.Data[int32](t) {
			put(binary.LittleEndian.AppendUint32(word[:0], uint32(v))...)
		}
	case tensor.Bool:
		for _, v := range tensor.Data[bool](t) {
			put(map[bool]byte{true: 1}[v])
		}
	}
	h.Write(buf)
	return hex.EncodeToString(h.Sum(nil))
}
