package mot

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/internal/assign"
	"github.com/apex-x/apexx/internal/track"
)

// Metrics compare a result with the ground truth. Shares are in [0, 1]; MOTA may be negative.
type Metrics struct {
	// HOTA and its parts are means over the overlaps 0.05, 0.10 … 0.95 (Luiten et al., "HOTA: A Higher Order Metric for
	// Evaluating Multi-object Tracking", IJCV 2021).
	HOTA  float64 `json:"hota"`
	DetA  float64 `json:"det_a"`
	AssA  float64 `json:"ass_a"`
	DetRe float64 `json:"det_re"`
	DetPr float64 `json:"det_pr"`
	AssRe float64 `json:"ass_re"`
	AssPr float64 `json:"ass_pr"`
	LocA  float64 `json:"loc_a"`

	// The CLEAR metrics count matches with an overlap of at least ½ (Bernardin and Stiefelhagen, "Evaluating Multiple Object
	// Tracking Performance", EURASIP 2008).
	MOTA           float64 `json:"mota"`
	MOTP           float64 `json:"motp"` // mean overlap of the matches
	TP             int     `json:"tp"`
	FP             int     `json:"fp"`
	FN             int     `json:"fn"`
	IDSwitches     int     `json:"id_switches"`
	Fragmentations int     `json:"fragmentations"`
	MostlyTracked  int     `json:"mostly_tracked"` // objects matched in more than 0.8 of their frames
	PartlyTracked  int     `json:"partially_tracked"`
	MostlyLost     int     `json:"mostly_lost"` // in less than 0.2

	// The identity metrics give each object one track for the whole sequence (Ristani et al., "Performance Measures and a Data
	// Set for Multi-target, Multi-camera Tracking", ECCV 2016).
	IDF1 float64 `json:"idf1"`
	IDP  float64 `json:"idp"`
	IDR  float64 `json:"idr"`
	IDTP int     `json:"idtp"`
	IDFP int     `json:"idfp"`
	IDFN int     `json:"idfn"`
}

// Evaluate compares a result with a ground truth, of which rows with a score of 0 do not count. Rows are sorted by frame and no id
// is twice in a frame, as Parse has them. The numbers are those of TrackEval 1.0: a
// denominator of 0 counts as 1, and MOTA is 0 without a truth.
func Evaluate(truth, result []Row) (Metrics, error) {
	truth = slices.DeleteFunc(slices.Clone(truth), func(r Row) bool { return r.Score == 0 })
	s := newSequence(truth, result)
	var m Metrics
	if err := s.clear(&m); err != nil {
		return Metrics{}, err
	}
	if err := s.identity(&m); err != nil {
		return Metrics{}, err
	}
	return m, s.hota(&m)
}

// sequence has objects and tracks numbered from 0.
type sequence struct {
	frames            []frame
	objects, tracks   int
	ofObject, ofTrack []int // boxes, by number
}

// frame holds the boxes of one frame.
type frame struct {
	objects, tracks []int     // numbers
	overlap         []float64 // [objects, tracks]
}

func (f *frame) at(i, j int) float64 { return f.overlap[i*len(f.tracks)+j] }

func newSequence(truth, result []Row) *sequence {
	s := &sequence{}
	objects, tracks := map[int64]int{}, map[int64]int{}
	number := func(of map[int64]int, counts *[]int, id int64) int {
		n, known := of[id]
		if !known {
			n = len(of)
			of[id] = n
			*counts = append(*counts, 0)
		}
		(*counts)[n]++
		return n
	}
	for len(truth) > 0 || len(result) > 0 {
		at := math.MaxInt
		for _, rows := range [][]Row{truth, result} {
			if len(rows) > 0 {
				at = min(at, rows[0].Frame)
			}
		}
		var f frame
		var a, b []Row
		a, truth = cutFrame(truth, at)
		b, result = cutFrame(result, at)
		for _, r := range a {
			f.objects = append(f.objects, number(objects, &s.ofObject, r.ID))
		}
		for _, r := range b {
			f.tracks = append(f.tracks, number(tracks, &s.ofTrack, r.ID))
		}
		for _, r := range a {
			for _, q := range b {
				f.overlap = append(f.overlap, overlap(r.Box, q.Box))
			}
		}
		s.frames = append(s.frames, f)
	}
	s.objects, s.tracks = len(objects), len(tracks)
	return s
}

// cutFrame divides rows behind those of a frame.
func cutFrame(rows []Row, frame int) (of, rest []Row) {
	n, _ := slices.BinarySearchFunc(rows, frame+1, func(r Row, f int) int { return cmp.Compare(r.Frame, f) })
	return rows[:n], rows[n:]
}

