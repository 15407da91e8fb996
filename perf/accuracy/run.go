package accuracy

import (
	"errors"
	"fmt"
	"math"

	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
)

// DataSet says what was looked at.
type DataSet struct {
	Name        string `json:"name"`
	Annotations string `json:"annotations_sha256"`
	Pictures    string `json:"pictures_sha256"` // of the files in the order of the annotations
	Images      int    `json:"images"`
	Objects     int    `json:"objects"`
	Classes     int    `json:"classes"`
}

// Check refuses a data set that cannot be one.
func (d *DataSet) Check() error {
	if d.Name == "" || len(d.Annotations) != 64 || len(d.Pictures) != 64 || d.Images < 1 || d.Objects < 0 || d.Classes < 1 {
		return fmt.Errorf("the data set %q has %d images, %d objects, %d classes and the digests %.12q and %.12q: none can be so", d.Name, d.Images, d.Objects, d.Classes, d.Annotations, d.Pictures)
	}
	return nil
}

// Run is what one cell found in a data set.
type Run struct {
	Cell   perf.Cell      `json:"cell"`
	Arm    perf.Arm       `json:"arm,omitempty"` // of a gate; in a sweep Base is what the cells are compared with
	State  evidence.State `json:"state"`         // Measured, or how it ended
	Reason string         `json:"reason,omitempty"`
	Detail string         `json:"detail,omitempty"`

	// The session of the run first got the inputs that the cell is timed with: what it gave has to be what a timed one gives.
	FirstSHA256 string      `json:"first_sha256,omitempty"`
	Parity      perf.Parity `json:"parity"` // of that, against the float64 oracle

	Found *Found `json:"found,omitempty"` // nil where the run did not end as Measured
}

// Found is what a run found: what numbers come from, and the numbers.
type Found struct {
	Boxes    *evaluate.Matches  `json:"boxes"`
	Masks    *evaluate.Matches  `json:"masks,omitempty"`    // nil where objects have no masks
	Labels   *evaluate.Semantic `json:"labels,omitempty"`   // of pixels; label 0 is background, i+1 class i; nil likewise
	Segments *evaluate.Panoptic `json:"segments,omitempty"` // beside Labels
	Numbers  Numbers            `json:"numbers"`
}

// Numbers sum up what was found, each in [0,1]; those of boxes and masks are -1 where no object counts.
type Numbers struct {
	Boxes evaluate.Summary  `json:"boxes"`
	Masks *evaluate.Summary `json:"masks,omitempty"`
	MIoU  *float64          `json:"miou,omitempty"`
	PQ    *float64          `json:"pq,omitempty"`
}

// Sum computes the numbers.
func (f *Found) Sum() Numbers {
	n := Numbers{Boxes: f.Boxes.Summary()}
	if f.Masks != nil {
		s := f.Masks.Summary()
		n.Masks = &s
	}
	if f.Labels != nil && f.Segments != nil {
		miou, pq := f.Labels.Result(f.Segments.Classes()).MIoU, f.Segments.Result().All.PQ
		n.MIoU, n.PQ = &miou, &pq
	}
	return n
}

// Check holds a run against the data set and its numbers against what they come from.
func (r *Run) Check(d *DataSet) error {
	switch {
	case !r.State.Broken() && r.State != evidence.Measured && r.State != evidence.Unsupported:
		return fmt.Errorf("it ended as %q", r.State)
	case r.Cell.Scope != perf.Complete:
		return errors.New("its scope has no detections")
	case (r.State == evidence.Measured) != (r.Found != nil):
		return fmt.Errorf("it is %s, and what it found is there: %t", r.State, r.Found != nil)
	case r.Found == nil:
		return nil
	case len(r.FirstSHA256) != 64 || !r.Parity.State.Compared():
		return errors.New("nobody compared what its session gives")
	}
	if err := r.Parity.Check(); err != nil {
		return err
	}
	return r.Found.Check(d)
}

// Check holds what was found against the data set, and its numbers against what they come from.
func (f *Found) Check(d *DataSet) error {
	if f.Boxes == nil {
		return errors.New("it has no boxes")
	}
	objects := 0
	for _, c := range f.Boxes.PerClass() {
		objects += c.Objects
	}
	switch {
	case len(f.Boxes.Images) != d.Images || len(f.Boxes.Classes.IDs) != d.Classes || objects > d.Objects:
		return fmt.Errorf("it is of %d images, %d classes and %d objects, and the data set has %d, %d and %d", len(f.Boxes.Images), len(f.Boxes.Classes.IDs), objects, d.Images, d.Classes, d.Objects)
	case f.Masks != nil && !evaluate.SameObjects(f.Boxes, f.Masks):
		return errors.New("boxes and masks are not of the same objects")
	case (f.Labels == nil) != (f.Segments == nil):
		return errors.New("labels and segments belong together")
	case f.Labels != nil && (f.Labels.Len() != d.Images || f.Segments.Len() != d.Images || f.Segments.Classes() != d.Classes+1):
		return fmt.Errorf("labels and segments are of %d and %d images and %d classes with the background, and the data set has %d and %d",
			f.Labels.Len(), f.Segments.Len(), f.Segments.Classes(), d.Images, d.Classes)
	}
	return f.Numbers.equal(f.Sum())
}

// rounding is how far a number may lie from what another build computes of the same evidence.
const rounding = 1e-9

// equal says which number is not what the evidence gives.
func (n Numbers) equal(want Numbers) error {
	for _, part := range []struct {
		name      string
		got, want *evaluate.Summary
	}{{"boxes", &n.Boxes, &want.Boxes}, {"masks", n.Masks, want.Masks}} {
		if (part.got == nil) != (part.want == nil) {
			return fmt.Errorf("numbers.%s: the pairs are there: %t, and the numbers: %t", part.name, part.want != nil, part.got != nil)
		}
		if part.got == nil {
			continue
		}
		wanted := part.want.Numbers()
		for i, v := range part.got.Numbers() {
			if !(math.Abs(v-wanted[i]) <= rounding) {
				return differ(fmt.Sprintf("numbers.%s, number %d of COCO's twelve,", part.name, i+1), v, wanted[i])
			}
		}
	}
	for _, part := range []struct {
		name      string
		got, want *float64
	}{{"miou", n.MIoU, want.MIoU}, {"pq", n.PQ, want.PQ}} {
		switch {
		case (part.got == nil) != (part.want == nil):
			return fmt.Errorf("numbers.%s: the counts are there: %t, and the number: %t", part.name, part.want != nil, part.got != nil)
		case part.got != nil && !(math.Abs(*part.got-*part.want) <= rounding):
			return differ("numbers."+part.name, *part.got, *part.want)
		}
	}
	return nil
}

func differ(name string, got, want float64) error {
	return fmt.Errorf("%s is %v, and what was found gives %v: the file was changed after it was written", name, got, want)
}
