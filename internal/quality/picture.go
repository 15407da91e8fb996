package quality

import (
	"cmp"
	"slices"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/mask"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/reports"
)

// truthOf returns the objects of an image as detections of score 1, for drawing.
func (s *Set) truthOf(id int64) []reports.Detection {
	var list []reports.Detection
	for i := range s.Data.Annotations {
		if a := &s.Data.Annotations[i]; a.Image == id {
			list = append(list, s.drawn(id, a.Category, a.Box, 1, &a.Segmentation))
		}
	}
	return list
}

// detectionsOf returns what was found in an image, the best first.
func (s *Set) detectionsOf(f *Found, id int64) []reports.Detection {
	var list []reports.Detection
	for i := range f.Detections {
		if d := &f.Detections[i]; d.Image == id {
			list = append(list, s.drawn(id, d.Category, d.Box, d.Score, &d.Segmentation))
		}
	}
	slices.SortStableFunc(list, func(a, b reports.Detection) int { return cmp.Compare(b.Score, a.Score) })
	return list
}

func (s *Set) drawn(id, category int64, box [4]float64, score float64, g *coco.Segmentation) reports.Detection {
	classes := s.Data.Mapping()
	class := classes.Class[category]
	d := reports.Detection{Score: parity.Number(score), ClassID: int64(class), Class: classes.Names[class],
		Box: [4]parity.Number{parity.Number(box[0]), parity.Number(box[1]), parity.Number(box[0] + box[2]), parity.Number(box[1] + box[3])}}
	if !g.Empty() {
		i := slices.IndexFunc(s.Data.Images, func(im coco.Image) bool { return im.ID == id })
		if m, err := g.Mask(s.Data.Images[i].Height, s.Data.Images[i].Width); err == nil { // it was read, so it is one
			d.Mask = new(mask.RLE)
			*d.Mask = m
		}
	}
	return d
}
