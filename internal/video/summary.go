package video

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/mot"
	"github.com/apex-x/apexx/perf/stat"
	"github.com/apex-x/apexx/reports"
)

// history is what a summary remembers of the frames.
type history struct {
	tracks []reports.Track    // by id, which count from 1; MeanScore is the sum so far
	masks  map[string][][]int // by key of Flicker: the selected tiles of each frame
	millis []float64
	rows   []mot.Row
}

// record takes in a frame. It is an error if its tiles or utilities are such as no sound backend gives.
func (p *player) record(f *reports.Frame) error {
	if err := p.recordTiles(f); err != nil {
		return err
	}
	p.millis = append(p.millis, f.BackendExecute)
	for range f.Tracks.Confirmed {
		p.tracks = append(p.tracks, reports.Track{ID: int64(len(p.tracks) + 1), FirstFrame: f.Frame})
	}
	first := len(p.rows)
	for _, d := range f.Image.Detections {
		if d.TrackID == 0 {
			continue
		}
		t := &p.tracks[d.TrackID-1]
		t.ClassID, t.Class, t.LastFrame = d.ClassID, d.Class, f.Frame
		t.Seen++
		t.MeanScore += float64(d.Score)
		p.rows = append(p.rows, mot.Row{Frame: f.Frame, ID: d.TrackID, Box: boxOf(d.Box), Score: float64(d.Score)})
	}
	slices.SortFunc(p.rows[first:], func(a, b mot.Row) int { return cmp.Compare(a.ID, b.ID) })
	return nil
}

func (p *player) recordTiles(f *reports.Frame) error {
	if p.masks == nil {
		p.masks = map[string][][]int{}
	}
	tiles := len(f.Image.Utilities)
	for level := range 3 {
		name := fmt.Sprintf("l%d", level)
		grid := tiles << (2 * level)
		ids, ok := f.Image.Tiles[name]
		if !ok {
			continue
		}
		if i := slices.IndexFunc(ids, func(id int64) bool { return id < 0 || id >= int64(grid) }); i >= 0 {
			return fmt.Errorf("the output tiles_%s has the id %d, outside [0, %d)", name, ids[i], grid)
		}
		p.masks[name] = append(p.masks[name], maskOf(ids, grid))
	}
	if p.selector != nil {
		utilities := make([]float64, tiles)
		for i, u := range f.Image.Utilities {
			utilities[i] = float64(u)
		}
		order, err := routing.RankTiles(utilities)
		if err != nil {
			return fmt.Errorf("the output utilities: %w", err)
		}
		p.masks[reports.FlickerFree] = append(p.masks[reports.FlickerFree], maskOf(order[:p.selector.count], tiles))
	}
	return nil
}

// summary describes the frames so far; err is what ended them, nil at the end of the sequence. Its own error is that the tracks
// cannot be evaluated.
func (p *player) summary(err error) (*reports.Sequence, error) {
	m, d := p.Model, p.Decode
	s := &reports.Sequence{
		SchemaVersion: reports.SequenceSchemaVersion, State: reports.SequenceComplete,
		Frames: p.done, FramesTotal: len(p.Frames.Paths), Width: p.Frames.Width, Height: p.Frames.Height, InputShape: p.shape,
		Model:   reports.Model{Profile: m.Config.Model.Profile, Classes: m.Classes, ConfigSHA256: m.ConfigDigest, WeightsSHA256: m.WeightsDigest},
		Backend: p.Backend.Name(), DType: string(p.Session.Precision),
		Thresholds: reports.Thresholds{Score: d.ScoreThreshold, IoU: d.IoUThreshold, PreNMSTopK: d.PreNMSTopK, MaxDetections: d.MaxDetections},
		Tracking:   p.Track, Tracks: slices.Clone(p.tracks), Flicker: map[string]routing.TemporalStability{},
		Latency: reports.SequenceLatency{BackendPreflight: p.session.Compile.Seconds() * 1e3, Median: stat.Median(p.millis), P95: stat.Quantile(p.millis, 0.95)},
	}
	if err != nil {
		s.State, s.Detail = reports.SequenceIncomplete, err.Error()
	}
	if p.selector != nil {
		s.Hysteresis = &reports.HysteresisThresholds{ThetaOn: p.selector.thresholds.On, ThetaOff: p.selector.thresholds.Off}
	}
	for i := range s.Tracks {
		s.Tracks[i].MeanScore /= float64(s.Tracks[i].Seen)
	}
	for name, masks := range p.masks {
		s.Flicker[name], _ = routing.SummarizeStability(masks) // all masks of a level have the length of its grid
	}
	if p.Truth != nil {
		m, err := mot.Evaluate(p.truthSoFar(), p.rows)
		if err != nil {
			return s, exit.With(exit.Internal, err)
		}
		s.Metrics = &m
	}
	return s, nil
}

// truthSoFar is the ground truth of the frames that were run.
func (p *player) truthSoFar() []mot.Row {
	n, _ := slices.BinarySearchFunc(p.Truth, p.done+1, func(r mot.Row, frame int) int { return cmp.Compare(r.Frame, frame) })
	return p.Truth[:n]
}
