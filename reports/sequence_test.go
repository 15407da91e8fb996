package reports

import (
	"testing"

	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/internal/mot"
	"github.com/apex-x/apexx/internal/track"
	"github.com/apex-x/apexx/parity"
)

// sampleFrame has a detection on a track, one on none and a lost track.
func sampleFrame() *Frame {
	p := plain(160, 96)
	im := Image{Width: 160, Height: 96, DetScore: 0.91, SelectedTiles: 1, Tiles: map[string][]int64{"l0": {1}, "l1": {4, 5}},
		Utilities: []parity.Number{0, 1}, SplitUtilities: []parity.Number{0, 1},
		Detections: []Detection{found(0, 0.91, [4]float64{70, 40, 150, 90}, p), found(1, 0.3, [4]float64{10, 30, 60, 80}, p), found(2, 0.3, [4]float64{0, 0, 20, 20}, p)}}
	for i := range im.Detections {
		im.Detections[i].Embedding = TensorSHA256(sampleInput())
	}
	im.Detections[0].TrackID, im.Detections[1].TrackID = 3, 12
	return &Frame{SchemaVersion: SequenceSchemaVersion, Frame: 7, Name: "frame7", BackendExecute: 12.5, Image: im, Tracks: FrameTracks{
		Confirmed: []int64{12}, Ended: []int64{}, Tentative: 1,
		Lost: []LostTrack{{ID: 2, ClassID: 1, Class: "ring", Box: [4]parity.Number{100, 20, 130, 60}, Age: 4}, {ID: 1, Class: "disk", Box: [4]parity.Number{-50, 0, -10, 30}, Age: 9}},
	}}
}

func sampleSequence() *Sequence {
	stability := routing.TemporalStability{TotalToggles: 2, FlipRate: 0.5, TemporalConsistency: 0.5, MeanActiveRatio: 0.5, PeakActiveTiles: 1, FrameCount: 3, TileCount: 2}
	return &Sequence{SchemaVersion: SequenceSchemaVersion, State: SequenceIncomplete, Detail: "frame 4: the image is truncated", Frames: 3, FramesTotal: 5,
		Width: 160, Height: 96, InputShape: []int{1, 3, 128, 256}, Backend: "ort", DType: "fp32", Tracking: track.DefaultOptions(),
		Model:      Model{Profile: "nano", Classes: []string{"disk", "ring"}, ConfigSHA256: TensorSHA256(sampleInput()), WeightsSHA256: TensorSHA256(sampleInput())},
		Thresholds: Thresholds{0.05, 0.6, 1000, 100}, Hysteresis: &HysteresisThresholds{0.6, 0.45},
		Tracks:  []Track{{ID: 1, ClassID: 0, Class: "disk", FirstFrame: 1, LastFrame: 3, Seen: 2, MeanScore: 0.75}},
		Flicker: map[string]routing.TemporalStability{"l0": stability, "l1": stability, FlickerFree: stability}, Latency: SequenceLatency{100, 12, 15}}
}

func TestSequenceSchemas(t *testing.T) {
	if err := validate(t, FrameSchema, sampleFrame()); err != nil {
		t.Error(err)
	}
	s := sampleSequence()
	if err := validate(t, SequenceSchema, s); err != nil {
		t.Error(err)
	}
	refuses(t, FrameSchema, sampleFrame(), map[string]any{"frame": 0, "name": nil, "image": nil, "tracks": map[string]any{}, "extra": 1})
	refuses(t, SequenceSchema, s, map[string]any{"state": "done", "frames": 0, "hysteresis": 1, "flicker": map[string]any{}, "tracking": nil, "extra": 1})
	s.Metrics = &mot.Metrics{HOTA: 0.5, MOTA: -1.5, TP: 3}
	if err := validate(t, SequenceSchema, s); err != nil {
		t.Error(err)
	}
	refuses(t, SequenceSchema, s, map[string]any{"metrics/hota": 1.5, "metrics/tp": -1, "metrics/mota": nil})
	s.Hysteresis, s.State, s.Detail = nil, SequenceComplete, ""
	if err := validate(t, SequenceSchema, s); err != nil {
		t.Error(err)
	}
}

// TestOverlayOfTracks compares every pixel of a frame: a weak detection is drawn if it is on a track, and of the lost tracks the one
// that should be in the picture.
func TestOverlayOfTracks(t *testing.T) {
	f := sampleFrame()
	goldenPicture(t, "overlay-tracks.png", Overlay(Scene{Picture: plain(160, 96), Detections: f.Image.Detections, Lost: f.Tracks.Lost}))
}
