package augment

import (
	"context"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/printable"
)

// Source is a data set whose pictures can be read.
type Source struct {
	Data    *coco.Dataset
	Picture func(coco.Image) (*picture.Picture, error)
}

// Write makes a data set of count samples in a folder that has none: the pictures as PNG in images, and annotations.json when all of them are
// there. Nothing is overwritten. The error names the picture that cannot be read, or the file that cannot be written.
func (r Recipe) Write(ctx context.Context, from Source, count int, dir string) (*coco.Dataset, error) {
	folder, annotations := filepath.Join(dir, "images"), filepath.Join(dir, "annotations.json")
	for _, path := range []string{folder, annotations} {
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("%s is there already; choose another folder", printable.Line(path))
		}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	objects := map[int64][]*coco.Annotation{}
	for i := range from.Data.Annotations {
		a := &from.Data.Annotations[i]
		objects[a.Image] = append(objects[a.Image], a)
	}
	load := func(i int) (Sample, error) {
		im := from.Data.Images[i]
		p, err := from.Picture(im)
		if err != nil {
			return Sample{}, err
		}
		return newSample(p, objects[im.ID])
	}
	out := &coco.Dataset{Categories: from.Data.Categories}
	for i := range count {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := r.Make(i, len(from.Data.Images), load)
		if err != nil {
			return nil, err
		}
		im := s.addTo(out, fmt.Sprintf("%06d.png", i+1))
		if err := atomicfile.WriteFile(filepath.Join(folder, im.FileName), 0o644, func(w io.Writer) error { return encoder.Encode(w, s.Picture.Image()) }); err != nil {
			return nil, err
		}
	}
	return out, atomicfile.WriteFile(annotations, 0o644, out.Write)
}

// encoder of pictures, which take most of the time.
var encoder = png.Encoder{CompressionLevel: png.BestSpeed}

// addTo adds the records of a sample to a data set; ids count from 1.
func (s Sample) addTo(d *coco.Dataset, name string) coco.Image {
	im := coco.Image{ID: int64(len(d.Images) + 1), FileName: name, Width: s.Picture.Width, Height: s.Picture.Height}
	d.Images = append(d.Images, im)
	for _, o := range s.Objects {
		a := coco.Annotation{ID: int64(len(d.Annotations) + 1), Image: im.ID, Category: o.Category, Box: o.Box, Area: o.Area, Crowd: o.Crowd}
		if o.Mask != nil {
			a.Segmentation = coco.Segmentation{Size: o.Mask.Size, Counts: o.Mask.Counts}
		}
		d.Annotations = append(d.Annotations, a)
	}
	return im
}
