package augment

import (
	"image"
	"math"
	"math/rand/v2"

	"github.com/apex-x/apexx/internal/picture"
)

// Mosaic puts parts of four samples into one, each in its own pixels, left to right and top to bottom. What a sample is too small to fill
// stays black. The part of a sample is chosen so that one of its important objects is in it whole: one of at least ImportantArea
// of the picture's pixels, or else the largest. A crowd is not important.
type Mosaic struct {
	Height, Width int     // at least 2
	SplitJitter   float64 // how far the place where the four meet may be off the middle, in parts of a side from 0 to 0.45
	ImportantArea float64 // from 0 to 1
}

// MosaicLimits are those of the original's mosaic.
var MosaicLimits = Limits{MinArea: 1, MinVisibility: 0.15}

// NewMosaic returns a mosaic of that size with the original's settings.
func NewMosaic(height, width int) *Mosaic {
	return &Mosaic{Height: height, Width: width, SplitJitter: 0.1, ImportantArea: 0.03}
}

// Combine makes the mosaic. Objects are in the order of the samples.
func (m *Mosaic) Combine(four [4]Sample, limits Limits, rnd *rand.Rand) Sample {
	out := Sample{Picture: &picture.Picture{Width: m.Width, Height: m.Height, Pix: make([]byte, 3*m.Width*m.Height)}}
	row := split(m.Height, m.SplitJitter, rnd)
	column := split(m.Width, m.SplitJitter, rnd)
	for i, quadrant := range []image.Rectangle{
		image.Rect(0, 0, column, row), image.Rect(column, 0, m.Width, row), image.Rect(0, row, column, m.Height), image.Rect(column, row, m.Width, m.Height),
	} {
		part := four[i].Crop(m.window(four[i], quadrant.Size(), rnd), limits)
		paste(out.Picture, quadrant.Min, part.Picture, image.Rect(0, 0, part.Picture.Width, part.Picture.Height))
		for _, o := range part.Objects {
			out.Objects = append(out.Objects, o.place(quadrant.Min, m.Height, m.Width))
		}
	}
	return out
}

// split draws where a side is divided: near its middle, and never in its outer quarters.
func split(size int, jitter float64, rnd *rand.Rand) int {
	at := math.RoundToEven(float64(size) * (0.5 + jitter*(2*rnd.Float64()-1)))
	low, high := max(1, math.Floor(0.25*float64(size))), min(float64(size-1), math.Ceil(0.75*float64(size)))
	return int(min(max(at, low), high))
}

// window chooses the part of a sample that a quadrant shows.
func (m *Mosaic) window(s Sample, quadrant image.Point, rnd *rand.Rand) image.Rectangle {
	width, height := min(quadrant.X, s.Picture.Width), min(quadrant.Y, s.Picture.Height)
	low, high := [2]float64{}, [2]float64{float64(s.Picture.Width), float64(s.Picture.Height)}
	if important := m.important(s); len(important) > 0 {
		box := important[rnd.IntN(len(important))].Box
		for k := range low {
			low[k], high[k] = max(box[k], 0), min(box[k]+box[k+2], high[k])
		}
	} else {
		high = low // nothing to show: any place will do
	}
	x := origin(width, s.Picture.Width, low[0], high[0], rnd)
	y := origin(height, s.Picture.Height, low[1], high[1], rnd)
	return image.Rect(x, y, x+width, y+height)
}

// important returns the objects one of which is to be seen whole.
func (m *Mosaic) important(s Sample) []Object {
	var list []Object
	largest, most := -1, -1.0
	least := m.ImportantArea * float64(s.Picture.Width) * float64(s.Picture.Height)
	for i, o := range s.Objects {
		area := o.Box[2] * o.Box[3]
		if o.Crowd {
			continue
		}
		if area >= least {
			list = append(list, o)
		}
		if area > most {
			largest, most = i, area
		}
	}
	if len(list) == 0 && largest >= 0 {
		return s.Objects[largest : largest+1]
	}
	return list
}

// origin draws where a window of length begins on a side of size, so that it holds everything from low to high. What is longer than the
// window has its middle in the middle, as far as the side allows. With nothing to hold, low and high are both 0, and any place is as good.
func origin(length, size int, low, high float64, rnd *rand.Rand) int {
	last := size - length
	if last == 0 {
		return 0
	}
	first, end := 0, last
	if low < high {
		first, end = max(0, int(math.Ceil(high))-length), min(last, int(math.Floor(low)))
	}
	if first > end {
		middle := math.RoundToEven((low+high)/2 - float64(length)/2)
		return int(min(max(middle, 0), float64(last)))
	}
	return first + rnd.IntN(end-first+1)
}

// place moves an object into a larger picture.
func (o Object) place(at image.Point, height, width int) Object {
	o.Box[0], o.Box[1] = o.Box[0]+float64(at.X), o.Box[1]+float64(at.Y)
	if o.Mask != nil {
		m := o.Mask.Window(-at.X, -at.Y, height, width)
		o.Mask = &m
	}
	return o
}
