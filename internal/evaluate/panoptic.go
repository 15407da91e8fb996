package evaluate

import (
	"cmp"
	"fmt"
	"slices"
)

// Segment is a part of an image that a panoptic map numbers.
type Segment struct {
	ID    int32 // in the map; above 0, which is void
	Class int
	Crowd bool // of the truth: many objects together
}

// PanopticImage is a map of segment numbers, row-major, with the segments in it.
type PanopticImage struct {
	Map      []int32
	Segments []Segment
}

// Panoptic counts how segments agree (Kirillov and others, "Panoptic Segmentation", CVPR 2019, section 4, and the rules of COCO's
// challenge): a predicted segment is right where it overlaps one of its class by more than a half, pixels that are void in the truth left
// out of the union. A crowd is never found and never missed; a wrong segment that lies by more than a half in void or in crowds of its class
// does not count.
type Panoptic struct {
	stuff []bool
	class []panopticClass
}

type panopticClass struct {
	right, wrong, missed int
	overlap              float64
}

// NewPanoptic counts for as many classes as stuff has; it says which have no instances.
func NewPanoptic(stuff []bool) *Panoptic {
	return &Panoptic{slices.Clone(stuff), make([]panopticClass, len(stuff))}
}

// side is one side of an image: segments by number, and their pixels.
type side struct {
	segments map[int32]Segment
	pixels   map[int32]int
}

func newSide(what string, im PanopticImage, classes int) (side, error) {
	s := side{map[int32]Segment{}, map[int32]int{}}
	for _, g := range im.Segments {
		switch _, dup := s.segments[g.ID]; {
		case g.ID <= 0:
			return s, fmt.Errorf("%s segment %d: numbers are above 0", what, g.ID)
		case dup:
			return s, fmt.Errorf("%s segment %d is listed twice", what, g.ID)
		case g.Class < 0 || g.Class >= classes:
			return s, fmt.Errorf("%s segment %d has class %d of %d", what, g.ID, g.Class, classes)
		}
		s.segments[g.ID] = g
	}
	for _, id := range im.Map {
		s.pixels[id]++
	}
	for id := range s.pixels {
		if _, listed := s.segments[id]; !listed && id != 0 {
			return s, fmt.Errorf("%s segment %d of the map is not listed", what, id)
		}
	}
	for id := range s.segments {
		if s.pixels[id] == 0 {
			return s, fmt.Errorf("%s segment %d has no pixel in the map", what, id)
		}
	}
	return s, nil
}

// pair is a place that a segment of the truth (0 for void) shares with a predicted one.
type pair struct{ truth, predicted int32 }

// Add counts an image. It is an error if the maps have different sizes, or a map and its list name different segments.
func (p *Panoptic) Add(predicted, truth PanopticImage) error {
	if len(predicted.Map) != len(truth.Map) {
		return fmt.Errorf("a map of %d pixels for one of %d", len(predicted.Map), len(truth.Map))
	}
	found, err := newSide("predicted", predicted, len(p.class))
	if err != nil {
		return err
	}
	objects, err := newSide("true", truth, len(p.class))
	if err != nil {
		return err
	}
	shared := map[pair]int{}
	for i, t := range truth.Map {
		shared[pair{t, predicted.Map[i]}]++
	}
	matched := p.match(found, objects, shared)
	p.countMissed(objects, matched)
	p.countWrong(found, objects, shared, matched)
	return nil
}

// match counts the right segments and returns them. No segment overlaps two by more than a half.
func (p *Panoptic) match(found, objects side, shared map[pair]int) map[pair]bool {
	matched := map[pair]bool{}
	pairs := make([]pair, 0, len(shared))
	for at := range shared {
		pairs = append(pairs, at)
	}
	// Sums of floats depend on their order.
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.truth, b.truth), cmp.Compare(a.predicted, b.predicted))
	})
	for _, at := range pairs {
		t, p0 := objects.segments[at.truth], found.segments[at.predicted]
		if at.truth == 0 || at.predicted == 0 || t.Crowd || t.Class != p0.Class {
			continue
		}
		both := shared[at]
		either := found.pixels[at.predicted] + objects.pixels[at.truth] - both - shared[pair{0, at.predicted}]
		if 2*both > either {
			c := &p.class[t.Class]
			c.right++
			c.overlap += float64(both) / float64(either)
			matched[pair{at.truth, 0}], matched[pair{0, at.predicted}] = true, true
		}
	}
	return matched
}

func (p *Panoptic) countMissed(objects side, matched map[pair]bool) {
	for id, g := range objects.segments {
		if !g.Crowd && !matched[pair{id, 0}] {
			p.class[g.Class].missed++
		}
	}
}

func (p *Panoptic) countWrong(found, objects side, shared map[pair]int, matched map[pair]bool) {
	for id, g := range found.segments {
		if matched[pair{0, id}] {
			continue
		}
		excused := shared[pair{0, id}]
		for crowd, o := range objects.segments {
			if o.Crowd && o.Class == g.Class {
				excused += shared[pair{crowd, id}]
			}
		}
		if 2*excused <= found.pixels[id] {
			p.class[g.Class].wrong++
		}
	}
}

// PanopticQuality is PQ = SQ·RQ: SQ is the mean overlap of right segments, RQ = right / (right + wrong/2 + missed/2), all in [0,1].
type PanopticQuality struct {
	PQ float64 `json:"pq"`
	SQ float64 `json:"sq"`
	RQ float64 `json:"rq"`
}

// PanopticClass is the quality of one class and what it comes from.
type PanopticClass struct {
	PanopticQuality
	Right  int  `json:"tp"`
	Wrong  int  `json:"fp"`
	Missed int  `json:"fn"`
	Stuff  bool `json:"stuff"`
}

// PanopticResult has the means over the classes that either side has: all, those with instances, those without; 0 for none.
type PanopticResult struct {
	All, Things, Stuff PanopticQuality
	PerClass           []PanopticClass
}

// Result computes the qualities.
func (p *Panoptic) Result() PanopticResult {
	var r PanopticResult
	var all, things, stuff [3]mean
	for i, c := range p.class {
		k := PanopticClass{Right: c.right, Wrong: c.wrong, Missed: c.missed, Stuff: p.stuff[i]}
		if weight := float64(c.right) + float64(c.wrong)/2 + float64(c.missed)/2; weight > 0 {
			k.PQ, k.RQ = c.overlap/weight, float64(c.right)/weight
			if c.right > 0 {
				k.SQ = c.overlap / float64(c.right)
			}
			group := &things
			if k.Stuff {
				group = &stuff
			}
			for j, v := range []float64{k.PQ, k.SQ, k.RQ} {
				all[j].add(v, 1)
				group[j].add(v, 1)
			}
		}
		r.PerClass = append(r.PerClass, k)
	}
	quality := func(m [3]mean) PanopticQuality {
		return PanopticQuality{max(m[0].value(), 0), max(m[1].value(), 0), max(m[2].value(), 0)}
	}
	r.All, r.Things, r.Stuff = quality(all), quality(things), quality(stuff)
	return r
}
