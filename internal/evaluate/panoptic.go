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
	stuff  []bool
	images [][]segmentCount
}

// segmentCount is a class in an image: its segments and the sum of the overlaps of the right ones.
type segmentCount struct {
	class                int
	right, wrong, missed int
	overlap              float64
}

// NewPanoptic counts for as many classes as stuff has; it says which have no instances.
func NewPanoptic(stuff []bool) *Panoptic {
	return &Panoptic{stuff: slices.Clone(stuff)}
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
	found, err := newSide("predicted", predicted, len(p.stuff))
	if err != nil {
		return err
	}
	objects, err := newSide("true", truth, len(p.stuff))
	if err != nil {
		return err
	}
	shared := map[pair]int{}
	for i, t := range truth.Map {
		shared[pair{t, predicted.Map[i]}]++
	}
	c := make(segmentCounts, len(p.stuff))
	matched := c.match(found, objects, shared)
	c.countMissed(objects, matched)
	c.countWrong(found, objects, shared, matched)
	p.images = append(p.images, c.there())
	return nil
}

// segmentCounts has every class of an image.
type segmentCounts []segmentCount

// there returns the classes that either side has.
func (c segmentCounts) there() []segmentCount {
	list := []segmentCount{}
	for class, n := range c {
		if n.right+n.wrong+n.missed > 0 {
			n.class = class
			list = append(list, n)
		}
	}
	return list
}

// match counts the right segments and returns them. No segment overlaps two by more than a half.
func (c segmentCounts) match(found, objects side, shared map[pair]int) map[pair]bool {
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
			c[t.Class].right++
			c[t.Class].overlap += float64(both) / float64(either)
			matched[pair{at.truth, 0}], matched[pair{0, at.predicted}] = true, true
		}
	}
	return matched
}

func (c segmentCounts) countMissed(objects side, matched map[pair]bool) {
	for id, g := range objects.segments {
		if !g.Crowd && !matched[pair{id, 0}] {
			c[g.Class].missed++
		}
	}
}

func (c segmentCounts) countWrong(found, objects side, shared map[pair]int, matched map[pair]bool) {
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
			c[g.Class].wrong++
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
	sums := p.sums(nil)
	for i, s := range sums {
		k := PanopticClass{PanopticQuality: s.quality(), Stuff: p.stuff[i]}
		k.Right, k.Wrong, k.Missed = int(s.right), int(s.wrong), int(s.missed)
		r.PerClass = append(r.PerClass, k)
	}
	r.All, r.Things, r.Stuff = p.means(sums)
	return r
}

// segmentSum is a segmentCount over images with weights.
type segmentSum struct{ right, wrong, missed, overlap float64 }

// weight is the denominator of PQ; 0 for a class that neither side has.
func (s segmentSum) weight() float64 { return s.right + s.wrong/2 + s.missed/2 }

func (s segmentSum) quality() (q PanopticQuality) {
	if w := s.weight(); w > 0 {
		q.PQ, q.RQ = s.overlap/w, s.right/w
	}
	if s.right > 0 {
		q.SQ = s.overlap / s.right
	}
	return q
}

func (p *Panoptic) sums(weights []float64) []segmentSum {
	sums := make([]segmentSum, len(p.stuff))
	for i, image := range p.images {
		w := weightOf(weights, int32(i))
		for _, c := range image {
			s := &sums[c.class]
			s.right, s.wrong, s.missed = s.right+w*float64(c.right), s.wrong+w*float64(c.wrong), s.missed+w*float64(c.missed)
			s.overlap += w * c.overlap
		}
	}
	return sums
}

// means are those over the classes that either side has: all of them, things and stuff.
func (p *Panoptic) means(sums []segmentSum) (all, things, stuff PanopticQuality) {
	var m [3][3]mean
	for i, s := range sums {
		if s.weight() == 0 {
			continue
		}
		group := 1
		if p.stuff[i] {
			group = 2
		}
		q := s.quality()
		for j, v := range []float64{q.PQ, q.SQ, q.RQ} {
			m[0][j].add(v, 1)
			m[group][j].add(v, 1)
		}
	}
	quality := func(m [3]mean) PanopticQuality {
		return PanopticQuality{max(m[0].value(), 0), max(m[1].value(), 0), max(m[2].value(), 0)}
	}
	return quality(m[0]), quality(m[1]), quality(m[2])
}

// CompareSegments returns the difference of PQ over all classes, with an interval of the paired bootstrap over the images, which are those of
// both sides in one order.
func CompareSegments(base, candidate *Panoptic, o BootstrapOptions) (Difference, error) {
	if len(base.images) != len(candidate.images) || !slices.Equal(base.stuff, candidate.stuff) {
		return Difference{}, ErrDifferentSets
	}
	return differences(len(base.images), o, base.numbers, candidate.numbers)[0], nil
}

func (p *Panoptic) numbers() numbers {
	return func(weights []float64) []float64 {
		all, _, _ := p.means(p.sums(weights))
		return []float64{all.PQ}
	}
}
