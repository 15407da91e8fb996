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
	"github.com/apex-x/apexx/internal/mask"
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

// byImage returns the objects of each image, in the order of the file.
func (s *Set) byImage() map[int64][]*coco.Annotation {
	all := make(map[int64][]*coco.Annotation, len(s.Data.Images))
	for i := range s.Data.Annotations {
		a := &s.Data.Annotations[i]
		all[a.Image] = append(all[a.Image], a)
	}
	return all
}

// labels is the truth about the pixels of an image: 0 is background, class i is i+1. Where objects overlap the smaller one counts, and
// the pixels of crowds do not count at all.
func labels(im coco.Image, objects []*coco.Annotation, classes coco.Mapping) ([]uint8, error) {
	out := make([]uint8, im.Width*im.Height)
	owner := make([]int32, len(out)) // area of the object whose pixel it is
	for _, a := range objects {
		m, err := a.Segmentation.Mask(im.Height, im.Width)
		if err != nil {
			return nil, fmt.Errorf("annotation %d: %w", a.ID, err)
		}
		paint(out, owner, m, im.Width, int32(m.Area()), label(a, classes))
	}
	return out, nil
}

func label(a *coco.Annotation, classes coco.Mapping) uint8 {
	if a.Crowd {
		return evaluate.Ignored
	}
	return uint8(classes.Class[a.Category] + 1)
}

func paint(out []uint8, owner []int32, m mask.RLE, width int, area int32, label uint8) {
	for x, y := range m.Pixels() {
		if i := y*width + x; owner[i] == 0 || area < owner[i] {
			out[i], owner[i] = label, area
		}
	}
}

// mostLabels is how many classes fit labels of a byte beside background and Ignored.
const mostLabels = 254