// epsilon is the distance of 1 to the next float64, by which TrackEval lowers its thresholds.
const epsilon = 0x1p-52

// overlap is the IoU, 0 for boxes without area.
func overlap(a, b track.Box) float64 {
	areaA, areaB := (a[2]-a[0])*(a[3]-a[1]), (b[2]-b[0])*(b[3]-b[1])
	inter := max(min(a[2], b[2])-max(a[0], b[0]), 0) * max(min(a[3], b[3])-max(a[1], b[1]), 0)
	union := areaA + areaB - inter
	if areaA <= epsilon || areaB <= epsilon || union <= epsilon {
		return 0
	}
	return inter / union
}

// best is the assignment of greatest total score, [objects, tracks] of a frame.
func (f *frame) best(score []float64) ([]assign.Pair, error) {
	cost := make([]float64, len(score))
	for i, v := range score {
		cost[i] = -v
	}
	pairs, err := assign.Solve(cost, len(f.objects), len(f.tracks))
	if err != nil {
		return nil, fmt.Errorf("evaluate tracks: %w", err)
	}
	return pairs, nil
}

// matchOverlap is the least overlap of a match of the CLEAR and identity metrics.
const matchOverlap = 0.5

// clear matches frame by frame. A pair of the frame before goes first; of the others the overlap decides.
func (s *sequence) clear(m *Metrics) error {
	const none = -1
	last := slices.Repeat([]int{none}, s.objects)   // track that matched last
	before := slices.Repeat([]int{none}, s.objects) // in the frame before
	matched, starts := make([]int, s.objects), make([]int, s.objects)
	sum := 0.0
	for i := range s.frames {
		f := &s.frames[i]
		if len(f.objects) == 0 || len(f.tracks) == 0 {
			m.FP += len(f.tracks)
			m.FN += len(f.objects)
			continue // the frame before is that before this one
		}
		score := make([]float64, len(f.overlap))
		for k, v := range f.overlap {
			if v >= matchOverlap-epsilon {
				score[k] = v
				if before[f.objects[k/len(f.tracks)]] == f.tracks[k%len(f.tracks)] {
					score[k] += 1000
				}
			}
		}
		pairs, err := f.best(score)
		if err != nil {
			return err
		}
		pairs = slices.DeleteFunc(pairs, func(p assign.Pair) bool { return score[p.Row*len(f.tracks)+p.Col] <= epsilon })
		now := slices.Repeat([]int{none}, s.objects)
		for _, p := range pairs {
			object, tr := f.objects[p.Row], f.tracks[p.Col]
			if last[object] != none && last[object] != tr {
				m.IDSwitches++
			}
			if before[object] == none {
				starts[object]++
			}
			matched[object]++
			last[object], now[object] = tr, tr
			sum += f.at(p.Row, p.Col)
		}
		before = now
		m.TP += len(pairs)
		m.FN += len(f.objects) - len(pairs)
		m.FP += len(f.tracks) - len(pairs)
	}
	for object, n := range matched {
		m.Fragmentations += max(starts[object]-1, 0)
		switch share := float64(n) / float64(s.ofObject[object]); {
		case share > 0.8:
			m.MostlyTracked++
		case share >= 0.2:
			m.PartlyTracked++
		default:
			m.MostlyLost++
		}
	}
	m.MOTP = sum / float64(max(m.TP, 1))
	if s.objects > 0 {
		m.MOTA = float64(m.TP-m.FP-m.IDSwitches) / float64(m.TP+m.FN)
	}
	return nil
}

// identity gives each object the track with which it has most frames in common, all in all.
func (s *sequence) identity(m *Metrics) error {
	cost := make([]float64, s.objects*s.tracks)
	for i := range s.frames {
		f := &s.frames[i]
		for k, v := range f.overlap {
			if v >= matchOverlap {
				cost[f.objects[k/len(f.tracks)]*s.tracks+f.tracks[k%len(f.tracks)]]--
			}
		}
	}
	pairs, err := assign.Solve(cost, s.objects, s.tracks)
	if err != nil {
		return fmt.Errorf("evaluate identities: %w", err)
	}
	for _, p := range pairs {
		m.IDTP -= int(cost[p.Row*s.tracks+p.Col])
	}
	m.IDFN, m.IDFP = sumOf(s.ofObject)-m.IDTP, sumOf(s.ofTrack)-m.IDTP
	tp := float64(m.IDTP)
	m.IDF1 = tp / max(1, tp+0.5*float64(m.IDFP)+0.5*float64(m.IDFN))
	m.IDR = tp / max(1, tp+float64(m.IDFN))
	m.IDP = tp / max(1, tp+float64(m.IDFP))
	return nil
}

func sumOf(counts []int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}
