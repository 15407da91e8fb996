package coco

import (
	"math"

	"github.com/apex-x/apexx/internal/mask"
)

// segmentation reads polygons, runs, or null.
func (r *reader) segmentation() (s Segmentation, err error) {
	r.once(hasSegmentation, "segmentation")
	c, err := r.next()
	if err != nil {
		return s, err
	}
	switch c {
	case '[':
		return r.polygons()
	case '{':
		return r.runs()
	case 'n':
		return s, r.skip()
	}
	r.useless("segmentation", "is %s, want polygons or runs", kindOf(c))
	return s, r.skip()
}

// polygons reads a list of polygons.
func (r *reader) polygons() (s Segmentation, err error) {
	s.Polygons = [][]float64{}
	err = r.list(func(i int) error {
		ok, err := r.is("segmentation", "a list of polygons", func(c byte) bool { return c == '[' })
		if !ok {
			return err
		}
		r.numbers.begin()
		if err := r.polygon(); err != nil {
			return err
		}
		xy := r.numbers.list()
		if err := mask.CheckPolygon(xy); err != nil {
			r.useless("segmentation", "polygon %d: %v", i, err)
			r.numbers.drop()
			return nil
		}
		s.Polygons = append(s.Polygons, xy)
		return nil
	})
	if err == nil && len(s.Polygons) == 0 && !r.record.useless {
		r.useless("segmentation", "has no polygon")
	}
	return s, err
}

// polygon reads a list of numbers into the arena.
func (r *reader) polygon() error {
	return r.list(func(int) error {
		ok, err := r.is("segmentation", "numbers", isNumber)
		if !ok {
			return err
		}
		n, err := r.number()
		r.numbers.push(n.value)
		return err
	})
}

// runs reads an object with size and counts.
func (r *reader) runs() (s Segmentation, err error) {
	var hasSize, hasCounts bool
	err = r.object(func(key []byte) error {
		switch string(key) {
		case "size":
			hasSize = true
			return r.runsSize(&s)
		case "counts":
			hasCounts = true
			return r.runsCounts(&s)
		}
		return r.skip()
	})
	if err != nil || r.record.useless {
		return s, err
	}
	switch {
	case !hasSize:
		r.useless("segmentation", "size is missing")
	case !hasCounts:
		r.useless("segmentation", "counts are missing")
	case s.Counts != nil:
		err = mask.RLE{Size: s.Size, Counts: s.Counts}.Check()
	default:
		err = mask.CheckCompressed(s.Compressed, s.Size[0], s.Size[1])
	}
	if err != nil {
		r.useless("segmentation", "%v", err)
	}
	return s, nil
}

func (r *reader) runsSize(s *Segmentation) error {
	ok, err := r.is("segmentation", "a size of height and width", func(c byte) bool { return c == '[' })
	if !ok {
		return err
	}
	count := 0
	err = r.list(func(i int) error {
		count++
		v, err := r.wholeNumber("size", mask.MaxPixels)
		if i < 2 {
			s.Size[i] = int(v)
		}
		return err
	})
	if err == nil && count != 2 {
		r.useless("segmentation", "size has %d numbers, want height and width", count)
	}
	return err
}

func (r *reader) runsCounts(s *Segmentation) error {
	c, err := r.next()
	if err != nil {
		return err
	}
	if c == '"' {
		text, whole, err := r.string(maxString)
		if !whole && err == nil {
			r.useless("segmentation", "counts are longer than %d MiB", maxString>>20)
			return nil
		}
		s.Compressed = string(text)
		return err
	}
	ok, err := r.is("segmentation", "counts in a list or a string", func(c byte) bool { return c == '[' })
	if !ok {
		return err
	}
	r.counts.begin()
	err = r.list(func(int) error {
		v, err := r.wholeNumber("counts", math.MaxUint32)
		r.counts.push(uint32(v))
		return err
	})
	s.Counts = r.counts.list()
	return err
}

// wholeNumber reads a number of a mask's runs.
func (r *reader) wholeNumber(what string, high int64) (int64, error) {
	if c, err := r.next(); err != nil {
		return 0, err
	} else if !isNumber(c) {
		r.useless("segmentation", "%s holds %s, want whole numbers", what, kindOf(c))
		return 0, r.skip()
	}
	n, err := r.number()
	if err == nil && (!n.integer || n.whole < 0 || n.whole > high) {
		r.useless("segmentation", "%s holds %v, want whole numbers from 0 to %d", what, n.value, high)
		return 0, nil
	}
	return n.whole, err
}
