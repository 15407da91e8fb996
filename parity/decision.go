package parity

import (
	"encoding/json"
	"fmt"
)

// Verdict judges one discrete difference between two executions.
type Verdict string

// The verdicts. Two items may change their order or their fate only if their scores are no farther apart than twice the
// largest move of any score between the executions, since each of both moved by at most that much.
const (
	Tied      Verdict = "tied"      // the scores are equal within rounding
	Explained Verdict = "explained" // the gap is at most twice the largest move of a score
	Bug       Verdict = "bug"       // nothing that was recorded explains it
)

// DecisionKind names what was decided differently.
type DecisionKind string

// The kinds.
const (
	OrderFlip     DecisionKind = "order"         // the same items in another order
	Membership    DecisionKind = "membership"    // one item chosen instead of another
	BelowScore    DecisionKind = "score"         // a detection on the other side of the score threshold
	CutOff        DecisionKind = "cut"           // a detection on the other side of the max_detections cut
	Suppression   DecisionKind = "suppression"   // a detection suppressed on one side, by IoU or by order
	EdgeRounding  DecisionKind = "edge"          // a box edge that rounds to another cell of a mask or feature grid
	Inconsistency DecisionKind = "inconsistency" // an execution contradicts itself: counts, padding, duplicates, families
	Missing       DecisionKind = "missing"       // a detection without a partner and without a cause
)

// Decision is one discrete difference, with the numbers by which it was judged.
type Decision struct {
	Kind    DecisionKind `json:"kind"`
	Verdict Verdict      `json:"verdict"`
	Output  string       `json:"output"`
	Image   int          `json:"image"`           // index in the batch
	Items   string       `json:"items"`           // the tiles or detections, for people
	Where   string       `json:"where,omitempty"` // the places or the circumstance
	Measure string       `json:"measure,omitempty"`
	Gap     Number       `json:"gap"`   // between the scores, overlaps or coordinates concerned
	Moved   Number       `json:"moved"` // the largest move between both executions of what Measure names
}

// String renders the decision as one sentence, such as
// "tiles_l0[0]: tiles 7 and 3 swap places 4 and 5: utilities differ by 1.2e-08, moved by up to 6e-08 → tied within rounding".
func (d Decision) String() string {
	s := fmt.Sprintf("%s[%d]: %s", d.Output, d.Image, d.Items)
	if d.Where != "" {
		s += " " + d.Where
	}
	if d.Measure != "" {
		s += fmt.Sprintf(": %s differ by %.2g, moved by up to %.2g", d.Measure, float64(d.Gap), float64(d.Moved))
	}
	switch d.Verdict {
	case Tied:
		return s + " → tied within rounding"
	case Explained:
		return s + " → explained"
	default:
		if d.Measure != "" {
			return s + " → bug: the gap is more than twice the move"
		}
		return s + " → bug"
	}
}

// MarshalJSON adds the sentence as "text".
func (d Decision) MarshalJSON() ([]byte, error) {
	type plain Decision
	return json.Marshal(struct {
		plain
		Text string `json:"text"`
	}{plain(d), d.String()})
}

// Setting is what the comparer of decisions must know of the model beside its outputs. Recorded taps help it further: with
// det.cls.P3 to det.quality.P7 on both sides, a missing detection must have been predicted for any explanation to hold.
//
// With a zero grid the splits of tiles cannot be traced to their parents, and differing ones count as bugs. With a zero image
// box edges are not followed, and what a rounded edge changes counts as an error of arithmetic.
type Setting struct {
	GridHeight, GridWidth   int     // tiles of level 0
	ImageHeight, ImageWidth int     // pixels of the input
	FeatureStride           int     // pixels per cell of the features that boxes are pooled from; 0 means 8
	ScoreThreshold          float64 // of the decoder; like the decoder's it is rounded to float32
	IoUThreshold            float64 // of the suppression; rounded likewise
	LevelOneScores          string  // name of the output [B, 4·tiles] that ranks the parents of level 2; "" where not recorded
}

// motion says how far scores moved between both executions at most, and below which difference all is rounding.
type motion struct{ moved, rounding float64 }

// most is the move that explanations may count with.
func (m motion) most() float64 { return max(m.moved, m.rounding) }

// judge classifies a gap between two scores: each of both moved by at most m.most.
func (m motion) judge(gap float64) Verdict {
	switch {
	case gap <= m.rounding:
		return Tied
	case gap <= 2*m.most():
		return Explained
	default: // a NaN gap included
		return Bug
	}
}

// judgeOne classifies the gap between one score and a constant.
func (m motion) judgeOne(gap float64) Verdict {
	if m.judge(gap) == Explained && gap > m.most() {
		return Bug
	}
	return m.judge(gap)
}
