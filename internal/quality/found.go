package quality

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/printable"
)

// Found is what one execution, or another tool, found in a data set.
type Found struct {
	Name       string // "reference fp16", or the name of a file
	Detections []coco.Detection
	Execution  *Execution // nil for what was read from a file
}

// Execution is what only a run of the model knows.
type Execution struct {
	Backend, Precision string
	Semantic           *evaluate.Semantic // nil where the data set has no masks
	Scores             []float64          // best score of each image, in the order of the data set; 0 without detections
	Tiles              []float64          // selected tiles of level 0
	Milliseconds       []float64          // of the backend's execution
	Unmapped           []string           // classes of the model that the data set does not have
}

// FromFile reads results in COCO's form.
func FromFile(path string, s *Set, o coco.Options) (*Found, coco.Problems, error) {
	list, problems, err := coco.ReadDetections(path, s.Data, o)
	if err != nil {
		return nil, problems, err
	}
	return &Found{Name: printable.Line(filepath.Base(path)), Detections: list}, problems, nil
}

// hasMasks tells whether every detection has a mask.
func (f *Found) hasMasks() bool {
	return !slices.ContainsFunc(f.Detections, func(d coco.Detection) bool { return d.Segmentation.Empty() })
}

// classMap returns the class of the data set, -1 for none, of each class of a model, by their names.
func classMap(model []string, classes coco.Mapping) (of []int, unmapped []string, err error) {
	known := 0
	for _, name := range model {
		class, ok := classes.Named(name)
		if !ok {
			class = -1
			unmapped = append(unmapped, name)
		} else {
			known++
		}
		of = append(of, class)
	}
	if known == 0 {
		return nil, nil, fmt.Errorf("none of the model's classes (%s) is a category of the data set (%s)", first(model), first(classes.Names))
	}
	return of, unmapped, nil
}

// first joins the first names of a list.
func first(names []string) string {
	text := ""
	for i, name := range names {
		if i == 5 {
			return text + fmt.Sprintf(" and %d more", len(names)-i)
		}
		if i > 0 {
			text += ", "
		}
		text += printable.Line(name)
	}
	return text
}
