package routing

import (
	"fmt"
	"math"
	"slices"
)

// RGB is an 8-bit colour image, row-major, three bytes per pixel.
type RGB struct {
	H, W int
	Pix  []uint8 // [H,W,3]
}

// OverlayStyle says how tiles are drawn. Start from [DefaultOverlayStyle].
type OverlayStyle struct {
	Fill, Edge           [3]uint8
	FillAlpha, EdgeAlpha float64 // opacity in [0,1]
	LineWidth            int     // of the edge in pixels, > 0
}

// DefaultOverlayStyle returns a translucent red fill with an opaque white edge of one pixel.
func DefaultOverlayStyle() OverlayStyle {
	return OverlayStyle{Fill: [3]uint8{255, 64, 64}, Edge: [3]uint8{255, 255, 255}, FillAlpha: 0.35, EdgeAlpha: 1, LineWidth: 1}
}

// Number is the element type of an image before conversion. Integers are taken as 0 to 255.
type Number interface {
	~float32 | ~float64 | ~uint8 | ~int | ~int32 | ~int64 | ~uint16 | ~int16
}

// ToRGB converts an image [H,W,3] or [3,H,W], either with a leading axis of 1. A first axis of 3 means channels first unless
// the last axis is 3 too. Floats must be finite; if the largest is at most 1, all are multiplied by 255 (in float32). Values
// are then clipped to 0 to 255 and truncated. Source: spec 21.
func ToRGB[T Number](image Array[T]) (RGB, error) {
	shape := image.Shape
	if len(shape) == 4 && shape[0] == 1 {
		shape = shape[1:]
	}
	if len(shape) != 3 {
		return RGB{}, fmt.Errorf("image has shape %v: want rank-3 [H,W,3] or [3,H,W], or one such image", image.Shape)
	}
	if err := image.checkSize("image"); err != nil {
		return RGB{}, err
	}
	channelsFirst := shape[0] == 3 && shape[2] != 3
	h, w, channels := shape[0], shape[1], shape[2]
	if channelsFirst {
		h, w, channels = shape[1], shape[2], shape[0]
	}
	if channels != 3 {
		return RGB{}, fmt.Errorf("image has shape %v: want three channels", image.Shape)
	}
	bytes, err := toBytes(image.Data)
	if err != nil {
		return RGB{}, err
	}
	if !channelsFirst {
		return RGB{h, w, bytes}, nil
	}
	pix := make([]uint8, len(bytes))
	for i, v := range bytes {
		pix[i%(h*w)*3+i/(h*w)] = v
	}
	return RGB{h, w, pix}, nil
}

func toBytes[T Number](data []T) ([]uint8, error) {
	scale := float32(1)
	half := 0.5
	if T(half) != 0 { // floats
		for i, v := range data {
			if !finite(float64(v)) {
				return nil, fmt.Errorf("image value %d is %v: must be finite", i, v)
			}
		}
		if len(data) > 0 && slices.Max(data) <= 1 {
			scale = 255
		}
	}
	out := make([]uint8, len(data))
	for i, v := range data {
		out[i] = uint8(min(max(float32(v)*scale, 0), 255))
	}
	return out, nil
}

// DrawTiles returns a copy of the image with the selected tiles filled and then edged, in ascending id, each once. The image
// must hold the whole grid of gridH x gridW tiles of edge tile; what is beyond stays. Per channel,
//
//	v' = (v*(255-a) + colour*a + 127) / 255 in integers, a = round-half-to-even(alpha*255)
//
// and v' = v for a = 0, the colour for a = 255. The edges are drawn as full bands at the top, bottom, left and right, so a
// translucent edge is blended twice in the corners. Source: spec 21.
func DrawTiles(image RGB, selected []int, gridH, gridW, tile int, style OverlayStyle) (RGB, error) {
	if err := checkGrid(gridH, gridW); err != nil {
		return RGB{}, err
	}
	if tile <= 0 || style.LineWidth <= 0 {
		return RGB{}, fmt.Errorf("tile size %d and line width %d: must be > 0", tile, style.LineWidth)
	}
	for _, alpha := range []float64{style.FillAlpha, style.EdgeAlpha} {
		if !(alpha >= 0 && alpha <= 1) {
			return RGB{}, fmt.Errorf("overlay alpha is %v: must be in [0, 1]", alpha)
		}
	}
	if err := image.check(); err != nil {
		return RGB{}, err
	}
	if image.H/tile < gridH || image.W/tile < gridW {
		return RGB{}, fmt.Errorf("image is %dx%d: too small for a grid of %dx%d tiles of %d pixels", image.H, image.W, gridH, gridW, tile)
	}
	for _, id := range selected {
		if err := checkID(id, gridH, gridW); err != nil {
			return RGB{}, err
		}
	}
	out := RGB{image.H, image.W, slices.Clone(image.Pix)}
	fill, edge := brush{style.Fill, byteAlpha(style.FillAlpha)}, brush{style.Edge, byteAlpha(style.EdgeAlpha)}
	line := min(style.LineWidth, tile)
	for _, id := range slices.Compact(slices.Sorted(slices.Values(selected))) {
		y, x := id/gridW*tile, id%gridW*tile
		out.paint(y, x, tile, tile, fill)
		out.paint(y, x, line, tile, edge)
		out.paint(y+tile-line, x, line, tile, edge)
		out.paint(y, x, tile, line, edge)
		out.paint(y, x+tile-line, tile, line, edge)
	}
	return out, nil
}

func (r RGB) check() error {
	return Array[uint8]{r.Pix, []int{r.H, r.W, 3}}.checkSize("image pixels")
}

// brush is a colour and its weight of 255.
type brush struct {
	colour [3]uint8
	alpha  int
}

func byteAlpha(alpha float64) int { return int(math.RoundToEven(alpha * 255)) }

// paint blends the brush into a rectangle.
func (r RGB) paint(y, x, h, w int, b brush) {
	if b.alpha == 0 {
		return
	}
	for row := y; row < y+h; row++ {
		pix := r.Pix[(row*r.W+x)*3:][:w*3]
		for i, v := range pix {
			pix[i] = uint8((int(v)*(255-b.alpha) + int(b.colour[i%3])*b.alpha + 127) / 255)
		}
	}
}

// EncodePPM returns the image as a binary PPM (P6) file.
func (r RGB) EncodePPM() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return append(fmt.Appendf(nil, "P6\n%d %d\n255\n", r.W, r.H), r.Pix...), nil
}
