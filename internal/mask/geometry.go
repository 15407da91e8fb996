package mask

import (
	"iter"
	"slices"
)

// span is a part of a column that is inside: the rows from top to bottom-1.
type span struct{ column, top, bottom int }

// spans goes over the pixels inside, column by column and down each. The mask has passed Check.
func (r RLE) spans() iter.Seq[span] {
	height := r.Size[0]
	return func(yield func(span) bool) {
		at := 0
		for i, n := range r.Counts {
			end := at + int(n)
			for i%2 == 1 && at < end {
				column := at / height
				next := min(end, (column+1)*height)
				if !yield(span{column, at - column*height, next - column*height}) {
					return
				}
				at = next
			}
			at = end
		}
	}
}

// ofSpans makes a mask of spans in the order of RLE.spans.
func ofSpans(all iter.Seq[span], height, width int) RLE {
	var b Builder
	at := 0
	for s := range all {
		from := s.column*height + s.top
		b.Add(false, from-at)
		b.Add(true, s.bottom-s.top)
		at = from + s.bottom - s.top
	}
	b.Add(false, height*width-at)
	return b.RLE(height, width)
}

// Flip mirrors a mask left to right. The mask has passed Check.
func (r RLE) Flip() RLE {
	list := slices.Collect(r.spans())
	return ofSpans(func(yield func(span) bool) {
		for end := len(list); end > 0; {
			start := end - 1
			for start > 0 && list[start-1].column == list[start].column {
				start--
			}
			for _, s := range list[start:end] {
				if !yield(span{r.Size[1] - 1 - s.column, s.top, s.bottom}) {
					return
				}
			}
			end = start
		}
	}, r.Size[0], r.Size[1])
}

// Window returns what of a mask is in a window of height and width whose corner at the top left is at the column left and the row top of
// the mask. The window may reach beyond the mask, where nothing is inside, or begin before it: so a mask is cut, and so it is put
// into a larger picture. The mask has passed Check, and the size of the window CheckSize.
func (r RLE) Window(left, top, height, width int) RLE {
	return ofSpans(func(yield func(span) bool) {
		for s := range r.spans() {
			moved := span{s.column - left, max(s.top-top, 0), min(s.bottom-top, height)}
			if moved.column >= 0 && moved.column < width && moved.top < moved.bottom && !yield(moved) {
				return
			}
		}
	}, height, width)
}
