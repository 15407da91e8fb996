// Package picture turns photographs into the model's input and the model's boxes and masks back into the photograph.
//
// A file is decoded (decode.go, orientation.go), fitted into the input shape with a border (letterbox.go), and the same
// geometry maps detections back to the picture's own pixels (letterbox.go).
package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
)

// MaxPixels bounds what is decoded, and what a picture becomes with its border: a short file can promise any number of pixels.
const MaxPixels = 64 << 20

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

// Load reads a PNG or JPEG file. Errors name it.
func Load(path string) (*Picture, error) {
	data, err := input.Read(path, input.Picture)
	if err != nil {
		return nil, err
	}
	p, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	return p, nil
}

// Size reads the header of a PNG or JPEG file, which tells how large the upright picture is; the rest may still be damaged.
// Errors name the file.
func Size(path string) (width, height int, err error) {
	data, err := input.Read(path, input.Picture)
	if err != nil {
		return 0, 0, err
	}
	f, err := formatOf(data)
	if err == nil {
		width, height, err = f.size(data)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	if orientation(data) >= 5 {
		width, height = height, width
	}
	return width, height, nil
}

// format is a kind of file that is read. Others are not, even where some library registers its decoder with package image.
type format struct {
	name, magic string
	config      func(io.Reader) (image.Config, error)
	decode      func(io.Reader) (image.Image, error)
}

var formats = []format{
	{"PNG", "\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode},
	{"JPEG", "\xff\xd8", jpeg.DecodeConfig, jpeg.Decode},
}

// Decode reads a PNG or JPEG of any colour type as 8-bit RGB and applies its orientation tag. Transparency is dropped: the
// colour under it counts. Errors say what is wrong with the file: not an image, truncated, too large, or without pixels.
func Decode(data []byte) (*Picture, error) {
	f, err := formatOf(data)
	if err != nil {
		return nil, err
	}
	if _, _, err := f.size(data); err != nil {
		return nil, err
	}
	img, err := f.decode(bytes.NewReader(data))
	if err != nil {
		return nil, explain(err)
	}
	return fromImage(img).Oriented(orientation(data)), nil
}

// formatOf recognises a file by its first bytes.
func formatOf(data []byte) (format, error) {
	for _, f := range formats {
		if bytes.HasPrefix(data, []byte(f.magic)) {
			return f, nil
		}
	}
	return format{}, errors.New("not a PNG or JPEG image")
}

// size reads the header, before its promise costs memory.
func (f format) size(data []byte) (width, height int, err error) {
	cfg, err := f.config(bytes.NewReader(data))
	if err != nil {
		return 0, 0, explain(err)
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > MaxPixels/cfg.Height {
		return 0, 0, fmt.Errorf("a %s of %d×%d pixels: want at least one and at most %d million", f.name, cfg.Width, cfg.Height, MaxPixels>>20)
	}
	return cfg.Width, cfg.Height, nil
}

func explain(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, png.FormatError("not enough pixel data")) {
		return errors.New("the image is truncated")
	}
	return fmt.Errorf("the image cannot be decoded: %w", err)
}

// fromImage copies an image without its transparency.
func fromImage(img image.Image) *Picture {
	b := img.Bounds()
	p := &Picture{Width: b.Dx(), Height: b.Dy(), Pix: make([]byte, 3*b.Dx()*b.Dy())}
	at := pixels(img)
	i := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			copy(p.Pix[i:], at(x, y))
			i += 3
		}
	}
	return p
}

// pixels returns a function for the three bytes of a pixel's colour, valid until the next call. The usual results of the decoders have
// theirs at hand.
func pixels(img image.Image) func(x, y int) []byte {
	var rgb [3]byte
	switch m := img.(type) {
	case *image.NRGBA:
		return func(x, y int) []byte { return m.Pix[m.PixOffset(x, y):][:3] }
	case *image.Paletted:
		palette := make([][3]byte, len(m.Palette))
		for i, c := range m.Palette {
			palette[i] = opaque(c)
		}
		return func(x, y int) []byte { return palette[m.ColorIndexAt(x, y)][:] }
	}
	return func(x, y int) []byte {
		rgb = opaque(img.At(x, y))
		return rgb[:]
	}
}

// opaque returns a colour without its transparency. What is not premultiplied keeps its colour under any transparency, whole
// transparency included; of the rest that is the best that its bits still tell.
func opaque(c color.Color) [3]byte {
	switch c := c.(type) {
	case color.NRGBA:
		return [3]byte{c.R, c.G, c.B}
	case color.NRGBA64:
		return [3]byte{byte(c.R >> 8), byte(c.G >> 8), byte(c.B >> 8)}
	}
	r, g, b, a := c.RGBA()
	if a != 0 && a != 0xffff {
		r, g, b = min(r*0xffff/a, 0xffff), min(g*0xffff/a, 0xffff), min(b*0xffff/a, 0xffff)
	}
	return [3]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}
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
