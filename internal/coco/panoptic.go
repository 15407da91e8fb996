package coco

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"path/filepath"

	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/mask"
	"github.com/apex-x/apexx/internal/printable"
)

// Panoptic is what a panoptic file holds: the segments of each image, whose pixels are in a picture of its own.
type Panoptic struct {
	Categories []Category      // of the truth; results have none
	Images     []PanopticImage // in the order of the file
}

// PanopticImage is the record of one image.
type PanopticImage struct {
	Image    int64
	FileName string // of the picture, within the folder
	Segments []PanopticSegment
}

// PanopticSegment is a segment of an image.
type PanopticSegment struct {
	ID, Category int64
	Crowd        bool
}

// ReadPanoptic reads a panoptic file: an object with annotations and, for the truth, categories. Images are not needed. Every error
// names the file; problems are as in Read.
func ReadPanoptic(path string, truth bool, o Options) (*Panoptic, Problems, error) {
	f, err := input.Open(path, input.Annotations)
	if err != nil {
		return nil, Problems{}, err
	}
	defer f.Close()
	p, problems, err := DecodePanoptic(f, truth, o)
	if err != nil {
		return nil, problems, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	return p, problems, nil
}

// DecodePanoptic is ReadPanoptic for a stream.
func DecodePanoptic(in io.Reader, truth bool, o Options) (*Panoptic, Problems, error) {
	r := &panopticReader{reader: *newReader(in, o)}
	lists := map[string]func() error{"annotations": r.annotations}
	if truth {
		lists["categories"] = r.categories
	}
	r.others = []string{"images", "categories"}
	err := r.file(lists)
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return nil, r.problems, err
	}
	p := &Panoptic{Images: r.found}
	distinct(&r.reader, "categories", r.places[1], &r.data.Categories, func(c *Category) int64 { return c.ID })
	distinct(&r.reader, "annotations", r.places[2], &p.Images, func(im *PanopticImage) int64 { return im.Image })
	p.Categories = r.data.Categories
	if o.Strict && r.problems.Count > 0 {
		return nil, r.problems, &StrictError{r.problems}
	}
	return p, r.problems, nil
}

type panopticReader struct {
	reader
	image PanopticImage
	found []PanopticImage
}

func (r *panopticReader) annotations() error {
	return r.records("annotations", r.field, func() {
		r.require(hasImage, "image_id")
		r.require(hasName, "file_name")
		r.require(hasSegments, "segments_info")
		if r.done() {
			r.found = append(r.found, r.image)
			r.places[2] = append(r.places[2], int32(r.record.index))
		}
		r.image = PanopticImage{}
	})
}

func (r *panopticReader) field(key []byte) (bool, error) {
	var err error
	switch string(key) {
	case "image_id":
		r.image.Image, err = r.integer(hasImage, "image_id", 0, math.MaxInt64)
	case "file_name":
		r.image.FileName, err = r.name(hasName, "file_name")
	case "segments_info":
		err = r.segments()
	default:
		return false, nil
	}
	return true, err
}

// segments reads the list of segments. A segment that cannot be used makes the whole record useless: its pixels would count as void.
func (r *panopticReader) segments() error {
	r.once(hasSegments, "segments_info")
	ok, err := r.is("segments_info", "a list", func(c byte) bool { return c == '[' })
	if !ok {
		return err
	}
	return r.list(func(i int) error {
		ok, err := r.is("segments_info", "objects", func(c byte) bool { return c == '{' })
		if !ok {
			return err
		}
		s := PanopticSegment{ID: -1, Category: -1}
		err = r.object(func(key []byte) error {
			var err error
			var crowd int64
			r.record.seen &^= hasOwnID | hasCategory | hasCrowd // each segment has them
			switch string(key) {
			case "id":
				s.ID, err = r.integer(hasOwnID, "segments_info id", 1, 1<<24-1)
			case "category_id":
				s.Category, err = r.integer(hasCategory, "segments_info category_id", 0, math.MaxInt64)
			case "iscrowd":
				crowd, err = r.integer(hasCrowd, "segments_info iscrowd", 0, 1)
				s.Crowd = crowd == 1
			default:
				err = r.skip() // area, bbox and others: the picture tells
			}
			return err
		})
		if s.ID < 0 || s.Category < 0 {
			r.useless("segments_info", "segment %d has no id or no category_id", i)
		}
		r.image.Segments = append(r.image.Segments, s)
		return err
	})
}

// Map reads the picture of an image: the number of a segment is red + 256·green + 65536·blue.
func (im PanopticImage) Map(folder string) (ids []int32, height, width int, err error) {
	if !filepath.IsLocal(im.FileName) {
		return nil, 0, 0, fmt.Errorf("image %d: the file name %s leads out of the folder of the pictures", im.Image, printable.Line(im.FileName))
	}
	path := filepath.Join(folder, im.FileName)
	data, err := input.Read(path, input.Picture)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("image %d: %w", im.Image, err)
	}
	header, err := png.DecodeConfig(bytes.NewReader(data))
	if err == nil {
		err = mask.CheckSize(header.Height, header.Width)
	}
	var picture image.Image
	if err == nil {
		picture, err = png.Decode(bytes.NewReader(data))
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("image %d: %s: %w", im.Image, printable.Line(path), err)
	}
	ids = make([]int32, 0, header.Width*header.Height)
	b := picture.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			red, green, blue, _ := picture.At(x, y).RGBA()
			ids = append(ids, int32(red>>8|green>>8<<8|blue>>8<<16))
		}
	}
	return ids, header.Height, header.Width, nil
}
