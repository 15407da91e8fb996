package quality

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/reports"
)

// Panoptic compares two panoptic files. The pictures of a file are in the folder of its name without .json. Every image of the truth needs a
// result, as in COCO's challenge; results of other images are an error.
func Panoptic(truth, results string, o coco.Options) (*reports.PanopticEvaluation, coco.Problems, error) {
	want, problems, err := coco.ReadPanoptic(truth, true, o)
	if err != nil {
		return nil, problems, err
	}
	got, more, err := coco.ReadPanoptic(results, false, o)
	problems.Merge(more)
	if err != nil {
		return nil, problems, err
	}
	found, wanted := map[int64]coco.PanopticImage{}, map[int64]bool{}
	for _, im := range want.Images {
		wanted[im.Image] = true
	}
	for _, im := range got.Images {
		if !wanted[im.Image] {
			return nil, problems, fmt.Errorf("%s has a result for image %d, which %s does not have", printable.Line(results), im.Image, printable.Line(truth))
		}
		found[im.Image] = im
	}
	classes := (&coco.Dataset{Categories: want.Categories}).Mapping()
	counts := evaluate.NewPanoptic(classes.Stuff)
	for _, im := range want.Images {
		result, ok := found[im.Image]
		if !ok {
			return nil, problems, fmt.Errorf("%s has no result for image %d", printable.Line(results), im.Image)
		}
		if err := addPanoptic(counts, classes, side{truth, im}, side{results, result}); err != nil {
			return nil, problems, fmt.Errorf("image %d: %w", im.Image, err)
		}
	}
	return describePanoptic(counts.Result(), classes), problems, nil
}

// side is an image of one of the two files.
type side struct {
	file  string
	image coco.PanopticImage
}

func addPanoptic(counts *evaluate.Panoptic, classes coco.Mapping, truth, result side) error {
	want, height, width, err := truth.read(classes)
	if err != nil {
		return err
	}
	got, resultHeight, resultWidth, err := result.read(classes)
	if err != nil {
		return err
	}
	if height != resultHeight || width != resultWidth {
		return fmt.Errorf("the result has %d×%d pixels, and the truth %d×%d", resultWidth, resultHeight, width, height)
	}
	return counts.Add(got, want)
}

// read returns segments and pixels of a side.
func (s side) read(classes coco.Mapping) (im evaluate.PanopticImage, height, width int, err error) {
	folder := strings.TrimSuffix(s.file, filepath.Ext(s.file))
	if im.Map, height, width, err = s.image.Map(folder); err != nil {
		return im, 0, 0, err
	}
	for _, g := range s.image.Segments {
		class, ok := classes.Class[g.Category]
		if !ok {
			return im, 0, 0, fmt.Errorf("%s: segment %d has category %d, which the truth does not have", printable.Line(s.file), g.ID, g.Category)
		}
		im.Segments = append(im.Segments, evaluate.Segment{ID: int32(g.ID), Class: class, Crowd: g.Crowd})
	}
	return im, height, width, nil
}

func describePanoptic(r evaluate.PanopticResult, classes coco.Mapping) *reports.PanopticEvaluation {
	e := &reports.PanopticEvaluation{PQ: r.All.PQ, Source: "apexx", All: r.All, Things: r.Things, Stuff: r.Stuff, PerClass: map[string]evaluate.PanopticClass{}}
	for i, c := range r.PerClass {
		e.PerClass[classes.Names[i]] = c
	}
	return e
}
