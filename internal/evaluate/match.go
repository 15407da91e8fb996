package evaluate

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/mask"
)

// Thresholds are the overlaps from which a detection is right: 0.5, 0.55, … 0.95, as numpy's linspace computes them.
var Thresholds = thresholds()

const (
	thresholdCount = 10
	recallCount    = 101
	mostFound      = 100 // detections of a class in an image that count
)

func thresholds() (list [thresholdCount]float64) {
	low, high := 0.5, 0.95
	for i := range list {
		list[i] = low + float64(float64(i)*((high-low)/9))
	}
	list[thresholdCount-1] = high
	return list
}

// Range is a stratum of objects by their area in pixels, ends included.
type Range struct {
	Name      string
	Low, High float64
}

// Ranges are COCO's strata.
var Ranges = [...]Range{{"all", 0, 1e10}, {"small", 0, 32 * 32}, {"medium", 32 * 32, 96 * 96}, {"large", 96 * 96, 1e10}}

func (r Range) holds(area float64) bool { return area >= r.Low && area <= r.High }

// Matches are the detections of every class and stratum, each with the thresholds at which it is right.
type Matches struct {
	Images  []int64 // ids, ascending; other places number images in this order
	Classes coco.Mapping
	series  [][len(Ranges)]series // of each class
}

// series is one class in one stratum.
type series struct {
	found   []found   // by score, the highest first
	objects []objects // by image
}

// found is a detection. Bit i of right says that it is an object's at threshold i, of ignored that it does not count.
type found struct {
	score          float64
	image          int32
	rank           uint8 // among the detections of its class in its image
	right, ignored uint16
}

// objects is the number of those that count in an image.
type objects struct{ image, count int32 }

// MatchBoxes pairs detections with objects by their boxes, as pycocotools 2.0.11 does with iouType bbox. Every detection's image and
// category is one of the data set.
func MatchBoxes(d *coco.Dataset, list []coco.Detection) *Matches {
	m, err := match(d, list, boxOverlaps)
	if err != nil {
		panic(err) // boxes always overlap in some way
	}
	return m
}

// MatchMasks pairs detections with objects by their masks, as pycocotools 2.0.11 does with iouType segm and results without boxes: the area
// of a detection is that of its mask. It is an error if an object or a detection has no mask.
func MatchMasks(d *coco.Dataset, list []coco.Detection) (*Matches, error) {
	return match(d, list, maskOverlaps)
}

// cell is a class in an image.
type cell struct {
	class, image int
	objects      []*coco.Annotation // in the order of the file
	found        []*coco.Detection  // by score, the highest first, at most mostFound
	size         [2]int             // of the image: height, width
}

// overlaps computes the overlap of every detection (rows) with every object (columns), and the areas of the detections.
type overlaps func(c *cell) (iou, areas []float64, err error)

