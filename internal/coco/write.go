package coco

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/apex-x/apexx/internal/mask"
)

// WriteDetections writes results in the form that ReadDetections and other tools read, a detection a line.
func WriteDetections(w io.Writer, list []Detection) error {
	type record struct {
		Image        int64      `json:"image_id"`
		Category     int64      `json:"category_id"`
		Box          [4]float64 `json:"bbox"`
		Score        float64    `json:"score"`
		Segmentation any        `json:"segmentation,omitempty"`
	}
	if err := writeList(w, len(list), func(i int) any {
		d := &list[i]
		return record{d.Image, d.Category, d.Box, d.Score, d.Segmentation.json()}
	}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// Write writes the data set in the form that Read and other tools read, a record a line. Runs are written as text.
func (d *Dataset) Write(w io.Writer) error {
	type picture struct {
		ID       int64  `json:"id"`
		FileName string `json:"file_name"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
	}
	type category struct {
		ID    int64  `json:"id"`
		Name  string `json:"name"`
		Thing *int   `json:"isthing,omitempty"`
	}
	type annotation struct {
		ID           int64      `json:"id"`
		Image        int64      `json:"image_id"`
		Category     int64      `json:"category_id"`
		Box          [4]float64 `json:"bbox"`
		Area         float64    `json:"area"`
		Crowd        int        `json:"iscrowd"`
		Segmentation any        `json:"segmentation,omitempty"`
	}
	for _, list := range []struct {
		head   string
		n      int
		record func(i int) any
	}{
		{"{\"images\": ", len(d.Images), func(i int) any {
			im := &d.Images[i]
			return picture{im.ID, im.FileName, im.Width, im.Height}
		}},
		{",\n\"categories\": ", len(d.Categories), func(i int) any {
			c := category{ID: d.Categories[i].ID, Name: d.Categories[i].Name}
			if d.Categories[i].Stuff {
				c.Thing = new(int)
			}
			return c
		}},
		{",\n\"annotations\": ", len(d.Annotations), func(i int) any {
			a := &d.Annotations[i]
			crowd := 0
			if a.Crowd {
				crowd = 1
			}
			return annotation{a.ID, a.Image, a.Category, a.Box, a.Area, crowd, a.Segmentation.json()}
		}},
	} {
		if _, err := io.WriteString(w, list.head); err != nil {
			return err
		}
		if err := writeList(w, list.n, list.record); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "}\n")
	return err
}

// json returns what a file has for a mask: polygons, runs as text, or nil for nothing.
func (s *Segmentation) json() any {
	type runs struct {
		Size   [2]int `json:"size"`
		Counts string `json:"counts"`
	}
	switch {
	case s.Empty():
		return nil
	case s.Polygons != nil:
		return s.Polygons
	case s.Compressed != "":
		return runs{s.Size, s.Compressed}
	}
	return runs{s.Size, mask.RLE{Size: s.Size, Counts: s.Counts}.Compressed()}
}

// writeList writes a list of records, one a line.
func writeList(w io.Writer, n int, record func(i int) any) error {
	separator := "["
	for i := range n {
		line, err := json.Marshal(record(i))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s\n%s", separator, line); err != nil {
			return err
		}
		separator = ","
	}
	if n == 0 {
		_, err := io.WriteString(w, "[]")
		return err
	}
	_, err := io.WriteString(w, "\n]")
	return err
}
