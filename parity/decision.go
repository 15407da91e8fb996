package parity

import (
	"encoding/json"
	"fmt"
	"math"
)

// Verdict judges one discrete difference between two executions.
type Verdict string

// The verdicts. That an execution obeys its own numbers is checked apart, and is exact; what it decided otherwise is then explained
// where the gap between the items concerned is no larger than what these items moved together.
const (
	Tied      Verdict = "tied"      // the scores are equal within rounding
	Explained Verdict = "explained" // the gap is at most what the items concerned moved
	Unproven  Verdict = "unproven"  // nothing contradicts it, and what would prove it was not recorded, or the items moved farther than rounding moves them
	Bug       Verdict = "bug"       // nothing that was recorded explains it
)

// DecisionKind names what was decided differently.
type DecisionKind string

// The kinds.
const (
	OrderFlip     DecisionKind = "order"         // the same items in another order
	Membership    DecisionKind = "membership"    // one item chosen instead of another
	BelowScore    DecisionKind = "score"         // a detection on the other side of the score threshold
	CutOff        DecisionKind = "cut"           // a detection on the other side of a cut by rank
	Suppression   DecisionKind = "suppression"   // a detection suppressed on one side, by IoU or by order
	EdgeRounding  DecisionKind = "edge"          // a box edge that rounds to another cell of a mask or feature grid
	Inconsistency DecisionKind = "inconsistency" // an execution contradicts itself: counts, padding, order, its own scores, ranges
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
	Gap     Number       `json:"gap"`               // between the scores, overlaps or coordinates concerned
	Moved   Number       `json:"moved"`             // what the items concerned moved together between both executions, in what Measure names
	Allowed *Number      `json:"allowed,omitempty"` // what rounding may leave of the gap (package budget); null where nobody derived it
}

// String renders the decision as one sentence, such as
// "tiles_l0[0]: tiles 7 and 3 swap places 4 and 5: utilities differ by 1.2e-08, moved together by 6e-08 → tied within rounding".
func (d Decision) String() string {
	s := fmt.Sprintf("%s[%d]: %s", d.Output, d.Image, d.Items)
	if d.Where != "" {
		s += " " + d.Where
	}
	if d.Measure != "" {
		s += fmt.Sprintf(": %s differ by %.2g, moved together by %.2g", d.Measure, float64(d.Gap), float64(d.Moved))
	}
	if d.Allowed != nil {
		s += fmt.Sprintf(", by rounding at most %.2g", float64(*d.Allowed))
	}
	switch d.Verdict {
	case Tied:
		return s + " → tied within rounding"
	case Explained:
		return s + " → explained"
	case Unproven:
		if d.beyondBudget() {
			return s + " → unproven: they moved, but rounding does not move them so far"
		}
		return s + " → unproven: the predictions behind it were not recorded"
	default:
		if d.Measure != "" {
			return s + " → bug: the gap is more than these moved"
		}
		return s + " → bug"
	}
}

// hold adds what rounding may leave of the gap. A flip that the moves of its items explain, and their arithmetic does not, is unproven: what
// moved them was no rounding.
func (d *Decision) hold(allowed float64, known bool) {
	if !known || math.IsInf(allowed, 1) {
		return
	}
	n := Number(allowed)
	d.Allowed = &n
	if d.Verdict == Explained && d.beyondBudget() {
		d.Verdict = Unproven
	}
}

// beyondBudget tells whether the gap is known to be more than rounding leaves.
func (d *Decision) beyondBudget() bool { return d.Allowed != nil && !(d.Gap <= *d.Allowed) }

// MarshalJSON adds the sentence as "text".
func (d Decision) MarshalJSON() ([]byte, error) {
	type plain Decision
	return json.Marshal(struct {
		plain
		Text string `json:"text"`
	}{plain(d), d.String()})
}

// UnmarshalJSON reads what MarshalJSON writes. A sentence that does not belong to the numbers is an error.
func (d *Decision) UnmarshalJSON(text []byte) error {
	type plain Decision
	var read struct {
		plain
		Text string `json:"text"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*d = Decision(read.plain)
	if read.Text != d.String() {
		return fmt.Errorf("the decision %q is told as %q", d, read.Text)
	}
	return nil
}

// Setting is what the comparer must know of the model beside its outputs. Recorded taps help it further: with det.cls.P3 to
// det.quality.P7 every detection that was kept, suppressed or cut is held to the predictions of its own execution.
//
// With a zero grid the splits of tiles cannot be traced to their parents, and differing ones count as bugs. With a zero image
// box edges are not followed, and what a rounded edge changes counts as an error of arithmetic. With a zero IoUThreshold the
// suppression is not checked and explains nothing.
type Setting struct {
	AnyModel                bool    // nothing is known of the outputs: whatever their names, none holds a decision
	GridHeight, GridWidth   int     // tiles of level 0
	Dense                   bool    // level 0 holds all tiles in ascending order, whatever their utilities
	ImageHeight, ImageWidth int     // pixels of the input
	FeatureStride           int     // pixels per cell of the features that boxes are pooled from; 0 means 8
	ScoreThreshold          float64 // of the decoder; like the decoder's it is rounded to float32
	PreNMSTopK              int     // candidates that the decoder keeps per level; 0 means all
	IoUThreshold            float64 // of the suppression; rounded to float32
	LevelOneScores          string  // name of the output [B, 4·tiles] that ranks the parents of level 2; "" where there is none
}

// judge classifies a gap between items that moved together by moved; below rounding nobody can tell them apart.
func judge(gap, moved, rounding float64) Verdict {
	switch {
	case gap <= rounding:
		return Tied
	case gap <= moved+rounding:
		return Explained
	default: // a NaN gap included
		return Bug
	}
}