func match(d *coco.Dataset, list []coco.Detection, overlap overlaps) (*Matches, error) {
	m := &Matches{Classes: d.Mapping()}
	for _, im := range d.Images {
		m.Images = append(m.Images, im.ID)
	}
	slices.Sort(m.Images)
	byClass := m.cells(d, list)
	m.series = make([][len(Ranges)]series, len(byClass))
	errs := make([]error, len(byClass))
	each(len(byClass), func(class int) { errs[class] = m.matchClass(class, byClass[class], overlap) })
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// each calls do with the numbers below n, on all processors.
func each(n int, do func(i int)) {
	var wait sync.WaitGroup
	next := make(chan int)
	for range min(runtime.GOMAXPROCS(0), n) {
		wait.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
}

// cells sorts objects and detections by class and image.
func (m *Matches) cells(d *coco.Dataset, list []coco.Detection) [][]*cell {
	place := make(map[int64]int, len(m.Images))
	for i, id := range m.Images {
		place[id] = i
	}
	size := make([][2]int, len(m.Images))
	for _, im := range d.Images {
		size[place[im.ID]] = [2]int{im.Height, im.Width}
	}
	byClass := make([]map[int]*cell, len(m.Classes.IDs))
	at := func(category, image int64) *cell {
		class, i := m.Classes.Class[category], place[image]
		if byClass[class] == nil {
			byClass[class] = map[int]*cell{}
		}
		c := byClass[class][i]
		if c == nil {
			c = &cell{class: class, image: i, size: size[i]}
			byClass[class][i] = c
		}
		return c
	}
	for i := range d.Annotations {
		a := &d.Annotations[i]
		c := at(a.Category, a.Image)
		c.objects = append(c.objects, a)
	}
	for i := range list {
		c := at(list[i].Category, list[i].Image)
		c.found = append(c.found, &list[i])
	}
	cells := make([][]*cell, len(byClass))
	for class, images := range byClass {
		for _, c := range images {
			cells[class] = append(cells[class], c)
		}
		slices.SortFunc(cells[class], func(a, b *cell) int { return cmp.Compare(a.image, b.image) })
	}
	return cells
}

// matchClass pairs the detections of a class and sorts them over all images. Both sorts are stable: of equal scores the one of the
// image with the smaller id is first, in an image the first of the list.
func (m *Matches) matchClass(class int, cells []*cell, overlap overlaps) error {
	for _, c := range cells {
		slices.SortStableFunc(c.found, func(a, b *coco.Detection) int { return cmp.Compare(b.Score, a.Score) })
		c.found = c.found[:min(len(c.found), mostFound)]
		iou, areas, err := overlap(c)
		if err != nil {
			return err
		}
		for i, r := range Ranges {
			m.series[class][i].add(c, r, iou, areas)
		}
	}
	for i := range Ranges {
		slices.SortStableFunc(m.series[class][i].found, func(a, b found) int { return cmp.Compare(b.score, a.score) })
	}
	return nil
}

// add pairs the detections of one cell with its objects in a stratum.
func (s *series) add(c *cell, r Range, iou, areas []float64) {
	order, ignored := objectsOf(c, r)
	if n := slices.Index(append(ignored, true), true); n > 0 {
		s.objects = append(s.objects, objects{int32(c.image), int32(n)})
	}
	first := len(s.found)
	for rank, d := range c.found {
		s.found = append(s.found, found{score: d.Score, image: int32(c.image), rank: uint8(rank)})
	}
	list := s.found[first:]
	taken := make([]bool, len(order))
	for t, threshold := range Thresholds {
		clear(taken)
		bit := uint16(1) << t
		for i := range list {
			j := bestObject(iou[i*len(order):(i+1)*len(order)], threshold, order, ignored, taken, c.objects)
			switch {
			case j < 0 && !r.holds(areas[i]), j >= 0 && ignored[j]:
				list[i].ignored |= bit
			case j >= 0:
				list[i].right |= bit
			}
			if j >= 0 {
				taken[j] = true
			}
		}
	}
}

// objectsOf orders the objects of a cell: those that count first. Crowds and those of other sizes are ignored: to find them is neither
// right nor wrong.
func objectsOf(c *cell, r Range) (order []int, ignored []bool) {
	for _, wanted := range []bool{false, true} {
		for i, a := range c.objects {
			if (a.Crowd || !r.holds(a.Area)) == wanted {
				order, ignored = append(order, i), append(ignored, wanted)
			}
		}
	}
	return order, ignored
}

// bestObject returns the place in order of the object that a detection finds, -1 for none: the one with the greatest overlap of at
// least the threshold that no better detection has, the last of equal ones; an ignored one only where no other will do. A crowd can be
// found again and again.
func bestObject(iou []float64, threshold float64, order []int, ignored, taken []bool, all []*coco.Annotation) int {
	best, least := -1, min(threshold, 1-1e-10)
	for j, at := range order {
		if taken[j] && !all[at].Crowd {
			continue
		}
		if best >= 0 && !ignored[best] && ignored[j] {
			break
		}
		if iou[at] >= least {
			best, least = j, iou[at]
		}
	}
	return best
}

func boxOverlaps(c *cell) (iou, areas []float64, err error) {
	for _, d := range c.found {
		areas = append(areas, d.Box[2]*d.Box[3])
		for _, a := range c.objects {
			iou = append(iou, mask.BoxIoU(d.Box, a.Box, a.Crowd))
		}
	}
	return iou, areas, nil
}

func maskOverlaps(c *cell) (iou, areas []float64, err error) {
	masks := make([]mask.RLE, len(c.objects))
	crowds := make([]bool, len(c.objects))
	for i, a := range c.objects {
		if a.Segmentation.Empty() {
			return nil, nil, fmt.Errorf("the object of annotation %d has no mask", a.ID)
		}
		if masks[i], err = a.Segmentation.Mask(c.size[0], c.size[1]); err != nil {
			return nil, nil, fmt.Errorf("the mask of annotation %d: %w", a.ID, err)
		}
		crowds[i] = a.Crowd
	}
	found := make([]mask.RLE, len(c.found))
	for i, d := range c.found {
		if d.Segmentation.Empty() {
			return nil, nil, fmt.Errorf("a detection of image %d has no mask", d.Image)
		}
		if found[i], err = d.Segmentation.Mask(c.size[0], c.size[1]); err != nil {
			return nil, nil, fmt.Errorf("the mask of a detection of image %d: %w", d.Image, err)
		}
		areas = append(areas, float64(found[i].Area()))
	}
	iou = make([]float64, len(found)*len(masks))
	mask.IoUs(iou, found, masks, crowds)
	return iou, areas, nil
}
