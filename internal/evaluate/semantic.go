package evaluate

import "fmt"

// Semantic counts how labels of pixels agree. The zero value is ready; labels are below 256.
type Semantic struct {
	both, predicted, truth [256]int64
}

// Ignored is the label of pixels that do not count where the truth has it.
const Ignored = 255

// Add counts an image: predicted and true label of each pixel.
func (s *Semantic) Add(predicted, truth []uint8) error {
	if len(predicted) != len(truth) {
		return fmt.Errorf("%d predicted labels for %d pixels", len(predicted), len(truth))
	}
	for i, t := range truth {
		if t == Ignored {
			continue
		}
		p := predicted[i]
		s.predicted[p]++
		s.truth[t]++
		if p == t {
			s.both[p]++
		}
	}
	return nil
}

// SemanticResult is the overlap of labels (spec/train-eval.md 12.4): |both| / |either| in [0,1].
type SemanticResult struct {
	MIoU     float64   // mean over the classes that either side has; 0 for none
	PerClass []float64 // 0 for a class that neither side has
}

// Result computes the overlaps of the first classes.
func (s *Semantic) Result(classes int) SemanticResult {
	r := SemanticResult{PerClass: make([]float64, classes)}
	var m mean
	for c := range r.PerClass {
		if either := s.predicted[c] + s.truth[c] - s.both[c]; either > 0 {
			r.PerClass[c] = float64(s.both[c]) / float64(either)
			m.add(r.PerClass[c], 1)
		}
	}
	r.MIoU = max(m.value(), 0)
	return r
}
