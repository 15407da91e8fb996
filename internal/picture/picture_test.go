package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// numbered returns a picture whose red channel numbers the pixels.
func numbered(w, h int) *Picture {
	p := &Picture{Width: w, Height: h, Pix: make([]byte, 3*w*h)}
	for i := range w * h {
		p.Pix[3*i] = byte(i)
	}
	return p
}

func reds(p *Picture) []byte {
	var out []byte
	for i := 0; i < len(p.Pix); i += 3 {
		out = append(out, p.Pix[i])
	}
	return out
}

func TestOriented(t *testing.T) {
	// The stored pixels are 0 1 2 / 3 4 5; each row is what a viewer shows for that tag.
	want := map[int][]byte{
		1: {0, 1, 2, 3, 4, 5}, 2: {2, 1, 0, 5, 4, 3}, 3: {5, 4, 3, 2, 1, 0}, 4: {3, 4, 5, 0, 1, 2},
		5: {0, 3, 1, 4, 2, 5}, 6: {3, 0, 4, 1, 5, 2}, 7: {5, 2, 4, 1, 3, 0}, 8: {2, 5, 1, 4, 0, 3},
	}
	for tag, w := range want {
		if got := reds(numbered(3, 2).Oriented(tag)); !slices.Equal(got, w) {
			t.Errorf("tag %d: %v, want %v", tag, got, w)
		}
	}
}

// exifBlock is a TIFF block with one directory entry: the orientation, as a SHORT.
func exifBlock(order binary.AppendByteOrder, tag uint16) []byte {
	return append(exifEntry(order, 3), order.AppendUint32(order.AppendUint16(nil, tag), 0)[:8]...)
}

// exifLong is exifBlock with a LONG, as some writers make it.
func exifLong(order binary.AppendByteOrder, tag uint32) []byte {
	return append(exifEntry(order, 4), order.AppendUint32(order.AppendUint32(nil, tag), 0)...)
}

// exifEntry is a TIFF block up to the value of its one directory entry.
func exifEntry(order binary.AppendByteOrder, kind uint16) []byte {
	b := []byte("II*\x00")
	if order == binary.BigEndian {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 1)
	b = order.AppendUint16(b, 0x0112)
	b = order.AppendUint16(b, kind)
	return order.AppendUint32(b, 1)
}

// halfWhite is 16×8 pixels, white on the left.
func halfWhite() image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 16, 8))
	for x := range 8 {
		for y := range 8 {
			img.Set(x, y, color.White)
		}
	}
	return img
}

// jpegWith is halfWhite with an Exif segment that holds a TIFF block, after as many fill bytes as are said.
func jpegWith(t testing.TB, fill int, tiff []byte) []byte {
	t.Helper()
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, halfWhite(), nil); err != nil {
		t.Fatal(err)
	}
	exif := append([]byte("Exif\x00\x00"), tiff...)
	out := append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff}, fill+1)...)
	out = binary.BigEndian.AppendUint16(append(out, 0xe1), uint16(len(exif)+2))
	return slices.Concat(out, exif, plain.Bytes()[2:])
}

// pngWith is halfWhite with an eXIf chunk.
func pngWith(t testing.TB, exif []byte) []byte {
	t.Helper()
	var plain bytes.Buffer
	if err := png.Encode(&plain, halfWhite()); err != nil {
		t.Fatal(err)
	}
	const header = 8 + 25 // signature and IHDR
	data := plain.Bytes()
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(exif)))
	chunk = append(append(chunk, "eXIf"...), exif...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return slices.Concat(data[:header], chunk, data[header:])
}

