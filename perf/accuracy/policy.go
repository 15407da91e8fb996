package accuracy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/evaluate"
)

// Budgets are the points of average precision, of boxes and of masks, that cells may lose, by precision. A point is a hundredth.
type Budgets map[backends.Precision]float64

// DefaultBudgets allow what rounding costs on the 64 scenes (README), with room for their intervals: a tenth of a point in float32, which
// no rounding of a right execution costs, half a point in formats of 16 bits, of bfloat16 one, and of formats of 8 bits two.
func DefaultBudgets() Budgets {
	return Budgets{backends.FP64: 0.1, backends.FP32: 0.1, backends.TF32: 0.5, backends.FP16: 0.5, backends.BF16: 1, backends.INT8: 2, backends.FP8: 2}
}

// ParseBudgets reads a number of points for every precision, or a list such as fp16=0.5,int8=1 that changes some of the default budgets.
func ParseBudgets(text string) (Budgets, error) {
	b := DefaultBudgets()
	if points, err := strconv.ParseFloat(text, 64); err == nil {
		for p := range b {
			b[p] = points
		}
		return b, b.Check()
	}
	for _, part := range strings.Split(text, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		points, err := strconv.ParseFloat(value, 64)
		if !found || err != nil {
			return nil, fmt.Errorf("%q: want points of AP such as 0.5, or a list such as fp16=0.5,int8=1", part)
		}
		p, err := backends.ParsePrecision(name)
		if err != nil {
			return nil, err
		}
		b[p] = points
	}
	return b, b.Check()
}

// String lists the budgets from the finest precision to the coarsest: "fp32=0.1,fp16=0.5".
func (b Budgets) String() string {
	var list []string
	for _, p := range []backends.Precision{backends.FP64, backends.FP32, backends.TF32, backends.FP16, backends.BF16, backends.INT8, backends.FP8} {
		if v, ok := b[p]; ok {
			list = append(list, fmt.Sprintf("%s=%g", p, v))
		}
	}
	return strings.Join(list, ",")
}

// Check refuses points that are none.
func (b Budgets) Check() error {
	for _, p := range slices.Sorted(maps.Keys(b)) {
		if v := b[p]; !(v >= 0 && v <= 100) {
			return fmt.Errorf("a loss of %v points of AP in %s: want 0 to 100", v, p)
		}
		if _, err := backends.ParsePrecision(string(p)); err != nil {
			return err
		}
	}
	return nil
}

// Policy is how runs are judged.
type Policy struct {
	MaxMapDrop Budgets `json:"max_map_drop"`
	Replicates int     `json:"replicates"` // of the bootstrap
	Confidence float64 `json:"confidence"` // of the intervals
	Seed       uint64  `json:"seed"`
}

// DefaultPolicy has the default budgets and intervals of 99 % from 2,000 replicates.
func DefaultPolicy() Policy {
	o := evaluate.BootstrapOptions{}.Complete()
	return Policy{MaxMapDrop: DefaultBudgets(), Replicates: o.Replicates, Confidence: o.Confidence, Seed: o.Seed}
}

// Bootstrap are the options of intervals.
func (p Policy) Bootstrap() evaluate.BootstrapOptions {
	return evaluate.BootstrapOptions{Replicates: p.Replicates, Confidence: p.Confidence, Seed: p.Seed}
}

// Bounds of a policy: fewer replicates do not reach the tails of an interval.
const (
	leastReplicates = 500
	mostReplicates  = 100000
)

// Validate refuses a policy that could not decide anything.
func (p Policy) Validate() error {
	switch {
	case p.Replicates < leastReplicates || p.Replicates > mostReplicates:
		return fmt.Errorf("%d replicates of the bootstrap: want %d to %d", p.Replicates, leastReplicates, mostReplicates)
	case !(p.Confidence >= 0.9 && p.Confidence < 1):
		return fmt.Errorf("intervals of confidence %v: want from 0.9 to below 1", p.Confidence)
	}
	return p.MaxMapDrop.Check()
}

// Verdict is what a policy says of a result.
type Verdict string

// The verdicts.
const (
	Kept      Verdict = "kept"      // as a whole, the interval lies within the budget
	Lost      Verdict = "lost"      // as a whole, it lies beyond
	Undecided Verdict = "undecided" // it holds the budget, or there is too little to tell
)

// worse tells whether a verdict outweighs another.
func (v Verdict) worse(o Verdict) bool {
	rank := map[Verdict]int{Kept: 0, Undecided: 1, Lost: 2}
	return rank[v] > rank[o]
}

// leastImages is how many images a verdict needs: over fewer the intervals of the bootstrap are not to be relied on.
const leastImages = 20

// Judge weighs what a cell of a precision lost of the average precision of boxes, and of masks where there are some. The worse counts.
func (p Policy) Judge(r *Result, images int, precision backends.Precision) (Verdict, string) {
	budget, known := p.MaxMapDrop[precision]
	switch {
	case images < leastImages:
		return Undecided, fmt.Sprintf("a verdict needs at least %d images, and the data set has %d", leastImages, images)
	case !known:
		return Undecided, fmt.Sprintf("nobody has said how many points %s may lose (max_map_drop)", precision)
	case r.Base.Boxes.AP <= 0:
		return Undecided, fmt.Sprintf("%s finds nothing that could be lost", r.Against)
	}
	worst, why := Kept, ""
	for _, m := range []Metric{BoxAP, MaskAP} {
		d := r.Of(m)
		if d == nil {
			continue
		}
		if v := d.judge(budget / 100); v.worse(worst) {
			worst, why = v, fmt.Sprintf("%s against %s: %s points, and %g may be lost", m.Words(), r.Against, d.Points(), budget)
		}
	}
	return worst, why
}

// judge weighs an interval against the greatest loss.
func (d Difference) judge(most float64) Verdict {
	switch {
	case d.High < -most:
		return Lost
	case d.Low >= -most:
		return Kept
	}
	return Undecided
}
