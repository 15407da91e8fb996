package reports

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/apex-x/apexx/internal/picture"
)

// palette holds the colours of classes, in the order of Okabe and Ito's set, which people with any common colour blindness
// can tell apart.
var palette = []color.NRGBA{
	{230, 159, 0, 255}, {86, 180, 233, 255}, {0, 158, 115, 255}, {240, 228, 66, 255},
	{0, 114, 178, 255}, {213, 94, 0, 255}, {204, 121, 167, 255}, {240, 240, 240, 255},
}

// Colours of the selected tiles.
var (
	tileL0 = color.NRGBA{255, 255, 255, 200}
	tileL1 = color.NRGBA{120, 255, 255, 170}
)

// Overlay settings.
const (
	maskOpacity = 0.45
	// OverlayMinScore is the least score that an overlay draws of what is on no track; a report lists the weaker detections too.
	OverlayMinScore = 0.35
)

// Scene is one picture with what a run found in it.
type Scene struct {
	Picture    *picture.Picture
	Detections []Detection
	Tiles      []TileBox
	Lost       []LostTrack // of a sequence
}

// TileBox is a selected tile in picture pixels: level 0 or deeper, left, top, right, bottom.
type TileBox struct {
	Level int
	Box   [4]float64
}

// Overlay draws a scene: masks, boxes with class and score, and the selected tiles (level 0 dashed white, deeper levels
// dotted cyan). Detections are drawn from the weakest to the strongest, so that the best is on top. In a sequence the colour of
// a detection is that of its track, whose id its label begins with, and a dashed frame shows where a lost track should be.
func Overlay(s Scene) *image.NRGBA {
	img := s.Picture.Image()
	unit := max(1, int(math.Round(float64(max(s.Picture.Width, s.Picture.Height))/512)))
	for _, t := range s.Tiles {
		if t.Level == 0 {
			dashed(img, t.Box, unit, 6*unit, tileL0)
		} else {
			dashed(img, t.Box, unit, 2*unit, tileL1)
		}
	}
	shown := drawable(s.Detections)
	for _, d := range shown {
		tint(img, d.Detection, d.colour())
	}
	lost := slices.DeleteFunc(slices.Clone(s.Lost), func(l LostTrack) bool { return !pixels(l.bounds()).Overlaps(img.Rect) })
	for _, l := range lost {
		dashed(img, l.bounds(), unit, 4*unit, trackColour(l.ID))
	}
	for _, d := range shown {
		outline(img, d.box, 2*unit, d.colour())
	}
	for _, l := range lost {
		label(img, l.bounds(), fmt.Sprintf("#%d lost", l.ID), unit, trackColour(l.ID))
	}
	for _, d := range shown {
		label(img, d.box, d.caption(), unit, d.colour())
	}
	return img
}

// located is a detection with a finite box.
type located struct {
	Detection
	box [4]float64
}

func (d Detection) colour() color.NRGBA {
	if d.TrackID != 0 {
		return trackColour(d.TrackID)
	}
	return classColour(d.ClassID)
}

func (d Detection) caption() string {
	if d.Annotated {
		return d.Class
	}
	text := fmt.Sprintf("%s %.2f", d.Class, d.Score)
	if d.TrackID != 0 {
		text = fmt.Sprintf("#%d %s", d.TrackID, text)
	}
	return text
}

// drawable returns the detections to draw, annotations, those of tracks and those that are strong enough, from the weakest to the strongest; a report has them the other
// way round.
func drawable(detections []Detection) []located {
	var shown []located
	for _, d := range slices.Backward(detections) {
		if box, finite := d.bounds(); finite && (d.Score >= OverlayMinScore || d.TrackID != 0 || d.Annotated) {
			shown = append(shown, located{d, box})
		}
	}
	return shown
}

// trackColour gives ids, which count from 1, the colours in their order.
func trackColour(id int64) color.NRGBA { return classColour(id - 1) }

