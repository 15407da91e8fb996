package mask

import (
	"errors"
	"fmt"
)

// Compressed is COCO's text of run lengths. Each count is a number in groups of 5 bits, least first, a character for each group: 48 plus
// the group, plus 32 where more groups follow; the highest bit of the last group is the sign. From the fourth count on the number is the
// difference to the count two before.
func (r RLE) Compressed() string {
	out := make([]byte, 0, 2*len(r.Counts))
	for i, n := range r.Counts {
		v := int64(n)
		if i > 2 {
			v -= int64(r.Counts[i-2])
		}
		for more := true; more; {
			group := byte(v & 0x1f)
			v >>= 5
			if more = v != 0; group&0x10 != 0 {
				more = v != -1
			}
			if more {
				group |= 0x20
			}
			out = append(out, group+48)
		}
	}
	return string(out)
}

// CheckCompressed tells whether a text is whole and its runs fill a mask of the size exactly.
func CheckCompressed(text string, height, width int) error {
	if err := CheckSize(height, width); err != nil {
		return fmt.Errorf("size is %w", err)
	}
	var sum int64
	if err := eachCount(text, func(n uint32) { sum += int64(n) }); err != nil {
		return err
	}
	return checkSum(sum, [2]int{height, width})
}

// Decompress reads COCO's text of run lengths. It is an error for CheckCompressed.
func Decompress(text string, height, width int) (RLE, error) {
	if err := CheckCompressed(text, height, width); err != nil {
		return RLE{}, err
	}
	r := RLE{Size: [2]int{height, width}, Counts: make([]uint32, 0, len(text))}
	err := eachCount(text, func(n uint32) { r.Counts = append(r.Counts, n) })
	return r, err
}

// eachCount decodes the counts one by one.
func eachCount(text string, each func(uint32)) error {
	if text == "" {
		return errors.New("counts are empty")
	}
	var before [2]int64 // the last two counts, the older first
	for i, at := 0, 0; at < len(text); i++ {
		v, n, err := number(text[at:])
		if err != nil {
			return fmt.Errorf("counts, character %d: %w", at, err)
		}
		if at += n; i > 2 {
			v += before[0]
		}
		if v < 0 || v > MaxPixels {
			return fmt.Errorf("counts: number %d is %d, want it from 0 to %d", i, v, MaxPixels)
		}
		before = [2]int64{before[1], v}
		each(uint32(v))
	}
	return nil
}

// number decodes one number and returns how many characters it has. Seven groups hold all of 32 bits and a sign.
func number(text string) (v int64, n int, err error) {
	for shift := 0; ; shift += 5 {
		if n == len(text) {
			return 0, n, errors.New("the last number is cut off")
		}
		c := text[n] - 48
		if text[n] < 48 || c > 0x3f {
			return 0, n, fmt.Errorf("%q is no character of run lengths", text[n])
		}
		if n == 7 {
			return 0, n, errors.New("a number is longer than 32 bits")
		}
		n++
		v |= int64(c&0x1f) << shift
		if c&0x20 == 0 {
			if c&0x10 != 0 {
				v |= -1 << (shift + 5)
			}
			return v, n, nil
		}
	}
}
