package augment

import (
	"image"

	"github.com/apex-x/apexx/internal/picture"
)

// Limits say which objects stay when a picture is cut.
type Limits struct {
	MinArea       float64 // of the box that is left, in pixels
	MinVisibility float64 // of the object's pixels, or of its box without a mask, the part that is left, in [0,1]
}

// Crop takes the part of a sample inside a window, which lies in the picture. Boxes are cut at its border. An object that is smaller or
// less visible than the limits, or of whose mask nothing is left, is left out; a crowd stays as long as anything of it does, since what is
// found there is not wrong.
func (s Sample) Crop(window image.Rectangle, limits Limits) Sample {
	out := Sample{Picture: &picture.Picture{Width: window.Dx(), Height: window.Dy(), Pix: make([]byte, 3*window.Dx()*window.Dy())}}
	paste(out.Picture, image.Point{}, s.Picture, window)
	for _, o := range s.Objects {
		if cut, visible := o.crop(window); limits.keep(cut, visible) {
			out.Objects = append(out.Objects, cut)
		}
	}
	return out
}

// keep tells whether an object of which so large a part is visible stays.
func (l Limits) keep(o Object, visible float64) bool {
	if o.Crowd || visible == 0 {
		return visible > 0
	}
	return o.Box[2]*o.Box[3] >= l.MinArea && visible >= l.MinVisibility
}

// crop cuts an object and tells which part of the whole is left. What loses pixels gets its box and area from the others.
func (o Object) crop(window image.Rectangle) (cut Object, visible float64) {
	cut = o
	cut.Box = cutBox(o.Box, window)
	if o.Mask == nil {
		before, after := o.Box[2]*o.Box[3], cut.Box[2]*cut.Box[3]
		if after < before {
			cut.Area *= after / before
		}
		return cut, share(after, o.whole)
	}
	m := o.Mask.Window(window.Min.X, window.Min.Y, window.Dy(), window.Dx())
	cut.Mask = &m
	if after := m.Area(); after < o.Mask.Area() {
		cut.Box, cut.Area = m.Box(), float64(after)
	}
	return cut, share(float64(m.Area()), o.whole)
}

// share is a part of a whole; of nothing it is 0.
func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return part / whole
}

// cutBox returns what of a box is inside a window, from whose corner it counts. Nothing has no sides.
func cutBox(box [4]float64, window image.Rectangle) [4]float64 {
	x, width := cutSide(box[0], box[2], window.Min.X, window.Max.X)
	y, height := cutSide(box[1], box[3], window.Min.Y, window.Max.Y)
	return [4]float64{x, y, width, height}
}

func cutSide(at, length float64, low, high int) (from, left float64) {
	if from, to := max(at, float64(low)), min(at+length, float64(high)); from > at || to < at+length {
		return from - float64(low), max(to-from, 0)
	}
	return at - float64(low), length // nothing is cut, and nothing rounded
}

// paste copies a window of a picture to a place in another, in which it fits.
func paste(to *picture.Picture, at image.Point, from *picture.Picture, window image.Rectangle) {
	for y := range window.Dy() {
		row := 3 * ((window.Min.Y+y)*from.Width + window.Min.X)
		copy(to.Pix[3*((at.Y+y)*to.Width+at.X):][:3*window.Dx()], from.Pix[row:])
	}
}