func classColour(id int64) color.NRGBA {
	n := int64(len(palette))
	return palette[((id%n)+n)%n]
}

// tint blends a colour over the pixels of a detection's mask.
func tint(img *image.NRGBA, d Detection, c color.NRGBA) {
	if d.Mask == nil {
		return
	}
	for x, y := range d.Mask.Pixels() {
		blend(img, x, y, c, maskOpacity)
	}
}

func blend(img *image.NRGBA, x, y int, c color.NRGBA, opacity float64) {
	if !image.Pt(x, y).In(img.Rect) {
		return
	}
	i := img.PixOffset(x, y)
	for k, v := range [3]uint8{c.R, c.G, c.B} {
		img.Pix[i+k] = uint8(float64(img.Pix[i+k])*(1-opacity) + float64(v)*opacity + 0.5)
	}
}

// pixels rounds a box to the pixel rectangle that it covers.
func pixels(b [4]float64) image.Rectangle {
	return image.Rect(int(math.Floor(b[0])), int(math.Floor(b[1])), int(math.Ceil(b[2])), int(math.Ceil(b[3])))
}

// outline draws a frame of the given thickness just inside a box.
func outline(img *image.NRGBA, b [4]float64, thick int, c color.NRGBA) {
	r := pixels(b)
	for _, side := range []image.Rectangle{
		image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+thick), image.Rect(r.Min.X, r.Max.Y-thick, r.Max.X, r.Max.Y),
		image.Rect(r.Min.X, r.Min.Y, r.Min.X+thick, r.Max.Y), image.Rect(r.Max.X-thick, r.Min.Y, r.Max.X, r.Max.Y),
	} {
		draw.Draw(img, side.Intersect(r), image.NewUniform(c), image.Point{}, draw.Src)
	}
}

// dashed draws a frame whose pixels alternate every dash pixels.
func dashed(img *image.NRGBA, b [4]float64, thick, dash int, c color.NRGBA) {
	r := pixels(b)
	visible := r.Intersect(img.Rect)
	opacity := float64(c.A) / 255
	for y := visible.Min.Y; y < visible.Max.Y; y++ {
		for x := visible.Min.X; x < visible.Max.X; x++ {
			if x-r.Min.X >= thick && r.Max.X-x > thick && y-r.Min.Y >= thick && r.Max.Y-y > thick {
				x = max(x, r.Max.X-thick-1) // skip the inside of the row
				continue
			}
			if ((x+y)/dash)%2 == 0 {
				blend(img, x, y, c, opacity)
			}
		}
	}
}

// label writes text on a filled plate above a box, or inside it at the top edge of the picture. The plate stays inside the
// picture as far as it fits.
func label(img *image.NRGBA, b [4]float64, text string, unit int, c color.NRGBA) {
	face := basicfont.Face7x13
	w, h := font.MeasureString(face, text).Ceil()+4, face.Height+1
	plate := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(plate, plate.Rect, image.NewUniform(c), image.Point{}, draw.Src)
	d := font.Drawer{Dst: plate, Src: image.NewUniform(textColour(c)), Face: face, Dot: fixed.P(2, face.Ascent)}
	d.DrawString(text)

	r := pixels(b)
	x := min(max(r.Min.X, 0), max(0, img.Rect.Dx()-w*unit))
	y := r.Min.Y - h*unit
	if y < 0 {
		y = min(max(r.Min.Y, 0), max(0, img.Rect.Dy()-h*unit))
	}
	for py := range h * unit {
		for px := range w * unit {
			if p := image.Pt(x+px, y+py); p.In(img.Rect) {
				img.SetNRGBA(p.X, p.Y, plate.NRGBAAt(px/unit, py/unit))
			}
		}
	}
}

// textColour is black on light plates and white on dark ones (Rec. 709 luma).
func textColour(c color.NRGBA) color.Color {
	if 0.2126*float64(c.R)+0.7152*float64(c.G)+0.0722*float64(c.B) > 110 {
		return color.Black
	}
	return color.White
}
