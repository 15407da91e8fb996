package picture

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/internal/mask"
)

// Border is the value of the pixels around a fitted picture.
const Border = 0.5

// Fit is where a picture lies in the input: scaled to InnerWidth × InnerHeight with its top-left corner at (Left, Top) of
// Width × Height.
type Fit struct {
	PictureWidth, PictureHeight int
	Width, Height               int
	InnerWidth, InnerHeight     int
	Left, Top                   int
}

// NearestShape returns the multiples of side nearest to a picture's own size, at least one multiple each: the input shape
// that keeps its aspect and resolution best.
func NearestShape(width, height, side int) (w, h int) {
	near := func(n int) int { return max(1, (n+side/2)/side) * side }
	return near(width), near(height)
}

// NewFit centres a picture in an input of the given size, at most MaxPixels, as large as its aspect allows.
func NewFit(pictureWidth, pictureHeight, width, height int) (Fit, error) {
	if pictureWidth < 1 || pictureHeight < 1 || width < 1 || height < 1 {
		return Fit{}, fmt.Errorf("cannot fit a picture of %d×%d into %d×%d", pictureWidth, pictureHeight, width, height)
	}
	if width > MaxPixels/height {
		return Fit{}, fmt.Errorf("the picture of %d×%d pixels becomes an input of %d×%d with its border: want at most %d million pixels",
			pictureWidth, pictureHeight, width, height, MaxPixels>>20)
	}
	scale := math.Min(float64(width)/float64(pictureWidth), float64(height)/float64(pictureHeight))
	inner := func(n, limit int) int { return min(max(int(math.Round(float64(n)*scale)), 1), limit) }
	f := Fit{PictureWidth: pictureWidth, PictureHeight: pictureHeight, Width: width, Height: height,
		InnerWidth: inner(pictureWidth, width), InnerHeight: inner(pictureHeight, height)}
	f.Left, f.Top = (width-f.InnerWidth)/2, (height-f.InnerHeight)/2
	return f, nil
}

// axis is the bilinear rule along one side: for each output position two sources and the weight of the second.
type axis struct {
	low, high []int
	weight    []float32
}

// newAxis computes src = max(0, (dst+0.5)·in/out - 0.5), clamped to the last source (spec/model.md 0.2).
func newAxis(in, out int) axis {
	a := axis{make([]int, out), make([]int, out), make([]float32, out)}
	scale := float32(in) / float32(out)
	for i := range out {
		src := max(0, float32(scale*(float32(i)+0.5))-0.5)
		low := min(int(src), in-1)
		a.low[i], a.high[i], a.weight[i] = low, min(low+1, in-1), src-float32(low)
	}
	return a
}

// Tensor writes the fitted picture as three planes of values in [0,1] into dst, which holds 3·Height·Width elements
// (channel-first). Scaling is bilinear with half-pixel centres and no antialiasing; a picture of the inner size is copied
// exactly.
func (f Fit) Tensor(p *Picture, dst []float32) error {
	plane := f.Width * f.Height
	if len(dst) != 3*plane || p.Width != f.PictureWidth || p.Height != f.PictureHeight {
		return fmt.Errorf("a picture of %d×%d and %d elements do not fit %+v", p.Width, p.Height, len(dst), f)
	}
	for i := range dst {
		dst[i] = Border
	}
	cols, rows := newAxis(p.Width, f.InnerWidth), newAxis(p.Height, f.InnerHeight)
	for y := range f.InnerHeight {
		top, bottom, v := 3*p.Width*rows.low[y], 3*p.Width*rows.high[y], rows.weight[y]
		at := (f.Top+y)*f.Width + f.Left
		for x := range f.InnerWidth {
			left, right, u := 3*cols.low[x], 3*cols.high[x], cols.weight[x]
			for c := range 3 {
				a := lerp(p.Pix[top+left+c], p.Pix[top+right+c], u)
				b := lerp(p.Pix[bottom+left+c], p.Pix[bottom+right+c], u)
				dst[c*plane+at+x] = ((1-v)*a + v*b) / 255
			}
		}
	}
	return nil
}

func lerp(a, b byte, t float32) float32 { return (1-t)*float32(a) + t*float32(b) }

// scales returns the input pixels per picture pixel along both sides.
func (f Fit) scales() (sx, sy float64) {
	return float64(f.InnerWidth) / float64(f.PictureWidth), float64(f.InnerHeight) / float64(f.PictureHeight)
}

// Box maps a box (x1, y1, x2, y2) from input pixels to picture pixels, clamped to the picture.
func (f Fit) Box(b [4]float64) [4]float64 {
	sx, sy := f.scales()
	x := func(v float64) float64 { return min(max((v-float64(f.Left))/sx, 0), float64(f.PictureWidth)) }
	y := func(v float64) float64 { return min(max((v-float64(f.Top))/sy, 0), float64(f.PictureHeight)) }
	return [4]float64{x(b[0]), y(b[1]), x(b[2]), y(b[3])}
}

// Mask resamples mask logits [h,w], which cover the whole input, to the picture and encodes where the logit is at least 0
// (probability ½). It looks only inside box (picture pixels); outside, and for a box with a NaN, everything is 0.
func (f Fit) Mask(logits []float32, h, w int, box [4]float64) mask.RLE {
	sx, sy := f.scales()
	gridX, gridY := float64(w)/float64(f.Width), float64(h)/float64(f.Height)
	x1, x2 := span(box[0], box[2], f.PictureWidth)
	y1, y2 := span(box[1], box[3], f.PictureHeight)
	rows := make([]cell, y2-y1)
	for i := range rows {
		rows[i] = sample((float64(f.Top)+(float64(y1+i)+0.5)*sy)*gridY, h)
	}
	var out mask.Builder
	out.Add(false, x1*f.PictureHeight)
	for x := x1; x < x2; x++ {
		u := sample((float64(f.Left)+(float64(x)+0.5)*sx)*gridX, w)
		out.Add(false, y1)
		for _, v := range rows {
			top := (1-u.weight)*float64(logits[v.low*w+u.low]) + u.weight*float64(logits[v.low*w+u.high])
			bottom := (1-u.weight)*float64(logits[v.high*w+u.low]) + u.weight*float64(logits[v.high*w+u.high])
			out.Add((1-v.weight)*top+v.weight*bottom >= 0, 1)
		}
		out.Add(false, f.PictureHeight-y2)
	}
	out.Add(false, (f.PictureWidth-x2)*f.PictureHeight)
	return out.RLE(f.PictureHeight, f.PictureWidth)
}

// span returns the pixels of [0,n) that the interval [low,high] touches.
func span(low, high float64, n int) (from, to int) {
	low, high = max(math.Floor(low), 0), min(math.Ceil(high), float64(n))
	if !(low < high) { // NaN included
		return 0, 0
	}
	return int(low), int(high)
}

// cell is two neighbours on a grid and the weight of the second.
type cell struct {
	low, high int
	weight    float64
}

// sample returns the cells around a continuous coordinate, edges clamped.
func sample(at float64, n int) cell {
	at = min(max(at-0.5, 0), float64(n-1))
	low := int(at)
	return cell{low, min(low+1, n-1), at - float64(low)}
}
