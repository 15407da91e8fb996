package mask

import "fmt"

// Area returns the number of pixels inside.
func (r RLE) Area() int {
	area := 0
	for i := 1; i < len(r.Counts); i += 2 {
		area += int(r.Counts[i])
	}
	return area
}

// Box returns the least box x, y, width, height around the pixels inside; zeros where there are none.
func (r RLE) Box() [4]float64 {
	height := r.Size[0]
	left, top, right, bottom := r.Size[1], height, -1, -1
	end := 0
	for i, n := range r.Counts {
		first := end
		if end += int(n); i%2 == 0 || n == 0 {
			continue
		}
		from, to := first/height, (end-1)/height // columns
		left, right = min(left, from), max(right, to)
		if from < to { // the run goes over the foot of a column
			top, bottom = 0, height-1
			continue
		}
		top, bottom = min(top, first%height), max(bottom, (end-1)%height)
	}
	if right < 0 {
		return [4]float64{}
	}
	return [4]float64{float64(left), float64(top), float64(right - left + 1), float64(bottom - top + 1)}
}

// walk goes over the runs of two masks together: it calls step with each length over which neither changes. Both have passed Check
// and have the same size. Runs of length 0 are passed over; pycocotools ends or hangs where two of them meet.
func walk(a, b RLE, step func(n uint32, inA, inB bool)) {
	runA, runB := run{counts: a.Counts, inside: true}, run{counts: b.Counts, inside: true}
	for {
		n := min(runA.left(), runB.left())
		if n == 0 {
			return
		}
		step(n, runA.inside, runB.inside)
		runA.rest -= n
		runB.rest -= n
	}
}

// run is a place in the runs of a mask.
type run struct {
	counts []uint32 // of the runs to come
	rest   uint32   // of this run
	inside bool
}

// left returns the rest of this run, or of the next one that has pixels; 0 at the end.
func (r *run) left() uint32 {
	for r.rest == 0 && len(r.counts) > 0 {
		r.rest, r.counts, r.inside = r.counts[0], r.counts[1:], !r.inside
	}
	return r.rest
}

// Union merges masks of one size. Pixels of any are inside.
func Union(masks ...RLE) (RLE, error) {
	if len(masks) == 0 {
		return RLE{}, errNoMask
	}
	all := masks[0]
	for _, m := range masks[1:] {
		if m.Size != all.Size {
			return RLE{}, fmt.Errorf("cannot merge masks of %d×%d and %d×%d", all.Size[0], all.Size[1], m.Size[0], m.Size[1])
		}
		var out Builder
		walk(all, m, func(n uint32, a, b bool) { out.Add(a || b, int(n)) })
		all = out.RLE(all.Size[0], all.Size[1])
	}
	return all, nil
}

// Overlap counts the pixels inside both masks and inside either, which have one size.
func Overlap(a, b RLE) (both, either int) {
	walk(a, b, func(n uint32, inA, inB bool) {
		if inA && inB {
			both += int(n)
		}
		if inA || inB {
			either += int(n)
		}
	})
	return both, either
}

// iou returns the overlap of a detection with an object, |d∩g| / |d∪g|; against a crowd it is |d∩g| / |d|. It is 0 where the boxes of
// the masks do not overlap, and -1 for masks of different size whose boxes do.
func iou(d, g RLE, boxD, boxG [4]float64, crowd bool) float64 {
	if BoxIoU(boxD, boxG, crowd) == 0 {
		return 0
	}
	if d.Size != g.Size {
		return -1
	}
	both, either := Overlap(d, g)
	switch {
	case both == 0:
		return 0
	case crowd:
		either = d.Area()
	}
	return float64(both) / float64(either)
}

// BoxIoU returns the same overlap of boxes x, y, width, height, by their areas.
func BoxIoU(detection, object [4]float64, crowd bool) float64 {
	d, g := detection, object
	width := min(d[0]+d[2], g[0]+g[2]) - max(d[0], g[0])
	if !(width > 0) {
		return 0
	}
	height := min(d[1]+d[3], g[1]+g[3]) - max(d[1], g[1])
	if !(height > 0) {
		return 0
	}
	// The conversions keep products from being fused with sums, which rounds otherwise.
	both, area := float64(width*height), float64(d[2]*d[3])
	if crowd {
		return both / area
	}
	return both / (area + float64(g[2]*g[3]) - both)
}

// IoUs fills out with the IoU of every detection (rows) with every object (columns); crowd has one value for each object.
func IoUs(out []float64, detections, objects []RLE, crowd []bool) {
	boxes := make([][4]float64, len(objects))
	for j, g := range objects {
		boxes[j] = g.Box()
	}
	for i, d := range detections {
		box := d.Box()
		for j, g := range objects {
			out[i*len(objects)+j] = iou(d, g, box, boxes[j], crowd[j])
		}
	}
}
