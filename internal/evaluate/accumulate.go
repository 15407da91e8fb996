package evaluate

import (
	"math"
	"math/bits"
)

// Curve is the precision of one class at the recalls 0, 0.01, … 1, and the recall reached, for each of Thresholds.
type Curve struct {
	Precision [thresholdCount][recallCount]float64
	Recall    [thresholdCount]float64
}

// recalls are those of Curve as numpy's linspace computes them.
var recalls = func() (list [recallCount]float64) {
	for i := range list {
		list[i] = float64(i) * (1.0 / (recallCount - 1))
	}
	list[recallCount-1] = 1
	return list
}()

// accumulator makes curves. It keeps its room from one to the next.
type accumulator struct {
	recall, precision [thresholdCount][]float64 // at each right detection
}

// curve sums up a series over its most detections of each image, at most 100; weights say how often each image is there, nil once. It is
// false where no object counts.
func (a *accumulator) curve(s *series, most int, weights []float64, c *Curve) bool {
	all := 0.0
	for _, o := range s.objects {
		all += float64(o.count) * weightOf(weights, o.image)
	}
	if all == 0 {
		return false
	}
	a.walk(s, most, weights, all)
	for t := range Thresholds {
		recall, precision := a.recall[t], a.precision[t]
		c.Recall[t] = 0
		if n := len(recall); n > 0 {
			c.Recall[t] = recall[n-1]
		}
		at, best := len(recall), 0.0 // the greatest precision from there on
		for i := recallCount - 1; i >= 0; i-- {
			for ; at > 0 && recall[at-1] >= recalls[i]; at-- {
				best = max(best, precision[at-1])
			}
			c.Precision[t][i] = best
		}
	}
	return true
}

// walk goes down the scores and notes recall and precision at each right detection. Wrong ones move no recall and lower the precision, so
// that they are seen at the next right one. A detection of an image that is there several times stands for as many in a row.
func (a *accumulator) walk(s *series, most int, weights []float64, all float64) {
	var seen float64
	var right, ignored [thresholdCount]float64
	for t := range Thresholds {
		a.recall[t], a.precision[t] = a.recall[t][:0], a.precision[t][:0]
	}
	epsilon := math.Nextafter(1, 2) - 1 // keeps pycocotools from dividing 0 by 0
	for i := range s.found {
		f := &s.found[i]
		w := weightOf(weights, f.image)
		if w == 0 || int(f.rank) >= most {
			continue
		}
		seen += w
		for left := f.ignored; left != 0; left &= left - 1 {
			ignored[bits.TrailingZeros16(left)] += w
		}
		for left := f.right &^ f.ignored; left != 0; left &= left - 1 {
			t := bits.TrailingZeros16(left)
			right[t] += w
			a.recall[t] = append(a.recall[t], right[t]/all)
			a.precision[t] = append(a.precision[t], right[t]/(seen-ignored[t]+epsilon))
		}
	}
}

func weightOf(weights []float64, image int32) float64 {
	if weights == nil {
		return 1
	}
	return weights[image]
}
