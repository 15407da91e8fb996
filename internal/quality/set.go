package quality

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/printable"
)

// Set is a data set with its pictures.
type Set struct {
	Name     string
	Data     *coco.Dataset
	Problems coco.Problems // of records that were left out or mended
	SHA256   string        // of the annotation file
	Folder   string        // of the pictures
}

// Scenes is the name of the data set in the fixtures folder.
const Scenes = "scenes"

// Open reads an annotation file, or the scenes of the fixtures folder for the name Scenes. The pictures are in the folder that is given,
// else in images beside the file, else in the file's own folder.
func Open(path, folder string, o coco.Options) (*Set, error) {
	name := printable.Line(filepath.Base(path))
	if path == Scenes {
		dir, err := fixtures.Dir()
		if err != nil {
			return nil, err
		}
		name, path = Scenes, filepath.Join(dir, "scenes", "annotations.json")
	}
	digest, err := fileDigest(path)
	if err != nil {
		return nil, err
	}
	data, problems, err := coco.Read(path, o)
	if err != nil {
		return nil, err
	}
	s := &Set{Name: name, Data: data, Problems: problems, SHA256: digest, Folder: folder}
	switch {
	case len(data.Images) == 0:
		return nil, fmt.Errorf("%s has no images that can be used", printable.Line(path))
	case len(data.Categories) == 0:
		return nil, fmt.Errorf("%s has no categories that can be used", printable.Line(path))
	}
	if folder == "" {
		s.Folder = filepath.Join(filepath.Dir(path), "images")
		if info, err := os.Stat(s.Folder); err != nil || !info.IsDir() {
			s.Folder = filepath.Dir(path)
		}
	}
	return s, nil
}

func fileDigest(path string) (digest string, err error) {
	f, err := input.Open(path, input.Annotations)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, f.Close())
}

// Picture reads the picture of an image. Its sides have to be those of the record, and its name may not lead out of the folder.
func (s *Set) Picture(im coco.Image) (*picture.Picture, error) {
	if !filepath.IsLocal(im.FileName) {
		return nil, fmt.Errorf("image %d: the file name %s leads out of the folder of the pictures", im.ID, printable.Line(im.FileName))
	}
	p, err := picture.Load(filepath.Join(s.Folder, im.FileName))
	if err != nil {
		return nil, fmt.Errorf("image %d: %w", im.ID, err)
	}
	if p.Width != im.Width || p.Height != im.Height {
		return nil, fmt.Errorf("image %d: the picture %s has %d×%d pixels, and its record %d×%d", im.ID, printable.Line(im.FileName), p.Width, p.Height, im.Width, im.Height)
	}
	return p, nil
}

// HasMasks tells whether every object has a mask, so that masks can be evaluated.
func (s *Set) HasMasks() bool {
	for i := range s.Data.Annotations {
		if s.Data.Annotations[i].Segmentation.Empty() {
			return false
		}
	}
	return len(s.Data.Annotations) > 0
}

// ByImage returns the objects of each image, in the order of the file.
func (s *Set) ByImage() map[int64][]*coco.Annotation {
	all := make(map[int64][]*coco.Annotation, len(s.Data.Images))
	for i := range s.Data.Annotations {
		a := &s.Data.Annotations[i]
		all[a.Image] = append(all[a.Image], a)
	}
	return all
}

// owners tells whose each pixel of an image is: 0 of none, else the place of an object from 1. Where objects overlap it is the smaller one's.
func owners(im coco.Image, objects []*coco.Annotation) ([]int32, error) {
	out := make([]int32, im.Width*im.Height)
	areas := make([]int, len(objects)+1)
	for i, a := range objects {
		m, err := a.Segmentation.Mask(im.Height, im.Width)
		if err != nil {
			return nil, fmt.Errorf("annotation %d: %w", a.ID, err)
		}
		areas[i+1] = m.Area()
		for x, y := range m.Pixels() {
			if at := y*im.Width + x; out[at] == 0 || areas[i+1] < areas[out[at]] {
				out[at] = int32(i + 1)
			}
		}
	}
	return out, nil
}

// labels is the truth about the pixels of an image: 0 is background, class i is i+1. The pixels of crowds do not count.
func labels(owner []int32, objects []*coco.Annotation, classes coco.Mapping) []uint8 {
	of := make([]uint8, len(objects)+1)
	for i, a := range objects {
		if of[i+1] = uint8(classes.Class[a.Category] + 1); a.Crowd {
			of[i+1] = evaluate.Ignored
		}
	}
	out := make([]uint8, len(owner))
	for i, o := range owner {
		out[i] = of[o]
	}
	return out
}

// segments is the truth about the parts of an image: every object that has a pixel of its own, and the background as class 0.
func segments(owner []int32, objects []*coco.Annotation, classes coco.Mapping) evaluate.PanopticImage {
	background := int32(len(objects) + 1)
	im := evaluate.PanopticImage{Map: make([]int32, len(owner))}
	seen := make([]bool, background+1)
	for i, o := range owner {
		if o == 0 {
			o = background
		}
		im.Map[i], seen[o] = o, true
	}
	for i, a := range objects {
		if seen[i+1] {
			im.Segments = append(im.Segments, evaluate.Segment{ID: int32(i + 1), Class: classes.Class[a.Category] + 1, Crowd: a.Crowd})
		}
	}
	if seen[background] {
		im.Segments = append(im.Segments, evaluate.Segment{ID: background})
	}
	return im
}

// mostLabels is how many classes fit labels of a byte beside background and Ignored.
const mostLabels = 254

// PicturesDigest is the SHA-256 of the pictures' files, each behind its length, in the order of the data set. A picture that cannot be opened is
// told before anything is measured.
func (s *Set) PicturesDigest() (string, error) {
	h := sha256.New()
	for _, im := range s.Data.Images {
		if !filepath.IsLocal(im.FileName) {
			return "", fmt.Errorf("image %d: the file name %s leads out of the folder of the pictures", im.ID, printable.Line(im.FileName))
		}
		data, err := input.Read(filepath.Join(s.Folder, im.FileName), input.Picture)
		if err != nil {
			return "", fmt.Errorf("image %d: %w", im.ID, err)
		}
		fmt.Fprintf(h, "%d\n", len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
