package track

import (
	"cmp"
	"math"
	"slices"

	"github.com/apex-x/apexx/internal/assign"
)

// pair joins a track and a detection by their indices.
type pair struct{ track, detection int }

// costs returns the cost of every pair [tracks, detections], +Inf where a gate forbids it.
func costs(o Options, tracks []*state, detections []Detection) []float64 {
	units := make([][]float64, len(detections))
	for j, d := range detections {
		units[j] = unit(d.Embedding)
	}
	out := make([]float64, 0, len(tracks)*len(detections))
	for _, t := range tracks {
		box, reference := t.motion.box().buffered(o.Buffer), t.bank.reference()
		for j, d := range detections {
			overlap, dist := iou(box, d.Box.buffered(o.Buffer)), distance(reference, units[j])
			c := math.Inf(1)
			if t.class == d.Class && dist <= o.DistanceGate && overlap >= o.IoUGate {
				c = float64(o.IoUWeight*(1-overlap)) + float64(o.EmbeddingWeight*dist) + float64(o.ScoreWeight*(1-min(max(d.Score, 0), 1)))
			}
			out = append(out, c)
		}
	}
	return out
}

// associate pairs tracks and detections, in ascending order of tracks.
func associate(o Options, tracks []*state, detections []Detection) ([]pair, error) {
	cost, cols := costs(o, tracks, detections), len(detections)
	if o.Association == Greedy {
		return greedy(cost, cols), nil
	}
	return hungarian(cost, len(tracks), cols)
}

// hungarian makes as many possible pairs as there can be, and of those choices the cheapest: a forbidden pair costs more than
// all others of an assignment together.
func hungarian(cost []float64, rows, cols int) ([]pair, error) {
	dearest := 0.0
	for _, c := range cost {
		if !math.IsInf(c, 1) {
			dearest = max(dearest, c)
		}
	}
	forbidden := float64(min(rows, cols)+1) * (dearest + 1)
	finite := slices.Clone(cost)
	for i, c := range finite {
		finite[i] = min(c, forbidden)
	}
	all, err := assign.Solve(finite, rows, cols)
	if err != nil {
		return nil, err
	}
	var pairs []pair
	for _, p := range all {
		if !math.IsInf(cost[p.Row*cols+p.Col], 1) {
			pairs = append(pairs, pair{p.Row, p.Col})
		}
	}
	return pairs, nil
}

func greedy(cost []float64, cols int) []pair {
	order := make([]int, 0, len(cost))
	for i, c := range cost {
		if !math.IsInf(c, 1) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(cost[a], cost[b]) })
	var pairs []pair
	tracks, detections := map[int]bool{}, map[int]bool{}
	for _, i := range order {
		p := pair{i / cols, i % cols}
		if !tracks[p.track] && !detections[p.detection] {
			tracks[p.track], detections[p.detection] = true, true
			pairs = append(pairs, p)
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return a.track - b.track })
	return pairs
}
