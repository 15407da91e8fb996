// Package accuracytest makes what cells find in a synthetic data set, for tests of what weighs it.
package accuracytest

import (
	"bytes"
	"errors"
	"strings"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/coco/synthetic"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
)

// Set is a data set of boxes with what a detector finds in it.
type Set struct {
	data *coco.Dataset
	list []coco.Detection
}

// New draws a set of so many images. It panics where that cannot be done.
func New(images int) *Set {
	var truth, results bytes.Buffer
	set := synthetic.New(synthetic.Spec{Images: images, Classes: 3, Objects: 6, Detections: 8, Noise: 0.05, Miss: 0.1, Seed: 5})
	if err := errors.Join(set.Annotations(&truth), set.Results(&results)); err != nil {
		panic(err)
	}
	d, _, err := coco.Decode(&truth, coco.Options{})
	if err != nil {
		panic(err)
	}
	list, _, err := coco.DecodeDetections(&results, d, coco.Options{})
	if err != nil {
		panic(err)
	}
	return &Set{d, list}
}

// Plan evaluates on the set by the default policy with few replicates.
func (s *Set) Plan() *accuracy.Plan {
	p := accuracy.DefaultPolicy()
	p.Replicates = 500
	return &accuracy.Plan{Policy: p, DataSet: accuracy.DataSet{Name: "synthetic", Annotations: strings.Repeat("ab", 32), Pictures: strings.Repeat("cd", 32),
		Images: len(s.data.Images), Objects: len(s.data.Annotations), Classes: len(s.data.Categories)}}
}

// Run is that of a cell which finds what keep leaves of the detections, by their place in the list; nil leaves all.
func (s *Set) Run(c perf.Cell, arm perf.Arm, keep func(i int, d coco.Detection) bool) accuracy.Run {
	var list []coco.Detection
	for i, d := range s.list {
		if keep == nil || keep(i, d) {
			list = append(list, d)
		}
	}
	f := &accuracy.Found{Boxes: evaluate.MatchBoxes(s.data, list)}
	f.Numbers = f.Sum()
	return accuracy.Run{Cell: c, Arm: arm, State: evidence.Measured, FirstSHA256: strings.Repeat("0a", 32), Parity: perf.Parity{State: evidence.Pass}, Found: f}
}

// Large tells whether a detection is beyond COCO's small ones: all that a backend finds which loses small objects.
func (s *Set) Large(_ int, d coco.Detection) bool { return d.Box[2]*d.Box[3] >= 32*32 }
