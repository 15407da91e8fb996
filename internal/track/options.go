package track

import (
	"errors"
	"fmt"
	"math"
)

// Association is a way to choose pairs of tracks and detections.
type Association string

// The associations.
const (
	// Hungarian makes as many pairs as the gates allow, and of those choices takes the one of least total cost.
	Hungarian Association = "hungarian"
	// Greedy takes the cheapest pair again and again; of equal ones that of the older track, then of the earlier detection.
	Greedy Association = "greedy"
)

// Associations lists every association.
var Associations = []Association{Hungarian, Greedy}

// Options of a Tracker. Start from DefaultOptions.
type Options struct {
	Association Association `json:"association"`

	// A pair is possible if classes agree, the overlap of the buffered boxes is at least IoUGate and the cosine distance of the
	// embeddings at most DistanceGate. IoUGate is in [-1, 1], of which 0 and below admit every pair; DistanceGate is in [0, 2].
	IoUGate      float64 `json:"iou_gate"`
	DistanceGate float64 `json:"embedding_distance_gate"`
	// Its cost is IoUWeight·(1 - overlap) + EmbeddingWeight·distance + ScoreWeight·(1 - score); weights are in [0, 1], not all 0.
	IoUWeight       float64 `json:"iou_weight"`
	EmbeddingWeight float64 `json:"embedding_weight"`
	ScoreWeight     float64 `json:"score_weight"`
	// Buffer ≥ 0 widens boxes before they are compared, on each side by this share of their side (Yang et al., "Hard to track
	// objects with irregular motions and similar appearances? Make it easier by buffering the matching space", WACV 2023): fast
	// objects still meet their track.
	Buffer float64 `json:"buffer"`

	// Detections from StartScore on may continue any track or start one. Weaker ones, from KeepScore on, may only continue a
	// track that was seen in the frame before (Zhang et al., "ByteTrack", ECCV 2022). 0 ≤ KeepScore ≤ StartScore ≤ 1.
	StartScore float64 `json:"start_score"`
	KeepScore  float64 `json:"keep_score"`

	ConfirmHits int `json:"confirm_hits"`     // ≥ 1: frames in a row after which a track is confirmed; those of the first frame are at once
	MaxAge      int `json:"max_age"`          // ≥ 0: frames for which a lost track may stay unseen
	BankSize    int `json:"memory_bank_size"` // ≥ 1: embeddings that a track remembers
}

// DefaultOptions returns the specification's weights, embedding gate, age and bank, and settings of our own for what it lacks.
func DefaultOptions() Options {
	return Options{
		Association: Hungarian, IoUGate: 0.1, DistanceGate: 0.7, IoUWeight: 0.5, EmbeddingWeight: 0.5, Buffer: 0.3,
		StartScore: 0.35, KeepScore: 0.2, ConfirmHits: 3, MaxAge: 30, BankSize: 8,
	}
}

// Validate checks the ranges. Its error has one line per problem.
func (o Options) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(o.Association == Hungarian || o.Association == Greedy, "association %q is unknown (known: %s, %s)", o.Association, Hungarian, Greedy)
	check(o.IoUGate >= -1 && o.IoUGate <= 1, "IoU gate %g is outside [-1, 1]", o.IoUGate)
	check(o.DistanceGate >= 0 && o.DistanceGate <= 2, "embedding distance gate %g is outside [0, 2]", o.DistanceGate)
	least, most := min(o.IoUWeight, o.EmbeddingWeight, o.ScoreWeight), max(o.IoUWeight, o.EmbeddingWeight, o.ScoreWeight)
	check(least >= 0 && most <= 1 && most > 0, "weights %g, %g and %g: want them in [0, 1] and not all 0", o.IoUWeight, o.EmbeddingWeight, o.ScoreWeight)
	check(o.Buffer >= 0 && !math.IsInf(o.Buffer, 1), "buffer %g is below 0 or infinite", o.Buffer)
	check(o.KeepScore >= 0 && o.KeepScore <= o.StartScore && o.StartScore <= 1,
		"scores %g to keep and %g to start a track: want 0 ≤ keep ≤ start ≤ 1", o.KeepScore, o.StartScore)
	check(o.ConfirmHits >= 1, "%d hits to confirm a track: want at least 1", o.ConfirmHits)
	check(o.MaxAge >= 0, "greatest age %d is below 0", o.MaxAge)
	check(o.BankSize >= 1, "bank size %d is below 1", o.BankSize)
	return errors.Join(errs...)
}
