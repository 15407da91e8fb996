package augment

import (
	"fmt"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/mask"
	"github.com/apex-x/apexx/internal/picture"
)

// Sample is a picture with its objects.
type Sample struct {
	Picture *picture.Picture
	Objects []Object
}

// Object is what an annotation says, in pixels of the picture.
type Object struct {
	Category int64
	Box      [4]float64 // x, y, width, height
	Area     float64
	Crowd    bool
	Mask     *mask.RLE // of the picture's size; nil for none

	whole float64 // pixels of the mask, or area of the box, as annotated
}

// newSample takes a picture and the annotations of its image. It is an error if a mask is none or has another size than the picture.
func newSample(p *picture.Picture, annotations []*coco.Annotation) (Sample, error) {
	s := Sample{Picture: p}
	for _, a := range annotations {
		o := Object{Category: a.Category, Box: a.Box, Area: a.Area, Crowd: a.Crowd, whole: a.Box[2] * a.Box[3]}
		if !a.Segmentation.Empty() {
			m, err := a.Segmentation.Mask(p.Height, p.Width)
			if err == nil && m.Size != [2]int{p.Height, p.Width} {
				err = fmt.Errorf("the mask has %d×%d pixels, and the picture %d×%d (height×width)", m.Size[0], m.Size[1], p.Height, p.Width)
			}
			if err != nil {
				return Sample{}, fmt.Errorf("annotation %d: %w", a.ID, err)
			}
			o.Mask, o.whole = &m, float64(m.Area())
		}
		s.Objects = append(s.Objects, o)
	}
	return s, nil
}

// Flip mirrors picture, boxes and masks left to right. Twice it changes nothing, but for the rounding of boxes.
func (s Sample) Flip() Sample {
	out := Sample{Picture: flipPicture(s.Picture)}
	for _, o := range s.Objects {
		o.Box[0] = float64(s.Picture.Width) - o.Box[0] - o.Box[2]
		if o.Mask != nil {
			m := o.Mask.Flip()
			o.Mask = &m
		}
		out.Objects = append(out.Objects, o)
	}
	return out
}

func flipPicture(p *picture.Picture) *picture.Picture {
	out := &picture.Picture{Width: p.Width, Height: p.Height, Pix: make([]byte, len(p.Pix))}
	for y := range p.Height {
		row := 3 * y * p.Width
		for x := range p.Width {
			copy(out.Pix[row+3*(p.Width-1-x):][:3], p.Pix[row+3*x:])
		}
	}
	return out
}
