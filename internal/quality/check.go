package quality

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/reports"
)

// CheckPictures looks at the picture of every image and tells what is wrong with it: it is missing, it is none, its name leads out of the
// folder, or its sides are not those of the record. Only the beginnings of the files are read.
func (s *Set) CheckPictures(each func(coco.Problem)) {
	for _, im := range s.Data.Images {
		if text := s.checkPicture(im); text != "" {
			each(coco.Problem{Record: fmt.Sprintf("image %d", im.ID), Field: "file_name", Text: text})
		}
	}
}

// checkPicture says what is wrong with a picture, "" for nothing.
func (s *Set) checkPicture(im coco.Image) string {
	if !filepath.IsLocal(im.FileName) {
		return fmt.Sprintf("%q leads out of the folder of the pictures", im.FileName)
	}
	width, height, err := picture.Size(filepath.Join(s.Folder, im.FileName))
	switch {
	case err != nil:
		return err.Error()
	case width != im.Width || height != im.Height:
		return fmt.Sprintf("the picture %q has %d×%d pixels, and its record %d×%d", im.FileName, width, height, im.Width, im.Height)
	}
	return ""
}

// Count describes the data set by its classes.
func (s *Set) Count() reports.DatasetCount {
	d := reports.DatasetCount{Name: s.Name, Images: len(s.Data.Images), Objects: len(s.Data.Annotations)}
	classes := s.Data.Mapping()
	images := make([]map[int64]bool, len(classes.IDs))
	for i, name := range classes.Names {
		d.Classes = append(d.Classes, reports.ClassCount{ID: classes.IDs[i], Name: name})
		images[i] = map[int64]bool{}
	}
	seen := map[int64]bool{}
	for i := range s.Data.Annotations {
		a := &s.Data.Annotations[i]
		class := classes.Class[a.Category]
		images[class][a.Image], seen[a.Image] = true, true
		d.Classes[class].Add(a.Crowd, !a.Segmentation.Empty(), stratum(a.Area))
	}
	for i := range d.Classes {
		d.Classes[i].Images = len(images[i])
	}
	d.Empty = len(s.Data.Images) - len(seen)
	return d
}

// stratum is the place of an area among small, medium and large. Areas between two belong to both; here they are of the smaller.
func stratum(area float64) int {
	return slices.IndexFunc(evaluate.Ranges[1:], func(r evaluate.Range) bool { return area <= r.High })
}
