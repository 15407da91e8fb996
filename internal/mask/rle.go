package mask

import (
	"errors"
	"fmt"
	"iter"
)

// RLE is a mask as run lengths: counts of alternating 0s and 1s in column-major order, starting with 0s. Runs of length 0 are
// allowed. Its JSON form is COCO's uncompressed one.
type RLE struct {
	Size   [2]int   `json:"size"` // height, width
	Counts []uint32 `json:"counts"`
}

// MaxPixels bounds the pixels of a mask, so that a position fits 32 bits with room to spare.
const MaxPixels = 1 << 30

// CheckSize tells whether a mask may have these sides: each at least 1, and at most MaxPixels together.
func CheckSize(height, width int) error {
	if height < 1 || width < 1 || width > MaxPixels/height {
		return fmt.Errorf("%d×%d (height×width), want sides of at least 1 and at most %d pixels", height, width, MaxPixels)
	}
	return nil
}

// Check tells whether the size is possible and the runs fill it exactly.
func (r RLE) Check() error {
	if err := CheckSize(r.Size[0], r.Size[1]); err != nil {
		return fmt.Errorf("size is %w", err)
	}
	var sum int64
	for _, n := range r.Counts {
		sum += int64(n)
	}
	return checkSum(sum, r.Size)
}

func checkSum(sum int64, size [2]int) error {
	switch pixels := int64(size[0]) * int64(size[1]); {
	case sum > pixels:
		return fmt.Errorf("counts sum to %d, more than the %d pixels of %d×%d", sum, pixels, size[0], size[1])
	case sum < pixels:
		return fmt.Errorf("counts sum to %d, fewer than the %d pixels of %d×%d", sum, pixels, size[0], size[1])
	}
	return nil
}

// Builder collects a mask in column-major order. The zero value is an empty one.
type Builder struct {
	counts []uint32
	length uint32
	value  bool
}

// Add appends n ≥ 0 equal pixels.
func (b *Builder) Add(value bool, n int) {
	if n == 0 {
		return
	}
	if value != b.value {
		b.counts, b.length, b.value = append(b.counts, b.length), 0, value
	}
	b.length += uint32(n)
}

// RLE returns the mask of what was added, which has to be height·width pixels.
func (b *Builder) RLE(height, width int) RLE {
	return RLE{[2]int{height, width}, append(b.counts, b.length)}
}

// Encode returns the mask of pixels in row-major order, where a value other than 0 is inside. It has as many as height·width.
func Encode(pixels []byte, height, width int) RLE {
	var b Builder
	for x := range width {
		for y := range height {
			b.Add(pixels[y*width+x] != 0, 1)
		}
	}
	return b.RLE(height, width)
}

// Pixels goes over the pixels inside, column by column. The mask has passed Check.
func (r RLE) Pixels() iter.Seq2[int, int] {
	return func(yield func(x, y int) bool) {
		at := 0
		for i, n := range r.Counts {
			for p := at; i%2 == 1 && p < at+int(n); p++ {
				if !yield(p/r.Size[0], p%r.Size[0]) {
					return
				}
			}
			at += int(n)
		}
	}
}

// Decode returns the pixels in row-major order, 1 inside and 0 outside. The mask has passed Check.
func (r RLE) Decode() []byte {
	pixels := make([]byte, r.Size[0]*r.Size[1])
	for x, y := range r.Pixels() {
		pixels[y*r.Size[1]+x] = 1
	}
	return pixels
}

// FromBox returns the mask of a box x, y, width, height: that of the polygon of its corners.
func FromBox(box [4]float64, height, width int) (RLE, error) {
	left, top, right, bottom := box[0], box[1], box[0]+box[2], box[1]+box[3]
	return FromPolygon([]float64{left, top, left, bottom, right, bottom, right, top}, height, width)
}

var errNoMask = errors.New("no mask to merge")
