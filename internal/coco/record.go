package coco

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/internal/mask"
)

// record is the one being read, with its problems: its id, by which people find it, may come last.
type record struct {
	list     string
	index    int
	id       int64
	hasID    bool
	seen     uint32 // bits of the fields that were read
	problems []Problem
	useless  bool // a problem that leaves it out
}

// The places of a field among the known ones of all records, as bits of record.seen.
const (
	hasImage = 1 << iota
	hasCategory
	hasBox
	hasArea
	hasCrowd
	hasSegmentation
	hasName
	hasWidth
	hasHeight
	hasScore
	hasThing
	hasSegments
	hasOwnID
)

func (r *reader) begin(list string, index int) {
	r.record = record{list: list, index: index, problems: r.record.problems[:0]}
}

// useless notes a problem without which the record could be used.
func (r *reader) useless(field, format string, args ...any) {
	r.record.useless = true
	r.record.problems = append(r.record.problems, Problem{Field: field, Text: fmt.Sprintf(format, args...), LeftOut: true})
}

// remark notes a problem with which the record can be used.
func (r *reader) remark(field, format string, args ...any) {
	r.record.problems = append(r.record.problems, Problem{Field: field, Text: fmt.Sprintf(format, args...)})
}

// strictly is remark for what is only a problem under strict rules.
func (r *reader) strictly(field, format string, args ...any) {
	if r.strict {
		r.remark(field, format, args...)
	}
}

// done files the problems of the record and tells whether it can be used.
func (r *reader) done() bool {
	for _, p := range r.record.problems {
		p.Record = recordName(r.record.list, r.record.index, r.record.id, r.record.hasID)
		r.tell(p)
	}
	if r.record.useless {
		r.problems.LeftOut++
	}
	return !r.record.useless
}

func recordName(list string, index int, id int64, hasID bool) string {
	if hasID {
		return fmt.Sprintf("%s[%d] (id %d)", list, index, id)
	}
	return fmt.Sprintf("%s[%d]", list, index)
}

// records reads a list of objects. field reads the value of a key, and tells unknown keys; use takes the whole record.
func (r *reader) records(list string, field func(key []byte) (known bool, err error), use func()) error {
	return r.list(func(i int) error {
		r.begin(list, i)
		if c, err := r.next(); err != nil {
			return err
		} else if c != '{' {
			r.useless("", "is %s, want an object", kindOf(c))
			r.done()
			return r.skip()
		}
		err := r.object(func(key []byte) error {
			known, err := field(key)
			if known || err != nil {
				return err
			}
			if r.strict {
				r.strictly(string(key), "is no field of such a record")
			}
			return r.skip()
		})
		if err == nil {
			use()
		}
		return err
	})
}

// once notes a field that is given twice, of which the last value counts.
func (r *reader) once(bit uint32, field string) {
	if r.record.seen&bit != 0 {
		r.remark(field, "is given twice; the last one counts")
	}
	r.record.seen |= bit
}

// require notes fields that are not there.
func (r *reader) require(bit uint32, field string) {
	if r.record.seen&bit == 0 {
		r.useless(field, "is missing")
	}
}

// is tells whether the next value begins as wanted; if not, it is read over and noted.
func (r *reader) is(field string, want string, begins func(c byte) bool) (bool, error) {
	c, err := r.next()
	if err != nil || begins(c) {
		return err == nil, err
	}
	r.useless(field, "is %s, want %s", kindOf(c), want)
	return false, r.skip()
}

// integer reads a whole number from low to high.
func (r *reader) integer(bit uint32, field string, low, high int64) (int64, error) {
	r.once(bit, field)
	ok, err := r.is(field, "a whole number", isNumber)
	if !ok {
		return low, err
	}
	n, err := r.number()
	switch {
	case err != nil:
	case !n.integer:
		r.useless(field, "is %v, want a whole number without point and exponent", n.value)
		return low, nil
	case n.whole < low || n.whole > high:
		r.useless(field, "is %d, want it from %d to %d", n.whole, low, high)
	}
	return n.whole, err
}

// ownID reads the record's own id, by which its problems name it if it is a whole number at all.
func (r *reader) ownID() (int64, error) {
	before := len(r.record.problems)
	id, err := r.integer(hasOwnID, "id", 0, math.MaxInt64)
	if len(r.record.problems) == before || id < 0 {
		r.record.id, r.record.hasID = id, true
	}
	return id, err
}

// real reads a finite number.
func (r *reader) real(field string) (float64, error) {
	ok, err := r.is(field, "a number", isNumber)
	if !ok {
		return 0, err
	}
	n, err := r.number()
	if err == nil && math.IsNaN(n.value-n.value) {
		r.useless(field, "is %v, want a finite number", n.value)
	}
	return n.value, err
}

// name reads a text that is not empty and of at most 4 KiB.
func (r *reader) name(bit uint32, field string) (string, error) {
	const limit = 4 << 10
	r.once(bit, field)
	ok, err := r.is(field, "a string", func(c byte) bool { return c == '"' })
	if !ok {
		return "", err
	}
	text, whole, err := r.string(limit)
	switch {
	case err != nil:
	case !whole:
		r.useless(field, "is longer than %d bytes", limit)
	case len(text) == 0:
		r.useless(field, "is empty")
	}
	return string(text), err
}

// flag reads 0 or 1.
func (r *reader) flag(bit uint32, field string) (bool, error) {
	n, err := r.integer(bit, field, 0, 1)
	return n == 1, err
}

