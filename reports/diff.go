package reports

import (
	"image"
	"image/color"
)

// DiffImage returns the absolute difference of two pictures per colour channel, times gain and saturated: black where both
// agree. Each is aligned to its upper left corner; where the other has no pixel the result is magenta, so that a difference
// in size cannot be overlooked. A gain of 0 means 1. Alpha is not compared: both are flattened onto black.
func DiffImage(a, b image.Image, gain float64) image.Image {
	if gain == 0 {
		gain = 1
	}
	sizeA, sizeB := a.Bounds().Size(), b.Bounds().Size()
	out := image.NewRGBA(image.Rect(0, 0, max(sizeA.X, sizeB.X), max(sizeA.Y, sizeB.Y)))
	for y := range out.Rect.Max.Y {
		for x := range out.Rect.Max.X {
			if p := image.Pt(x, y); !p.In(image.Rectangle{Max: sizeA}) || !p.In(image.Rectangle{Max: sizeB}) {
				out.SetRGBA(x, y, color.RGBA{R: 255, B: 255, A: 255})
				continue
			}
			r1, g1, b1, _ := a.At(a.Bounds().Min.X+x, a.Bounds().Min.Y+y).RGBA()
			r2, g2, b2, _ := b.At(b.Bounds().Min.X+x, b.Bounds().Min.Y+y).RGBA()
			out.SetRGBA(x, y, color.RGBA{amplify(r1, r2, gain), amplify(g1, g2, gain), amplify(b1, b2, gain), 255})
		}
	}
	return out
}

// amplify scales the difference of two 16-bit channels to 8 bits.
func amplify(a, b uint32, gain float64) uint8 {
	d := float64(max(a, b)-min(a, b)) / 257 * gain
	return uint8(min(d+0.5, 255))
}
