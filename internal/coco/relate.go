package coco

import "fmt"

// relate checks the records against each other, once all are read, and leaves out what cannot be used.
func (r *reader) relate() {
	d := &r.data
	images := distinct(r, "images", r.places[0], &d.Images, func(im *Image) int64 { return im.ID })
	categories := distinct(r, "categories", r.places[1], &d.Categories, func(c *Category) int64 { return c.ID })
	names := map[string]int64{}
	for i, c := range d.Categories {
		if other, dup := names[c.Name]; dup {
			r.tell(Problem{Record: recordName("categories", int(r.places[1][i]), c.ID, true), Field: "name", Text: fmt.Sprintf("%q is that of category %d too", c.Name, other)})
		}
		names[c.Name] = c.ID
	}
	distinct(r, "annotations", r.places[2], &d.Annotations, func(a *Annotation) int64 { return a.ID })
	kept, places := d.Annotations[:0], r.places[2]
	for i := range d.Annotations {
		a := &d.Annotations[i]
		if r.relateAnnotation(a, int(places[i]), images, categories) {
			kept = append(kept, *a)
		}
	}
	d.Annotations = kept
}

// distinct leaves out the records whose id another had before, along with their places, and returns where each id is.
func distinct[T any](r *reader, list string, places []int32, records *[]T, id func(*T) int64) map[int64]int {
	at := make(map[int64]int, len(*records))
	kept := 0
	for i := range *records {
		key := id(&(*records)[i])
		if first, dup := at[key]; dup {
			r.tell(Problem{recordName(list, int(places[i]), key, true), "id", fmt.Sprintf("is that of %s[%d] too", list, places[first]), true})
			r.problems.LeftOut++
			continue
		}
		at[key] = kept
		(*records)[kept], places[kept] = (*records)[i], places[i]
		kept++
	}
	*records = (*records)[:kept]
	return at
}

// relateAnnotation tells whether an object can be used with its image and category, and computes what it lacks.
func (r *reader) relateAnnotation(a *Annotation, place int, images, categories map[int64]int) bool {
	r.begin("annotations", place)
	r.record.id, r.record.hasID = a.ID, true
	at, ok := images[a.Image]
	if !ok {
		r.useless("image_id", "%d is that of no image", a.Image)
	}
	if _, known := categories[a.Category]; !known {
		r.useless("category_id", "%d is that of no category", a.Category)
	}
	if ok {
		r.relateMask(a, &r.data.Images[at])
	}
	return r.done()
}

// relateMask compares a mask with its image, and takes area and box from it where the file has none.
func (r *reader) relateMask(a *Annotation, im *Image) {
	s := &a.Segmentation
	if s.Size != [2]int{} && s.Size != [2]int{im.Height, im.Width} {
		r.useless("segmentation", "size is %d×%d, and the image has %d×%d (height×width)", s.Size[0], s.Size[1], im.Height, im.Width)
		return
	}
	if a.Area >= 0 && a.Box[2] >= 0 {
		return
	}
	if s.Empty() {
		a.Area = a.Box[2] * a.Box[3]
		return
	}
	m, err := s.Mask(im.Height, im.Width)
	if err != nil {
		r.useless("segmentation", "%v", err)
		return
	}
	if a.Area < 0 {
		a.Area = float64(m.Area())
	}
	if a.Box[2] < 0 {
		a.Box = m.Box()
	}
}