func TestDecodeHonoursTheOrientation(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	for name, data := range map[string][]byte{
		"JPEG, little-endian":    jpegWith(t, 0, exifBlock(little, 6)),
		"JPEG, big-endian":       jpegWith(t, 0, exifBlock(big, 6)),
		"JPEG, LONG":             jpegWith(t, 0, exifLong(little, 6)),
		"JPEG, big-endian LONG":  jpegWith(t, 0, exifLong(big, 6)),
		"JPEG, fill bytes":       jpegWith(t, 3, exifBlock(little, 6)),
		"PNG":                    pngWith(t, exifBlock(little, 6)),
		"PNG, mark before TIFF":  pngWith(t, append([]byte("Exif\x00\x00"), exifBlock(big, 6)...)),
		"PNG, mark and a LONG":   pngWith(t, append([]byte("Exif\x00\x00"), exifLong(big, 6)...)),
		"JPEG, LONG behind fill": jpegWith(t, 1, exifLong(big, 6)),
	} {
		p, err := Decode(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// White on the left, turned by 90° clockwise, is white on top.
		top, _, _ := p.At(4, 4)
		bottom, _, _ := p.At(min(4, p.Width-1), p.Height-1)
		if p.Width != 8 || p.Height != 16 || top < 200 || bottom > 50 {
			t.Errorf("%s: %d×%d, top %d, bottom %d", name, p.Width, p.Height, top, bottom)
		}
		file := filepath.Join(t.TempDir(), "p")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if w, h, err := Size(file); w != p.Width || h != p.Height || err != nil {
			t.Errorf("%s: size %d×%d, %v", name, w, h, err)
		}
	}
}

// TestBadOrientationIsUpright reads tags that are no orientation: a picture with a broken tag is still a picture.
func TestBadOrientationIsUpright(t *testing.T) {
	little := binary.LittleEndian
	for name, tiff := range map[string][]byte{
		"0": exifBlock(little, 0), "9": exifBlock(little, 9), "a LONG of 2^16+6": exifLong(little, 1<<16+6), "BYTE": append(exifEntry(little, 1), 6, 0, 0, 0, 0, 0, 0, 0),
		"cut": exifBlock(little, 6)[:18], "nothing": nil,
	} {
		for kind, data := range map[string][]byte{"JPEG": jpegWith(t, 0, tiff), "PNG": pngWith(t, tiff)} {
			if p, err := Decode(data); err != nil || p.Width != 16 {
				t.Errorf("%s in a %s: %+v, %v", name, kind, p, err)
			}
		}
	}
}

func TestDecodeColourTypes(t *testing.T) {
	c := color.NRGBA{200, 100, 50, 128}
	rect := image.Rect(0, 0, 2, 2)
	for name, img := range map[string]image.Image{
		"NRGBA":         &image.NRGBA{Pix: bytes.Repeat([]byte{200, 100, 50, 128}, 4), Stride: 8, Rect: rect},
		"opaque":        &image.NRGBA{Pix: bytes.Repeat([]byte{200, 100, 50, 255}, 4), Stride: 8, Rect: rect},
		"palette":       &image.Paletted{Pix: make([]byte, 4), Stride: 2, Rect: rect, Palette: color.Palette{color.NRGBA{200, 100, 50, 255}}},
		"clear palette": &image.Paletted{Pix: make([]byte, 4), Stride: 2, Rect: rect, Palette: color.Palette{color.NRGBA{200, 100, 50, 0}}},
		"half palette":  &image.Paletted{Pix: make([]byte, 4), Stride: 2, Rect: rect, Palette: color.Palette{color.NRGBA{200, 100, 50, 7}}},
		"clear":         &image.NRGBA{Pix: bytes.Repeat([]byte{200, 100, 50, 0}, 4), Stride: 8, Rect: rect},
		"16 bit, clear": uniform64(rect, color.NRGBA64{200 * 257, 100 * 257, 50 * 257, 0}),
		"16 bit":        uniform64(rect, color.NRGBA64{200 * 257, 100 * 257, 50 * 257, 0xffff}),
		"16 alpha":      uniform64(rect, color.NRGBA64{200 * 257, 100 * 257, 50 * 257, uint16(c.A) * 257}),
	} {
		var buf bytes.Buffer
		if err := png.Encode(&buf, img); err != nil {
			t.Fatal(err)
		}
		p, err := Decode(buf.Bytes())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r, g, b := p.At(1, 1); r != 200 || g != 100 || b != 50 {
			t.Errorf("%s: %d %d %d", name, r, g, b)
		}
	}
}

func uniform64(r image.Rectangle, c color.NRGBA64) image.Image {
	img := image.NewNRGBA64(r)
	for x := range r.Dx() {
		for y := range r.Dy() {
			img.SetNRGBA64(x, y, c)
		}
	}
	return img
}

func TestDecodeRejects(t *testing.T) {
	var buf bytes.Buffer
	if err := png.Encode(&buf, image.NewRGBA(image.Rect(0, 0, 9, 9))); err != nil {
		t.Fatal(err)
	}
	whole := buf.Bytes()
	huge := bytes.Clone(whole)
	binary.BigEndian.PutUint32(huge[16:], 1<<30)
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("not an image"), "truncated": whole[:len(whole)/2], "cut header": whole[:20], "huge": huge} {
		if _, err := Decode(data); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestOtherFormatsAreRejected holds GIF, whose decoder this test registers as a library might, and a TIFF header to their contents.
func TestOtherFormatsAreRejected(t *testing.T) {
	var buf bytes.Buffer
	if err := gif.Encode(&buf, halfWhite(), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := image.Decode(bytes.NewReader(buf.Bytes())); err != nil {
		t.Fatalf("no decoder is registered for GIF: %v", err)
	}
	for name, data := range map[string][]byte{"GIF": buf.Bytes(), "TIFF": []byte("II*\x00\x08\x00\x00\x00\x00\x00")} {
		if _, err := Decode(data); err == nil || err.Error() != "not a PNG or JPEG image" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(jpegWith(f, 0, exifBlock(binary.LittleEndian, 6)))
	f.Add(jpegWith(f, 2, exifLong(binary.BigEndian, 3)))
	f.Add(pngWith(f, append([]byte(exifMark), exifLong(binary.LittleEndian, 8)...)))
	var buf bytes.Buffer
	if err := png.Encode(&buf, image.NewRGBA(image.Rect(0, 0, 3, 2))); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		if tag := orientation(data); tag < 1 || tag > 8 {
			t.Fatalf("orientation %d", tag)
		}
		if cfg, _, err := image.DecodeConfig(bytes.NewReader(data)); err == nil && cfg.Width*cfg.Height > 1<<20 {
			return // legal, but slow to fill
		}
		p, err := Decode(data)
		if err == nil && len(p.Pix) != 3*p.Width*p.Height {
			t.Fatalf("%d bytes for %d×%d", len(p.Pix), p.Width, p.Height)
		}
	})
}

func TestNearestShape(t *testing.T) {
	for _, c := range [][4]int{{512, 512, 512, 512}, {451, 300, 512, 256}, {600, 400, 640, 384}, {640, 427, 640, 384}, {10, 2000, 128, 2048}} {
		if w, h := NearestShape(c[0], c[1], 128); w != c[2] || h != c[3] {
			t.Errorf("%d×%d: %d×%d, want %d×%d", c[0], c[1], w, h, c[2], c[3])
		}
	}
}

func TestFitCentresAndMapsBack(t *testing.T) {
	f, err := NewFit(400, 200, 512, 512)
	if err != nil || f.InnerWidth != 512 || f.InnerHeight != 256 || f.Left != 0 || f.Top != 128 {
		t.Fatalf("%+v, %v", f, err)
	}
	if got := f.Box([4]float64{0, 128, 512, 384}); got != [4]float64{0, 0, 400, 200} {
		t.Errorf("the whole picture maps back to %v", got)
	}
	if got := f.Box([4]float64{-9, 0, 256, 256}); got != [4]float64{0, 0, 200, 100} {
		t.Errorf("a box over the border maps back to %v", got)
	}
	if _, err := NewFit(0, 5, 128, 128); err == nil {
		t.Error("an empty picture was accepted")
	}
	_, err = NewFit(1000000, 1, 1000064, 128)
	if want := "the picture of 1000000×1 pixels becomes an input of 1000064×128 with its border: want at most 64 million pixels"; err == nil || err.Error() != want {
		t.Errorf("a line of pixels: %v, want %s", err, want)
	}
}

func TestTensor(t *testing.T) {
	p := numbered(2, 2) // red 0 1 / 2 3
	f, _ := NewFit(2, 2, 4, 6)
	dst := make([]float32, 3*4*6)
	if err := f.Tensor(p, dst); err != nil {
		t.Fatal(err)
	}
	// By hand: sources -0.25→0, 0.25, 0.75, 1.25→1 along both sides; one border row above and below.
	want := []float64{0, 0.25, 0.75, 1, 0.5, 0.75, 1.25, 1.5, 1.5, 1.75, 2.25, 2.5, 2, 2.25, 2.75, 3}
	for i, w := range want {
		if got := float64(dst[4+i]) * 255; math.Abs(got-w) > 1e-5 {
			t.Errorf("red %d is %g, want %g", i, got, w)
		}
	}
	for _, i := range []int{0, 3, 20, 23} {
		if dst[i] != Border {
			t.Errorf("border element %d is %g", i, dst[i])
		}
	}
	exact, _ := NewFit(2, 2, 2, 2)
	small := make([]float32, 12)
	if err := exact.Tensor(p, small); err != nil || small[3] != float32(3)/255 {
		t.Errorf("an exact fit changes pixels: %v, %v", small[:4], err)
	}
	if err := exact.Tensor(p, small[:5]); err == nil {
		t.Error("a short destination was accepted")
	}
}

func TestMaskAndRLE(t *testing.T) {
	f, _ := NewFit(8, 4, 8, 8) // two border rows above and below
	logits := make([]float32, 16)
	for i := range logits {
		logits[i] = -1
		if i%4 >= 2 {
			logits[i] = 1
		}
	}
	r := f.Mask(logits, 4, 4, [4]float64{0, 1, 8, 3})
	if want := []uint32{17, 2, 2, 2, 2, 2, 2, 2, 1}; !slices.Equal(r.Counts, want) || r.Size != [2]int{4, 8} {
		t.Errorf("counts %v, size %v; want %v", r.Counts, r.Size, want)
	}
	for name, tt := range map[string]struct {
		box  [4]float64
		want []uint32
	}{
		"whole picture": {[4]float64{0, 0, 8, 4}, []uint32{16, 16}},
		"beyond it":     {[4]float64{-9, -9, 99, math.Inf(1)}, []uint32{16, 16}},
		"first column":  {[4]float64{0, 0, 1, 4}, []uint32{32}},
		"last corner":   {[4]float64{7, 3, 8, 4}, []uint32{31, 1}},
		"fractions":     {[4]float64{6.9, 2.9, 7.1, 3.1}, []uint32{26, 2, 2, 2}},
		"empty":         {[4]float64{5, 2, 5, 4}, []uint32{32}},
		"turned around": {[4]float64{8, 4, 0, 0}, []uint32{32}},
		"outside":       {[4]float64{20, 0, 30, 4}, []uint32{32}},
		"NaN":           {[4]float64{math.NaN(), 0, 8, 4}, []uint32{32}},
	} {
		if r := f.Mask(logits, 4, 4, tt.box); !slices.Equal(r.Counts, tt.want) {
			t.Errorf("%s: %v, want %v", name, r.Counts, tt.want)
		}
	}
	nan := f.Mask(slices.Repeat([]float32{float32(math.NaN())}, 16), 4, 4, [4]float64{0, 0, 8, 4})
	if !slices.Equal(nan.Counts, []uint32{32}) {
		t.Errorf("NaN logits make the mask %v", nan.Counts)
	}
	if full := f.Mask(make([]float32, 16), 4, 4, [4]float64{0, 0, 8, 4}); !slices.Equal(full.Counts, []uint32{0, 32}) {
		t.Errorf("a full mask is %v", full.Counts)
	}
}
