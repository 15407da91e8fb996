package panoptic

import (
	"image"
	"image/png"
	"io"
)

// Document is the JSON file of COCO's panoptic format. Beside the format's own keys, segments tell the score of an object and,
// in a sequence, its track.
type Document struct {
	Images      []Image      `json:"images"`
	Annotations []Annotation `json:"annotations"`
	Categories  []Category   `json:"categories"`
}

// Image is one picture.
type Image struct {
	ID       int    `json:"id"`
	FileName string `json:"file_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
}

// Annotation lists the segments of a picture; FileName is its PNG.
type Annotation struct {
	ImageID  int           `json:"image_id"`
	FileName string        `json:"file_name"`
	Segments []SegmentInfo `json:"segments_info"`
}

// SegmentInfo is a segment as COCO lists it.
type SegmentInfo struct {
	ID         int      `json:"id"`
	CategoryID int      `json:"category_id"`
	Area       int      `json:"area"`
	BBox       [4]int   `json:"bbox"` // x, y, width, height
	IsCrowd    int      `json:"iscrowd"`
	Score      *float64 `json:"score,omitempty"`
	TrackID    int64    `json:"track_id,omitempty"`
}

// Category is a semantic label.
type Category struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	IsThing int    `json:"isthing"`
}

// NewDocument returns a document without pictures, whose categories are those of a model with these classes: the semantic
// labels, of which 0 is the background and no thing, and c+1 is class c.
func NewDocument(classes []string) *Document {
	d := &Document{Images: []Image{}, Annotations: []Annotation{}, Categories: []Category{{ID: 0, Name: "background"}}}
	for i, name := range classes {
		d.Categories = append(d.Categories, Category{ID: i + 1, Name: name, IsThing: 1})
	}
	return d
}

// Add appends a picture, whose id is its place in the document from 1. fileName is the picture's and pngName that of the file
// that WritePNG makes; tracks are the ids of the tracks by instance, 0 for none, or nil.
func (d *Document) Add(m *Map, fileName, pngName string, tracks []int64) {
	id := len(d.Images) + 1
	d.Images = append(d.Images, Image{id, fileName, m.Width, m.Height})
	list := make([]SegmentInfo, len(m.Segments))
	for i, s := range m.Segments {
		list[i] = SegmentInfo{ID: s.ID, CategoryID: s.Label, Area: s.Area, BBox: s.Box}
		if s.Thing {
			list[i].Score = &m.Segments[i].Score
			if tracks != nil {
				list[i].TrackID = tracks[s.Instance]
			}
		}
	}
	d.Annotations = append(d.Annotations, Annotation{id, pngName, list})
}

// WritePNG writes the ids as 8-bit colours: red + 256·green + 65536·blue.
func (m *Map) WritePNG(w io.Writer) error {
	img := image.NewNRGBA(image.Rect(0, 0, m.Width, m.Height))
	for i, id := range m.IDs {
		img.Pix[4*i], img.Pix[4*i+1], img.Pix[4*i+2], img.Pix[4*i+3] = uint8(id), uint8(id>>8), uint8(id>>16), 255
	}
	return png.Encode(w, img)
}
