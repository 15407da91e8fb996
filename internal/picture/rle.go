package picture

// RLE is a mask in COCO's uncompressed run-length form: counts of alternating 0s and 1s in column-major order, starting
// with 0s, and the size as [height, width].
type RLE struct {
	Size   [2]int `json:"size"`
	Counts []int  `json:"counts"`
}

// EncodeRLE encodes a row-major mask of 0 and 1 bytes.
func EncodeRLE(mask []byte, width, height int) RLE {
	r := RLE{Size: [2]int{height, width}, Counts: []int{}}
	run, value := 0, byte(0)
	for x := range width {
		for y := range height {
			if v := mask[y*width+x]; v != value {
				r.Counts = append(r.Counts, run)
				run, value = 0, v
			}
			run++
		}
	}
	return RLE{r.Size, append(r.Counts, run)}
}

// Area returns the number of 1s.
func (r RLE) Area() int {
	n := 0
	for i := 1; i < len(r.Counts); i += 2 {
		n += r.Counts[i]
	}
	return n
}
