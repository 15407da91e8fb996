package panoptic

import (
	"fmt"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/reports"
)

// OfRun fuses the semantic logits of one sample of a run with its described detections, in the pixels of the picture. Every
// class of the detector is a thing and the background is the only stuff. It is an error if the outputs are missing or not
// finite, as a faulty backend's may be.
func OfRun(s reports.Subject, described reports.Image, out tensor.List, sample int, o Options) (*Map, error) {
	logits := out.Get("semantic_logits")
	if logits == nil {
		return nil, fmt.Errorf(`the run has no output "semantic_logits"`)
	}
	if i := logits.NonFinite(); i >= 0 {
		return nil, fmt.Errorf("the output semantic_logits has a NaN or infinity at element %d", i)
	}
	shape := logits.Shape()
	classes, h, w := shape[1], shape[2], shape[3]
	one := tensor.Float32s(logits, sample*classes*h*w, classes*h*w)
	labels := s.Geometry().Labels(one, classes, h, w)
	things := make([]bool, classes)
	for label := 1; label < classes; label++ {
		things[label] = true
	}
	instances := make([]Instance, len(described.Detections))
	for i, d := range described.Detections {
		instances[i] = Instance{Mask: *d.Mask, Score: float64(d.Score), Label: int(d.ClassID) + 1}
	}
	return Fuse(labels, described.Width, described.Height, things, instances, o)
}
