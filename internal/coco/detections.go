package coco

import (
	"fmt"
	"io"
	"math"

	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
)

// Detection is an object that a detector found.
type Detection struct {
	Image, Category int64
	Score           float64    // finite
	Box             [4]float64 // x, y, width, height; that of the mask where a file has masks alone
	HasBox          bool       // the file has the box
	Segmentation    Segmentation
}

// ReadDetections reads a file of results: a list of image_id, category_id, score and bbox or segmentation or both. Every error names
// the file; problems are as in Read. Images and categories are those of the data set.
func ReadDetections(path string, d *Dataset, o Options) ([]Detection, Problems, error) {
	f, err := input.Open(path, input.Annotations)
	if err != nil {
		return nil, Problems{}, err
	}
	defer f.Close()
	list, problems, err := DecodeDetections(f, d, o)
	if err != nil {
		return nil, problems, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	return list, problems, nil
}

// DecodeDetections is ReadDetections for a stream.
func DecodeDetections(in io.Reader, d *Dataset, o Options) ([]Detection, Problems, error) {
	r := &detectionReader{reader: *newReader(in, o), images: map[int64]*Image{}, categories: map[int64]bool{}}
	for i := range d.Images {
		r.images[d.Images[i].ID] = &d.Images[i]
	}
	for _, c := range d.Categories {
		r.categories[c.ID] = true
	}
	if c, err := r.next(); err != nil {
		return nil, r.problems, err
	} else if c != '[' {
		return nil, r.problems, fmt.Errorf("the file is %s, want a list of detections", kindOf(c))
	}
	err := r.records("results", r.field, r.use)
	if err == nil {
		err = r.finish()
	}
	if err == nil && o.Strict && r.problems.Count > 0 {
		err = &StrictError{r.problems}
	}
	return r.all, r.problems, err
}

type detectionReader struct {
	reader
	images     map[int64]*Image
	categories map[int64]bool
	found      Detection
	all        []Detection
}

func (r *detectionReader) field(key []byte) (bool, error) {
	var err error
	d := &r.found
	switch string(key) {
	case "image_id":
		d.Image, err = r.integer(hasImage, "image_id", 0, math.MaxInt64)
	case "category_id":
		d.Category, err = r.integer(hasCategory, "category_id", 0, math.MaxInt64)
	case "score":
		r.once(hasScore, "score")
		d.Score, err = r.real("score")
	case "bbox":
		d.Box, err = r.box()
		d.HasBox = true
	case "segmentation":
		d.Segmentation, err = r.segmentation()
	case "id", "area", "iscrowd": // of tools that write annotations
		err = r.skip()
	default:
		return false, nil
	}
	return true, err
}

// use checks a detection and keeps it.
func (r *detectionReader) use() {
	r.require(hasImage, "image_id")
	r.require(hasCategory, "category_id")
	r.require(hasScore, "score")
	d := &r.found
	im := r.images[d.Image]
	switch s := &d.Segmentation; {
	case r.record.useless:
	case im == nil:
		r.useless("image_id", "%d is that of no image of the data set", d.Image)
	case !r.categories[d.Category]:
		r.useless("category_id", "%d is that of no category of the data set", d.Category)
	case !d.HasBox && s.Empty():
		r.useless("bbox", "is missing, and so is segmentation")
	case s.Size != [2]int{} && s.Size != [2]int{im.Height, im.Width}:
		r.useless("segmentation", "size is %d×%d, and the image has %d×%d (height×width)", s.Size[0], s.Size[1], im.Height, im.Width)
	case !d.HasBox:
		m, err := s.Mask(im.Height, im.Width)
		if err != nil {
			r.useless("segmentation", "%v", err)
			break
		}
		d.Box = m.Box()
	}
	if r.done() {
		r.all = append(r.all, *d)
	}
	*d = Detection{}
}
