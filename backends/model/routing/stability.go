package routing

import "fmt"

// TemporalStability summarises a sequence of masks. Source: spec 12.4.
type TemporalStability struct {
	TotalToggles        int     `json:"total_toggles"`        // changes of a tile between neighbouring frames
	FlipRate            float64 `json:"flip_rate"`            // toggles / ((frames-1)*tiles), 0 below two frames
	TemporalConsistency float64 `json:"temporal_consistency"` // 1 - FlipRate
	MeanActiveRatio     float64 `json:"mean_active_ratio"`    // share of values equal to 1
	PeakActiveTiles     int     `json:"peak_active_tiles"`    // most ones in a frame
	FrameCount          int     `json:"frame_count"`
	TileCount           int     `json:"tile_count"`
}

// SummarizeStability computes all metrics of masks [frames][tiles], which must be equally long. The original checks that in
// some metrics only.
func SummarizeStability(masks [][]int) (TemporalStability, error) {
	s := TemporalStability{FrameCount: len(masks), TemporalConsistency: 1}
	if len(masks) == 0 {
		return s, nil
	}
	s.TileCount = len(masks[0])
	active := 0
	for t, mask := range masks {
		if len(mask) != s.TileCount {
			return TemporalStability{}, fmt.Errorf("mask of frame %d has %d tiles, that of frame 0 has %d: must have the same length", t, len(mask), s.TileCount)
		}
		ones := 0
		for i, v := range mask {
			if v == 1 {
				ones++
			}
			if t > 0 && v != masks[t-1][i] {
				s.TotalToggles++
			}
		}
		active += ones
		s.PeakActiveTiles = max(s.PeakActiveTiles, ones)
	}
	if s.TileCount == 0 {
		return s, nil
	}
	if pairs := (s.FrameCount - 1) * s.TileCount; pairs > 0 {
		s.FlipRate = float64(s.TotalToggles) / float64(pairs)
		s.TemporalConsistency = 1 - s.FlipRate
	}
	s.MeanActiveRatio = float64(active) / float64(s.FrameCount*s.TileCount)
	return s, nil
}
