package quality

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/panoptic"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/reports"
)

// collector gathers what a model finds in the pictures of a data set, one after the other in their order.
type collector struct {
	set     *Set
	model   *source.Model
	classes coco.Mapping
	classOf []int // of the model's classes in the data set
	objects map[int64][]*coco.Annotation
	list    []coco.Detection
	out     *Execution
}

func newCollector(s *Set, m *source.Model) (*collector, error) {
	c := &collector{set: s, model: m, classes: s.Data.Mapping(), out: new(Execution)}
	var err error
	if c.classOf, c.out.Unmapped, err = classMap(m.Classes, c.classes); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrData, err)
	}
	if s.HasMasks() && max(len(c.classes.IDs), len(c.classOf)) <= mostLabels {
		c.out.Semantic, c.out.Panoptic, c.objects = new(evaluate.Semantic), evaluate.NewPanoptic(withBackground(c.classes)), s.ByImage()
	}
	return c, nil
}

// withBackground tells which classes are stuff: the background, which is class 0, and those that the data set says.
func withBackground(classes coco.Mapping) []bool { return append([]bool{true}, classes.Stuff...) }

// take reads what the model gave of one picture.
func (c *collector) take(im coco.Image, in source.Input, outputs tensor.List) error {
	described, err := reports.Describe(reports.SubjectOf(c.model, in), outputs)
	if err != nil {
		return fmt.Errorf("image %d: %w", im.ID, err)
	}
	c.out.Scores = append(c.out.Scores, float64(described[0].DetScore))
	c.out.Tiles = append(c.out.Tiles, float64(described[0].SelectedTiles))
	if err := c.pixels(im, in, described[0], outputs); err != nil {
		return err
	}
	c.list = append(c.list, c.detections(im, described[0])...)
	return nil
}

// detections turns what a run found into results: boxes and masks in the picture's pixels. A backend that is at fault may give a number
// that is none; such a detection is not one.
func (c *collector) detections(im coco.Image, described reports.Image) []coco.Detection {
	var list []coco.Detection
	for _, d := range described.Detections {
		if d.ClassID < 0 || int(d.ClassID) >= len(c.classOf) || c.classOf[d.ClassID] < 0 {
			continue
		}
		left, top, right, bottom := float64(d.Box[0]), float64(d.Box[1]), float64(d.Box[2]), float64(d.Box[3])
		box := [4]float64{left, top, right - left, bottom - top}
		if sum := float64(d.Score) + left + top + right + bottom; sum-sum != 0 {
			continue
		}
		list = append(list, coco.Detection{Image: im.ID, Category: c.classes.IDs[c.classOf[d.ClassID]], Score: float64(d.Score), Box: box, HasBox: true,
			Segmentation: coco.Segmentation{Size: d.Mask.Size, Counts: d.Mask.Counts}})
	}
	return list
}

// pixels compares the labels and the segments of an image, where the data set has masks.
func (c *collector) pixels(im coco.Image, in source.Input, described reports.Image, outputs tensor.List) error {
	logits := outputs.Get("semantic_logits")
	if c.out.Semantic == nil || logits == nil {
		return nil
	}
	owner, err := owners(im, c.objects[im.ID])
	if err != nil {
		return fmt.Errorf("%w: image %d: %w", ErrData, im.ID, err)
	}
	truth := labels(owner, c.objects[im.ID], c.classes)
	shape := logits.Shape()
	predicted := make([]uint8, len(truth))
	for i, l := range in.Fit.Labels(tensor.Float32s(logits, 0, logits.Len()), shape[1], shape[2], shape[3]) {
		if l > 0 {
			predicted[i] = uint8(c.classOf[l-1] + 1) // a class that the data set does not have is background
		}
	}
	fused, err := panoptic.OfRun(reports.SubjectOf(c.model, in), described, outputs, 0, panoptic.DefaultOptions())
	if err != nil {
		return fmt.Errorf("image %d: %w", im.ID, err)
	}
	return errors.Join(c.out.Semantic.Add(predicted, truth), c.out.Panoptic.Add(c.fused(fused), segments(owner, c.objects[im.ID], c.classes)))
}

// fused turns a segmentation into segments of the data set's classes, of which 0 is the background. A class that the data set does not
// have is void.
func (c *collector) fused(m *panoptic.Map) evaluate.PanopticImage {
	im := evaluate.PanopticImage{Map: slices.Clone(m.IDs)}
	unknown := map[int32]bool{}
	for _, s := range m.Segments {
		class := 0
		if s.Label > 0 {
			class = c.classOf[s.Label-1] + 1
		}
		if s.Label > 0 && class == 0 {
			unknown[int32(s.ID)] = true
			continue
		}
		im.Segments = append(im.Segments, evaluate.Segment{ID: int32(s.ID), Class: class})
	}
	for i, id := range im.Map {
		if unknown[id] {
			im.Map[i] = 0
		}
	}
	return im
}
