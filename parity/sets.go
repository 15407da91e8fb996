package parity

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
)

// setScore is the least score of a detection that counts.
const setScore = 0.05

// setRule says when the detections of two executions are the same set: so many of them, as an F1, pair up, which takes one class and an
// IoU of at least overlap. Those of a lower score than setScore are left out.
type setRule struct{ f1, overlap float64 }

// setRule returns the rule of the pair's class, and whether it has one.
func (p Pair) setRule() (setRule, bool) {
	least, ok := leastF1(p.class())
	return setRule{least, SetOverlap(p.class())}, ok
}

// SetOverlap returns the least IoU of two detections that are one in a class: a format of 8 bits moves boxes by pixels, and is asked whether
// the same object was found.
func SetOverlap(c Class) float64 {
	if p := c.precision(); p == ClassINT8 || p == ClassFP8 {
		return coarseOverlap
	}
	return setOverlap
}

const (
	setOverlap    = 0.95
	coarseOverlap = 0.5
)

// SetCount counts detections that are compared as sets, whatever their order. Counts of several images add up.
type SetCount struct {
	Pairs     int `json:"pairs"`
	Reference int `json:"reference"` // detections of each side
	Candidate int `json:"candidate"`
}

// Add adds the counts of other images.
func (c *SetCount) Add(o SetCount) {
	c.Pairs, c.Reference, c.Candidate = c.Pairs+o.Pairs, c.Reference+o.Reference, c.Candidate+o.Candidate
}

// F1 returns 2·pairs / (detections of the reference + of the candidate), in [0,1]; NaN where there are none.
func (c SetCount) F1() float64 { return 2 * float64(c.Pairs) / float64(c.Reference+c.Candidate) }

// String renders the counts as "F1 0.9982, 4300 pairs of 4308 and 4308 detections".
func (c SetCount) String() string {
	if c.Reference+c.Candidate == 0 {
		return "no detections"
	}
	return fmt.Sprintf("F1 %.4f, %d pairs of %d and %d detections", c.F1(), c.Pairs, c.Reference, c.Candidate)
}

// alone counts the detections without a partner, and those that could have one, on the side that has more of both: one that a near tie
// exchanged for another is one event, though each side has one of the two.
func (c SetCount) alone() (alone, of int) {
	of = max(c.Reference, c.Candidate)
	return of - c.Pairs, of
}

// SetVerdict judges the detections of a pair over all its cases: of one image they are too few to tell a share.
type SetVerdict struct {
	Pair  Pair `json:"pair"`
	Cases int  `json:"cases"` // that were compared
	SetCount
	F1     Number         `json:"f1"`
	Least  Number         `json:"least_f1"`
	State  evidence.State `json:"state"`            // Pass, Unverified or Fail
	Detail string         `json:"detail,omitempty"` // why it is no pass
}

// String renders the verdict as "ort/fp16 vs reference/fp64, 12 cases: F1 0.9982, … (want F1 0.99)".
func (v SetVerdict) String() string {
	cases := "cases"
	if v.Cases == 1 {
		cases = "case"
	}
	overlap := ""
	if least := SetOverlap(v.Pair.class()); least != setOverlap {
		overlap = fmt.Sprintf(" at IoU %g", least)
	}
	s := fmt.Sprintf("%s, %d %s: %s (want F1 %g%s)", v.Pair, v.Cases, cases, v.SetCount, float64(v.Least), overlap)
	if v.Detail != "" {
		s += ": " + v.Detail
	}
	return s
}

// countSets compares the detections of a cell as sets where its precisions are judged so, and fails it where they cannot be those of an
// execution that is right as often as it has to be. That they are is judged over all cases.
func (c *Cell) countSets(ref, cand tensor.List) {
	rule, ok := c.Pair.setRule()
	if !ok {
		return
	}
	n := CountSetsAt(ref, cand, rule.overlap)
	c.Sets = &n
	if n.contradicts(rule.f1) && c.State != evidence.Fail {
		c.State = evidence.Fail
		c.Detail = fmt.Sprintf("detections as sets: %s; an F1 of %g is not to be believed", n, rule.f1)
	}
}

