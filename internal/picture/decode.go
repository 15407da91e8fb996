// Package picture turns photographs into the model's input and the model's boxes and masks back into the photograph.
//
// A file is decoded (decode.go, orientation.go), fitted into the input shape with a border (letterbox.go), and the same
// geometry maps detections back to the picture's own pixels (letterbox.go, rle.go).
package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // registers the decoder
	"image/png"
	"io"
	"os"
)

// Limits on what is decoded: a header can promise any number of pixels.
const (
	MaxBytes  = 256 << 20 // of a file
	MaxPixels = 64 << 20  // of a picture
)

// Picture is an upright 8-bit RGB picture: three bytes a pixel, row-major.
type Picture struct {
	Width, Height int
	Pix           []byte // len 3·Width·Height
}

// At returns the pixel in column x and row y.
func (p *Picture) At(x, y int) (r, g, b byte) {
	i := 3 * (y*p.Width + x)
	return p.Pix[i], p.Pix[i+1], p.Pix[i+2]
}

// Load reads a PNG or JPEG file.
func Load(path string) (*Picture, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Decode reads a PNG or JPEG of any colour type as 8-bit RGB and applies its orientation tag. Transparency is dropped: the
// colour under it counts. Errors say what is wrong with the file: not an image, truncated, too large, or without pixels.
func Decode(r io.Reader) (*Picture, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("the file is larger than %d MiB", MaxBytes>>20)
	}
	cfg, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, explain(err)
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > MaxPixels/cfg.Height {
		return nil, fmt.Errorf("%s of %d×%d pixels: want at least one and at most %d million", format, cfg.Width, cfg.Height, MaxPixels>>20)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, explain(err)
	}
	return FromImage(img).Oriented(orientation(data)), nil
}

func explain(err error) error {
	switch {
	case errors.Is(err, image.ErrFormat):
		return errors.New("not a PNG or JPEG image")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, png.FormatError("not enough pixel data")):
		return errors.New("the image is truncated")
	}
	return fmt.Errorf("the image cannot be decoded: %w", err)
}

// FromImage copies an image without its transparency.
func FromImage(img image.Image) *Picture {
	b := img.Bounds()
	p := &Picture{Width: b.Dx(), Height: b.Dy(), Pix: make([]byte, 3*b.Dx()*b.Dy())}
	i := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl := opaque(img, x, y)
			p.Pix[i], p.Pix[i+1], p.Pix[i+2] = r, g, bl
			i += 3
		}
	}
	return p
}

// opaque returns a pixel's colour as if it were opaque, with the fast paths of the usual decoders' results.
func opaque(img image.Image, x, y int) (r, g, b byte) {
	switch m := img.(type) {
	case *image.NRGBA:
		i := m.PixOffset(x, y)
		return m.Pix[i], m.Pix[i+1], m.Pix[i+2]
	case *image.NRGBA64:
		i := m.PixOffset(x, y)
		return m.Pix[i], m.Pix[i+2], m.Pix[i+4]
	}
	cr, cg, cb, a := img.At(x, y).RGBA()
	if a != 0 && a != 0xffff {
		cr, cg, cb = min(cr*0xffff/a, 0xffff), min(cg*0xffff/a, 0xffff), min(cb*0xffff/a, 0xffff)
	}
	return byte(cr >> 8), byte(cg >> 8), byte(cb >> 8)
}

// Image returns the picture as a standard image that shares nothing with it.
func (p *Picture) Image() *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		copy(img.Pix[4*i:], p.Pix[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img
}
