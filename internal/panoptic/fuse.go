// Package panoptic joins what a model says of pixels and of objects into one segmentation, in which every pixel belongs to at
// most one segment (Kirillov et al., "Panoptic Segmentation", CVPR 2019).
//
// fuse.go has the rules, run.go applies them to the outputs of a run, and coco.go writes the result as COCO's panoptic format
// has it: a PNG of segment ids for each picture, and one JSON file.
package panoptic

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/internal/mask"
)

// Instance is one detected object.
type Instance struct {
	Mask  mask.RLE
	Score float64
	Label int // a thing
}

// Options of Fuse. Start from DefaultOptions.
type Options struct {
	ScoreThreshold  float64 // in [0,1]: least score of an instance
	MinVisible      float64 // in [0,1]: least share of its mask that stronger instances must leave an instance
	MinInstanceArea int     // pixels, ≥ 1
	MinStuffArea    int     // pixels, ≥ 1
}

// DefaultOptions returns the specification's settings: 0.05, 1 and 1. What must be visible, which it does not ask, is the half
// that the paper's authors use (Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019).
func DefaultOptions() Options {
	return Options{ScoreThreshold: 0.05, MinVisible: 0.5, MinInstanceArea: 1, MinStuffArea: 1}
}

// Map is a panoptic segmentation.
type Map struct {
	Width, Height int
	IDs           []int32   // [Height,Width]: the id of the pixel's segment, 0 where there is none
	Segments      []Segment // in ascending order of ids, which count from 1
}

// Segment is one object, or all of the picture that is of one kind of stuff.
type Segment struct {
	ID       int
	Label    int
	Thing    bool
	Area     int    // pixels
	Box      [4]int // x, y, width and height of what it covers
	Score    float64
	Instance int // index of the instance, -1 for stuff
}

// Fuse gives every pixel to a segment. labels are the semantic label of each pixel [height,width].
//
//  1. Instances come in descending order of scores, those with equal scores in their own order. One takes the pixels of its mask
//     that none before it took. It is left out, and takes nothing, if its score is below ScoreThreshold, or if what it would take
//     has fewer pixels than MinInstanceArea or is a smaller share of its mask than MinVisible.
//  2. Each label that is no thing, in ascending order, takes the pixels with that label that are still free, unless they are fewer
//     than MinStuffArea.
//
// Pixels that are labelled as a thing and belong to no instance stay 0. It is an error if sizes do not fit, a label or score
// is out of range, or an instance is no thing. Source: spec/train-eval.md 13.
func Fuse(labels []int32, width, height int, things []bool, instances []Instance, o Options) (*Map, error) {
	if err := check(labels, width, height, things, instances, o); err != nil {
		return nil, fmt.Errorf("panoptic fusion: %w", err)
	}
	m := &Map{Width: width, Height: height, IDs: make([]int32, width*height)}
	order := make([]int, len(instances))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(instances[b].Score, instances[a].Score) })
	for _, i := range order {
		if instances[i].Score >= o.ScoreThreshold {
			m.addInstance(instances[i], i, o)
		}
	}
	m.addStuff(labels, things, o.MinStuffArea)
	m.measure()
	return m, nil
}

func check(labels []int32, width, height int, things []bool, instances []Instance, o Options) error {
	if width < 1 || height < 1 || len(labels) != width*height {
		return fmt.Errorf("%d labels for %d×%d pixels", len(labels), width, height)
	}
	for i, l := range labels {
		if l < 0 || int(l) >= len(things) {
			return fmt.Errorf("the label %d of pixel %d is outside [0, %d)", l, i, len(things))
		}
	}
	if !(o.ScoreThreshold >= 0 && o.ScoreThreshold <= 1 && o.MinVisible >= 0 && o.MinVisible <= 1) || o.MinInstanceArea < 1 || o.MinStuffArea < 1 {
		return fmt.Errorf("options %+v: want shares in [0, 1] and areas of at least 1", o)
	}
	for i, in := range instances {
		switch {
		case in.Label < 0 || in.Label >= len(things) || !things[in.Label]:
			return fmt.Errorf("instance %d has the label %d, which is no thing", i, in.Label)
		case math.IsNaN(in.Score) || math.IsInf(in.Score, 0):
			return fmt.Errorf("instance %d has the score %g: must be finite", i, in.Score)
		case in.Mask.Size != [2]int{height, width}:
			return fmt.Errorf("instance %d has a mask of %d×%d, want %d×%d", i, in.Mask.Size[1], in.Mask.Size[0], width, height)
		}
		if err := in.Mask.Check(); err != nil {
			return fmt.Errorf("instance %d has a mask whose %w", i, err)
		}
	}
	return nil
}

// addInstance makes a segment of the pixels of a mask that are still free.
func (m *Map) addInstance(in Instance, index int, o Options) {
	total, free := 0, 0
	for x, y := range in.Mask.Pixels() {
		total++
		if m.IDs[y*m.Width+x] == 0 {
			free++
		}
	}
	if free < o.MinInstanceArea || float64(free) < float64(o.MinVisible*float64(total)) {
		return
	}
	id := len(m.Segments) + 1
	for x, y := range in.Mask.Pixels() {
		if at := &m.IDs[y*m.Width+x]; *at == 0 {
			*at = int32(id)
		}
	}
	m.Segments = append(m.Segments, Segment{ID: id, Label: in.Label, Thing: true, Score: in.Score, Instance: index})
}

func (m *Map) addStuff(labels []int32, things []bool, least int) {
	area := make([]int, len(things))
	for i, l := range labels {
		if m.IDs[i] == 0 && !things[l] {
			area[l]++
		}
	}
	ids := make([]int32, len(things))
	for label, n := range area {
		if n >= least {
			ids[label] = int32(len(m.Segments) + 1)
			m.Segments = append(m.Segments, Segment{ID: int(ids[label]), Label: label, Instance: -1})
		}
	}
	for i, l := range labels {
		if m.IDs[i] == 0 {
			m.IDs[i] = ids[l]
		}
	}
}

// measure fills in area and box of every segment.
func (m *Map) measure() {
	type span struct{ x1, y1, x2, y2 int }
	spans := make([]span, len(m.Segments))
	for i := range spans {
		spans[i] = span{m.Width, m.Height, -1, -1}
	}
	for i, id := range m.IDs {
		if id == 0 {
			continue
		}
		x, y, s := i%m.Width, i/m.Width, &spans[id-1]
		m.Segments[id-1].Area++
		*s = span{min(s.x1, x), min(s.y1, y), max(s.x2, x), max(s.y2, y)}
	}
	for i, s := range spans {
		m.Segments[i].Box = [4]int{s.x1, s.y1, s.x2 - s.x1 + 1, s.y2 - s.y1 + 1}
	}
}
