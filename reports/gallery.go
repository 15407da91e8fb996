package reports

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"slices"

	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// diffGain amplifies the difference of two overlays, so that one step of 255 is seen.
const diffGain = 16

// Gallery collects what every execution of a case found while a matrix runs, until the case is compared. A nil Gallery collects nothing.
type Gallery struct {
	cases         map[string]*galleryCase
	open, passing int // cases of which pictures were taken: in which something did not simply pass, and others
}

type galleryCase struct {
	subject Subject
	input   source.Input
	drawn   []drawn
}

// drawn is the first sample of one execution.
type drawn struct {
	column string
	scene  Scene
	img    *image.NRGBA
}

// NewGallery returns an empty gallery.
func NewGallery() *Gallery { return &Gallery{cases: map[string]*galleryCase{}} }

// Expect announces a case.
func (g *Gallery) Expect(name string, m *source.Model, in source.Input) {
	g.cases[name] = &galleryCase{subject: SubjectOf(m, in), input: in}
}

// Add draws the first sample of a run that finished, in a column. Calls must not overlap.
func (g *Gallery) Add(name, column string, r *evidence.Run) {
	if g == nil || r.State != evidence.Measured {
		return
	}
	c := g.cases[name]
	described, err := Describe(c.subject, r.Outputs)
	if err != nil || len(described) == 0 {
		return // the comparison reports outputs that are missing
	}
	scene := c.subject.SceneOf(described[0], c.input.Image, 0)
	c.drawn = append(c.drawn, drawn{column, scene, Overlay(scene)})
}

// Take encodes the pictures of a case that was compared and forgets what they were made of: the overlay of each execution, and for each pair what
// differs. Overlays are for people and so JPEG; a difference has few colours, and PNG keeps every one. It is nil without pictures, and of more
// cases than have pages.
func (g *Gallery) Take(name string, cells []parity.Cell) (*CaseGallery, error) {
	if g == nil || len(g.cases[name].drawn) == 0 {
		return nil, nil
	}
	list := g.cases[name].drawn
	g.cases[name].drawn = nil
	if !g.hasRoom(cells) {
		return nil, nil
	}
	images := &CaseGallery{Case: name}
	for _, d := range list {
		encoded, err := JPEG(d.column, d.img)
		if err != nil {
			return nil, err
		}
		images.Columns = append(images.Columns, encoded)
	}
	find := func(c parity.Column) *drawn {
		for i := range list {
			if list[i].column == c.String() {
				return &list[i]
			}
		}
		return nil
	}
	for i, c := range cells {
		ref, cand := find(c.Pair.Reference), find(c.Pair.Candidate)
		again := slices.ContainsFunc(cells[:i], func(o parity.Cell) bool { return o.Pair == c.Pair }) // under another policy
		if ref == nil || cand == nil || again {
			continue
		}
		pair := PairImages{Pair: c.Pair}
		var buf bytes.Buffer
		if err := png.Encode(&buf, DiffImage(ref.img, cand.img, diffGain)); err != nil {
			return nil, err
		}
		pair.Images = append(pair.Images, LabelledImage{Label: "difference of both, ×16", Type: "png", Data: buf.Bytes()})
		if img := FlipImage(ref.scene, cand.scene); img != nil {
			encoded, err := JPEG("what one of them has: blue the reference, orange the candidate; tiles are dashed", img)
			if err != nil {
				return nil, err
			}
			pair.Images = append(pair.Images, encoded)
		}
		images.Pairs = append(images.Pairs, pair)
	}
	return images, nil
}

// hasRoom counts a case, and tells whether there are pages for it.
func (g *Gallery) hasRoom(cells []parity.Cell) bool {
	if slices.ContainsFunc(cells, func(c parity.Cell) bool { return c.State != evidence.Pass }) {
		g.open++
		return g.open <= mostWhole
	}
	g.passing++
	return g.passing <= mostPassing
}

// JPEG encodes a picture for people.
func JPEG(label string, img image.Image) (LabelledImage, error) {
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 90})
	return LabelledImage{Label: label, Type: "jpeg", Data: buf.Bytes()}, err
}
