package reports

import (
	_ "embed" // for the schemas

	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/internal/mot"
	"github.com/apex-x/apexx/internal/track"
	"github.com/apex-x/apexx/parity"
)

// Frame is the JSON report of one frame of a sequence, a line of what apexx run --video --json writes.
type Frame struct {
	SchemaVersion  int         `json:"schema_version"`
	Frame          int         `json:"frame"` // from 1
	Name           string      `json:"name"`
	BackendExecute float64     `json:"backend_execute_ms"` // by the backend's own clock
	Image          Image       `json:"image"`
	Tracks         FrameTracks `json:"tracks"`
}

// FrameTracks is what became of the tracks in a frame, beside those that its detections name.
type FrameTracks struct {
	Confirmed []int64     `json:"confirmed"` // ids that were given in this frame, ascending
	Lost      []LostTrack `json:"lost"`      // not seen in this frame, oldest first
	Ended     []int64     `json:"ended"`     // unseen for too long, ascending
	Tentative int         `json:"tentative"` // waiting for their confirmation
}

// LostTrack is a track that was not seen, and where it should be.
type LostTrack struct {
	ID      int64            `json:"id"`
	ClassID int64            `json:"class_id"`
	Class   string           `json:"class"`
	Box     [4]parity.Number `json:"box"` // x1, y1, x2, y2; it may leave the picture
	Age     int              `json:"age"` // frames since it was seen
}

func (l LostTrack) bounds() (box [4]float64) {
	for i, v := range l.Box {
		box[i] = float64(v)
	}
	return box
}

// Sequence is the JSON report of a whole sequence, as apexx run --video --summary writes it.
type Sequence struct {
	SchemaVersion int    `json:"schema_version"`
	State         string `json:"state"`            // SequenceComplete or SequenceIncomplete
	Detail        string `json:"detail,omitempty"` // what ended an incomplete one
	Frames        int    `json:"frames"`           // that were run
	FramesTotal   int    `json:"frames_total"`
	Width         int    `json:"width"` // of every picture
	Height        int    `json:"height"`
	InputShape    []int  `json:"input_shape"`

	Model      Model                 `json:"model"`
	Backend    string                `json:"backend"`
	DType      string                `json:"dtype"`
	Thresholds Thresholds            `json:"thresholds"`
	Tracking   track.Options         `json:"tracking"`
	Hysteresis *HysteresisThresholds `json:"hysteresis"` // null where every frame chose its tiles by itself

	Tracks  []Track                              `json:"tracks"`  // those that were confirmed, by id
	Flicker map[string]routing.TemporalStability `json:"flicker"` // of the selected tiles, by level
	Latency SequenceLatency                      `json:"latency_ms"`
	Metrics *mot.Metrics                         `json:"metrics"` // of the tracks against the ground truth, null without one
}

// The states of a Sequence.
const (
	SequenceComplete   = "complete"
	SequenceIncomplete = "incomplete" // the report tells of the frames until then
)

// FlickerFree is the key of Flicker for the level-0 tiles that each frame would have chosen by itself. It is there under hysteresis.
const FlickerFree = "l0_without_hysteresis"

// HysteresisThresholds are routing.theta_on and routing.theta_off.
type HysteresisThresholds struct {
	ThetaOn  float64 `json:"theta_on"`
	ThetaOff float64 `json:"theta_off"`
}

// Track sums up one track.
type Track struct {
	ID         int64   `json:"id"`
	ClassID    int64   `json:"class_id"`
	Class      string  `json:"class"`
	FirstFrame int     `json:"first_frame"` // from its confirmation on
	LastFrame  int     `json:"last_frame"`  // in which it was seen
	Seen       int     `json:"seen"`        // frames
	MeanScore  float64 `json:"mean_score"`
}

// SequenceLatency is in milliseconds: compilation by the wall clock, frames by the backend's own.
type SequenceLatency struct {
	BackendPreflight float64 `json:"backend_preflight"`
	Median           float64 `json:"median"`
	P95              float64 `json:"p95"`
}

// SequenceSchemaVersion is the version of the schemas of Frame and Sequence.
const SequenceSchemaVersion = 1

// FrameSchema is the JSON Schema (draft 2020-12) of a Frame. It refers to RunSchema by its $id.
//
//go:embed schema/frame.schema.json
var FrameSchema []byte

// SequenceSchema is the JSON Schema (draft 2020-12) of a Sequence. It refers to RunSchema by its $id.
//
//go:embed schema/sequence.schema.json
var SequenceSchema []byte
