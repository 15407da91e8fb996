package quality

import (
	"cmp"
	"slices"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/reports"
)

// Truth returns the objects of an image as detections of score 1, for drawing. The annotations are those of the image.
func (s *Set) Truth(im coco.Image, annotations []*coco.Annotation) []reports.Detection {
	classes := s.Data.Mapping()
	var list []reports.Detection
	for _, a := range annotations {
		d := drawn(im, classes, a.Category, a.Box, 0, &a.Segmentation)
		d.Annotated = true
		list = append(list, d)
	}
	return list
}

// detectionsOf returns what was found in an image, the best first.
func (s *Set) detectionsOf(f *Found, im coco.Image) []reports.Detection {
	classes := s.Data.Mapping()
	var list []reports.Detection
	for i := range f.Detections {
		if d := &f.Detections[i]; d.Image == im.ID {
			list = append(list, drawn(im, classes, d.Category, d.Box, d.Score, &d.Segmentation))
		}
	}
	slices.SortStableFunc(list, func(a, b reports.Detection) int { return cmp.Compare(b.Score, a.Score) })
	return list
}

func drawn(im coco.Image, classes coco.Mapping, category int64, box [4]float64, score float64, g *coco.Segmentation) reports.Detection {
	class := classes.Class[category]
	d := reports.Detection{Score: parity.Number(score), ClassID: int64(class), Class: classes.Names[class],
		Box: [4]parity.Number{parity.Number(box[0]), parity.Number(box[1]), parity.Number(box[0] + box[2]), parity.Number(box[1] + box[3])}}
	if !g.Empty() {
		if m, err := g.Mask(im.Height, im.Width); err == nil { // it was read, so it is one
			d.Mask = &m
		}
	}
	return d
}