// judgeSets adds up the cells of each pair, which are the same under every policy. A share that is reached passes; one that is not fails if it is no accident,
// and else there are too few detections to tell.
func (m *Matrix) judgeSets() []SetVerdict {
	var out []SetVerdict
	for i, p := range m.Pairs {
		rule, _ := p.setRule()
		v := SetVerdict{Pair: p, State: evidence.Pass, Least: Number(rule.f1)}
		for at := i; at < len(m.Cells); at += len(m.Policies) * len(m.Pairs) {
			if n := m.Cells[at].Sets; n != nil {
				v.Cases++
				v.Add(*n)
			}
		}
		if v.Cases == 0 {
			continue
		}
		v.F1 = Number(v.SetCount.F1())
		switch {
		case v.F1 >= v.Least:
		case v.contradicts(float64(v.Least)):
			v.State, v.Detail = evidence.Fail, "too many detections have no partner"
		default: // without detections too
			v.State, v.Detail = evidence.Unverified, "too few detections to tell"
		}
		out = append(out, v)
	}
	return out
}

// improbable is the probability below which a count is no accident: it bounds the chance that an execution is called wrong whose
// detections find their partners as often as they should.
const improbable = 1e-6

// contradicts reports whether so many detections stay alone that a share of at least least that pairs up cannot be believed.
func (c SetCount) contradicts(least float64) bool {
	alone, of := c.alone()
	return binomialTail(of, alone, 1-least) < improbable
}

// binomialTail returns the probability of at least k successes in n trials, each with probability p in (0,1).
func binomialTail(n, k int, p float64) float64 {
	if k <= 0 {
		return 1
	}
	log := func(n int) float64 { v, _ := math.Lgamma(float64(n + 1)); return v }
	sum := 0.0
	for i := k; i <= n; i++ {
		sum += math.Exp(log(n) - log(i) - log(n-i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return min(sum, 1)
}

// CountSets is CountSetsAt the IoU of formats of 16 bits, 0.95.
func CountSets(ref, cand tensor.List) SetCount { return CountSetsAt(ref, cand, setOverlap) }

// CountSetsAt pairs the detections of two executions that overlap by at least an IoU, image by image: the best of the reference chooses first,
// and takes the one of its class that overlaps it most. Outputs that are absent or malformed count as no detections.
func CountSetsAt(ref, cand tensor.List, overlap float64) SetCount {
	var c SetCount
	if !detectionOutputs(ref, cand) {
		return c
	}
	for image := range ref.Get("boxes").Shape()[0] {
		r, k := setOf(ref, image), setOf(cand, image)
		c.Add(SetCount{pairSets(r, k, overlap), len(r), len(k)})
	}
	return c
}

// setOf lists the detections of an image that belong to the set, in their order.
func setOf(outputs tensor.List, image int) []detection {
	boxes, scores, classes := outputs.Get("boxes"), outputs.Get("scores"), integersOf(outputs.Get("class_ids"))
	rows := scores.Shape()[1]
	valid := int(max(0, min(int64(rows), integersOf(outputs.Get("valid_counts"))[image])))
	var list []detection
	for at := image * rows; at < image*rows+valid; at++ {
		d := detection{score: element(scores, at), class: classes[at]}
		for i := range d.box {
			d.box[i] = element(boxes, 4*at+i)
		}
		if d.score >= setScore {
			list = append(list, d)
		}
	}
	return list
}

func pairSets(ref, cand []detection, overlap float64) (pairs int) {
	taken := make([]bool, len(cand))
	for _, r := range ref {
		best, at := overlap, -1
		for i, c := range cand {
			if v := iou(r.box, c.box); !taken[i] && c.class == r.class && v >= best {
				best, at = v, i
			}
		}
		if at >= 0 {
			taken[at] = true
			pairs++
		}
	}
	return pairs
}
