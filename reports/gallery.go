package reports

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
)

// diffGain amplifies the difference of two overlays, so that one step of 255 is seen.
const diffGain = 16

// Gallery collects the overlays of every execution while a matrix runs. A nil Gallery collects nothing.
type Gallery struct {
	order []string
	cases map[string]*galleryCase
}

type galleryCase struct {
	subject Subject
	input   source.Input
	drawn   []labelled
}

type labelled struct {
	label string
	img   image.Image
}

// NewGallery returns an empty gallery.
func NewGallery() *Gallery { return &Gallery{cases: map[string]*galleryCase{}} }

// Expect announces a case; Images lists cases in the order of their announcement.
func (g *Gallery) Expect(name string, m *source.Model, in source.Input) {
	g.order = append(g.order, name)
	g.cases[name] = &galleryCase{subject: SubjectOf(m, in), input: in}
}

// Add draws the first sample of a run that finished, under a label. Calls must not overlap.
func (g *Gallery) Add(name, label string, r *evidence.Run) {
	if g == nil || r.State != evidence.Measured {
		return
	}
	c := g.cases[name]
	described, err := Describe(c.subject, r.Outputs)
	if err != nil || len(described) == 0 {
		return // the comparison reports outputs that are missing
	}
	c.drawn = append(c.drawn, labelled{label, Overlay(c.subject.SceneOf(described[0], c.input.Image, 0))})
}

// Images encodes the overlays of each case, and then the difference of each but the first from the first. Overlays are
// for people and so JPEG; a difference has few colours, and PNG keeps every one.
func (g *Gallery) Images() ([]CaseImages, error) {
	if g == nil {
		return nil, nil
	}
	var all []CaseImages
	for _, name := range g.order {
		list := g.cases[name].drawn
		if len(list) == 0 {
			continue
		}
		entry := CaseImages{Case: name}
		for _, l := range list {
			encoded, err := JPEG(l.label, l.img)
			if err != nil {
				return nil, err
			}
			entry.Images = append(entry.Images, encoded)
		}
		for _, l := range list[1:] {
			var buf bytes.Buffer
			if err := png.Encode(&buf, DiffImage(list[0].img, l.img, diffGain)); err != nil {
				return nil, err
			}
			label := fmt.Sprintf("%s − %s, ×%d", l.label, list[0].label, diffGain)
			entry.Images = append(entry.Images, LabelledImage{Label: label, Type: "png", Data: buf.Bytes()})
		}
		all = append(all, entry)
	}
	return all, nil
}

// JPEG encodes a picture for people.
func JPEG(label string, img image.Image) (LabelledImage, error) {
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 90})
	return LabelledImage{Label: label, Type: "jpeg", Data: buf.Bytes()}, err
}
