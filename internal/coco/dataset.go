package coco

import (
	"slices"

	"github.com/apex-x/apexx/internal/mask"
)

// Dataset is what an annotation file holds. Records are in the order of the file; those that cannot be used are left out.
type Dataset struct {
	Images      []Image
	Categories  []Category
	Annotations []Annotation
}

// Image is a picture of a data set.
type Image struct {
	ID            int64 // at least 0
	FileName      string
	Width, Height int // at least 1
}

// Category is a class of objects.
type Category struct {
	ID    int64 // at least 0
	Name  string
	Stuff bool // isthing is 0: a panoptic category without instances
}

// Annotation is an object in an image.
type Annotation struct {
	ID, Image, Category int64
	Box                 [4]float64 // x, y, width, height in pixels; sides are at least 0
	Area                float64    // in pixels, as the file says or that of mask or box
	Crowd               bool       // many objects together, which may be found any number of times
	Segmentation        Segmentation
}

// Segmentation is a mask as a file has it: polygons, runs, runs as text, or nothing.
type Segmentation struct {
	Polygons   [][]float64 // each x, y, x, y, …; together they are one mask
	Counts     []uint32
	Compressed string
	Size       [2]int // height, width of runs
}

// Empty tells whether there is no mask.
func (s *Segmentation) Empty() bool { return s.Polygons == nil && s.Size == [2]int{} }

// Mask rasterises or decodes the mask in an image of that size. It is an error if there is none, or if mask.FromPolygon or
// mask.Decompress has one; records of a data set have passed their checks.
func (s *Segmentation) Mask(height, width int) (mask.RLE, error) {
	switch {
	case s.Polygons != nil:
		parts := make([]mask.RLE, len(s.Polygons))
		for i, xy := range s.Polygons {
			var err error
			if parts[i], err = mask.FromPolygon(xy, height, width); err != nil {
				return mask.RLE{}, err
			}
		}
		return mask.Union(parts...)
	case s.Compressed != "":
		return mask.Decompress(s.Compressed, s.Size[0], s.Size[1])
	}
	r := mask.RLE{Size: s.Size, Counts: s.Counts}
	return r, r.Check()
}

// Mapping numbers the categories from 0 in the order of their ids, as models have them.
type Mapping struct {
	IDs   []int64        // of class i
	Names []string       // of class i
	Class map[int64]int  // of a category id
	Stuff []bool         // of class i
	ids   map[string]int // of a name
}

// Mapping returns the numbering of the data set's categories.
func (d *Dataset) Mapping() Mapping {
	sorted := slices.Clone(d.Categories)
	slices.SortFunc(sorted, func(a, b Category) int { return int(min(max(a.ID-b.ID, -1), 1)) })
	m := Mapping{Class: map[int64]int{}, ids: map[string]int{}}
	for i, c := range sorted {
		m.IDs, m.Names, m.Stuff = append(m.IDs, c.ID), append(m.Names, c.Name), append(m.Stuff, c.Stuff)
		m.Class[c.ID], m.ids[c.Name] = i, i
	}
	return m
}

// Named returns the class of a name.
func (m Mapping) Named(name string) (class int, ok bool) {
	class, ok = m.ids[name]
	return class, ok
}