// box reads four numbers x, y, width, height.
func (r *reader) box() (box [4]float64, err error) {
	r.once(hasBox, "bbox")
	ok, err := r.is("bbox", "a list of four numbers", func(c byte) bool { return c == '[' })
	if !ok {
		return box, err
	}
	count := 0
	err = r.list(func(i int) error {
		count++
		if i >= len(box) {
			return r.skip()
		}
		ok, err := r.is("bbox", "four numbers", isNumber)
		if !ok {
			return err
		}
		n, err := r.number()
		box[i] = n.value
		return err
	})
	if err != nil {
		return box, err
	}
	r.checkBox(box, count)
	return box, nil
}

func (r *reader) checkBox(box [4]float64, count int) {
	if count != len(box) {
		r.useless("bbox", "has %d numbers, want x, y, width and height", count)
		return
	}
	for i, part := range []string{"x", "y", "width", "height"} {
		switch v := box[i]; {
		case math.IsNaN(v - v):
			r.useless("bbox", "%s is %v, want a finite number", part, v)
		case i > 1 && v < 0:
			r.useless("bbox", "%s is %v, want more than 0", part, v)
		case i > 1 && v == 0:
			r.remark("bbox", "%s is 0, want more; nothing can match the box", part)
		}
	}
}

// images reads the list of images.
func (r *reader) images() error {
	var im Image
	field := func(key []byte) (bool, error) {
		var err error
		var side int64
		switch string(key) {
		case "id":
			im.ID, err = r.ownID()
		case "file_name":
			im.FileName, err = r.name(hasName, "file_name")
		case "width":
			side, err = r.integer(hasWidth, "width", 1, mask.MaxPixels)
			im.Width = int(side)
		case "height":
			side, err = r.integer(hasHeight, "height", 1, mask.MaxPixels)
			im.Height = int(side)
		case "license", "flickr_url", "coco_url", "date_captured":
			err = r.skip()
		default:
			return false, nil
		}
		return true, err
	}
	return r.records("images", field, func() {
		r.require(hasOwnID, "id")
		r.require(hasName, "file_name")
		r.require(hasWidth, "width")
		r.require(hasHeight, "height")
		if err := mask.CheckSize(im.Height, im.Width); err != nil && !r.record.useless {
			r.useless("width", "the image has %v", err)
		}
		if r.done() {
			r.data.Images = append(r.data.Images, im)
			r.places[0] = append(r.places[0], int32(r.record.index))
		}
		im = Image{}
	})
}

// categories reads the list of categories.
func (r *reader) categories() error {
	var c Category
	field := func(key []byte) (bool, error) {
		var err error
		switch string(key) {
		case "id":
			c.ID, err = r.ownID()
		case "name":
			c.Name, err = r.name(hasName, "name")
		case "isthing":
			var thing bool
			thing, err = r.flag(hasThing, "isthing")
			c.Stuff = !thing
		case "supercategory", "color":
			err = r.skip()
		default:
			return false, nil
		}
		return true, err
	}
	return r.records("categories", field, func() {
		r.require(hasOwnID, "id")
		r.require(hasName, "name")
		if r.done() {
			r.data.Categories = append(r.data.Categories, c)
			r.places[1] = append(r.places[1], int32(r.record.index))
		}
		c = Category{}
	})
}

// annotations reads the list of objects.
func (r *reader) annotations() error {
	var a Annotation
	field := func(key []byte) (bool, error) {
		var err error
		switch string(key) {
		case "id":
			a.ID, err = r.ownID()
		case "image_id":
			a.Image, err = r.integer(hasImage, "image_id", 0, math.MaxInt64)
		case "category_id":
			a.Category, err = r.integer(hasCategory, "category_id", 0, math.MaxInt64)
		case "bbox":
			a.Box, err = r.box()
		case "area":
			r.once(hasArea, "area")
			a.Area, err = r.real("area")
		case "iscrowd":
			a.Crowd, err = r.flag(hasCrowd, "iscrowd")
		case "segmentation":
			a.Segmentation, err = r.segmentation()
		default:
			return false, nil
		}
		return true, err
	}
	return r.records("annotations", field, func() {
		r.completeAnnotation(&a)
		if r.done() {
			r.data.Annotations = append(r.data.Annotations, a)
			r.places[2] = append(r.places[2], int32(r.record.index))
		}
		a = Annotation{}
	})
}

// completeAnnotation checks an object by itself. Where the area is missing it stays negative until the image is known.
func (r *reader) completeAnnotation(a *Annotation) {
	r.require(hasOwnID, "id")
	r.require(hasImage, "image_id")
	r.require(hasCategory, "category_id")
	seen := r.record.seen
	switch {
	case seen&hasBox == 0 && (r.strict || a.Segmentation.Empty()):
		r.useless("bbox", "is missing")
	case seen&hasBox == 0:
		a.Box[2] = -1 // until the image is known
	}
	switch {
	case seen&hasArea == 0:
		r.strictly("area", "is missing")
		a.Area = -1
	case a.Area < 0:
		r.useless("area", "is %v, want at least 0", a.Area)
	case a.Area == 0:
		r.strictly("area", "is 0, want more")
	}
	if seen&hasCrowd == 0 {
		r.strictly("iscrowd", "is missing")
	}
	if a.Crowd && a.Segmentation.Polygons != nil {
		r.strictly("segmentation", "is a list of polygons, and a crowd has runs")
	}
}
