package evaluate

import "fmt"

// Semantic counts how labels of pixels agree, image by image. The zero value is ready; labels are below 256.
type Semantic struct{ images [][]labelCount }

// labelCount is a label in an image: the pixels that both sides give it, that the prediction does, and that the truth does.
type labelCount struct {
	label                  uint8
	both, predicted, truth int64
}

// Ignored is the label of pixels that do not count where the truth has it.
const Ignored = 255

// Add counts an image: predicted and true label of each pixel.
func (s *Semantic) Add(predicted, truth []uint8) error {
	if len(predicted) != len(truth) {
		return fmt.Errorf("%d predicted labels for %d pixels", len(predicted), len(truth))
	}
	var of [256]labelCount
	for i, t := range truth {
		if t == Ignored {
			continue
		}
		p := predicted[i]
		of[p].predicted++
		of[t].truth++
		if p == t {
			of[p].both++
		}
	}
	image := []labelCount{}
	for label, c := range of {
		if c.predicted > 0 || c.truth > 0 {
			c.label = uint8(label)
			image = append(image, c)
		}
	}
	s.images = append(s.images, image)
	return nil
}

// SemanticResult is the overlap of labels (spec/train-eval.md 12.4): |both| / |either| in [0,1].
type SemanticResult struct {
	MIoU     float64   // mean over the classes that either side has; 0 for none
	PerClass []float64 // 0 for a class that neither side has
}

// Result computes the overlaps of the first classes.
func (s *Semantic) Result(classes int) SemanticResult {
	sums := s.sums(nil)
	r := SemanticResult{PerClass: make([]float64, classes)}
	for c := range r.PerClass {
		r.PerClass[c] = max(sums[c].overlap(), 0)
	}
	r.MIoU = meanOverlap(&sums)
	return r
}

// labelSum is a labelCount over images with weights.
type labelSum struct{ both, predicted, truth float64 }

// overlap is |both| / |either|, -1 for a class that neither side has.
func (s labelSum) overlap() float64 {
	either := s.predicted + s.truth - s.both
	if either == 0 {
		return -1
	}
	return s.both / either
}

func (s *Semantic) sums(weights []float64) (sums [256]labelSum) {
	for i, image := range s.images {
		w := weightOf(weights, int32(i))
		for _, c := range image {
			at := &sums[c.label]
			at.both, at.predicted, at.truth = at.both+w*float64(c.both), at.predicted+w*float64(c.predicted), at.truth+w*float64(c.truth)
		}
	}
	return sums
}

func meanOverlap(sums *[256]labelSum) float64 {
	var m mean
	for i := range sums {
		if v := sums[i].overlap(); v >= 0 {
			m.add(v, 1)
		}
	}
	return max(m.value(), 0)
}

// CompareLabels returns the difference of the mean overlap of labels, with an interval of the paired bootstrap over the images, which are
// those of both sides in one order.
func CompareLabels(base, candidate *Semantic, o BootstrapOptions) (Difference, error) {
	if len(base.images) != len(candidate.images) {
		return Difference{}, ErrDifferentSets
	}
	return differences(len(base.images), o, base.numbers, candidate.numbers)[0], nil
}

func (s *Semantic) numbers() numbers {
	return func(weights []float64) []float64 {
		sums := s.sums(weights)
		return []float64{meanOverlap(&sums)}
	}
}
