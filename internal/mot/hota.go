package mot

import "math"

// thresholds are the overlaps over which HOTA is a mean: 0.05 to 0.95.
const thresholds = 19

func threshold(i int) float64 { return 0.05 + float64(0.05*float64(i)) }

// hota matches by overlap and by how well an object and a track agree over the whole sequence, once for all thresholds.
func (s *sequence) hota(m *Metrics) error {
	agreement := s.agreement()
	var counts [thresholds]hotaCounts
	for a := range counts {
		counts[a].matches = map[[2]int]int{}
	}
	for i := range s.frames {
		f := &s.frames[i]
		score := make([]float64, len(f.overlap))
		for k, v := range f.overlap {
			score[k] = agreement[f.objects[k/len(f.tracks)]*s.tracks+f.tracks[k%len(f.tracks)]] * v
		}
		pairs, err := f.best(score)
		if err != nil {
			return err
		}
		for a := range counts {
			c, n := &counts[a], 0
			for _, p := range pairs {
				if v := f.at(p.Row, p.Col); v >= threshold(a)-epsilon {
					n++
					c.overlap += v
					c.matches[[2]int{f.objects[p.Row], f.tracks[p.Col]}]++
				}
			}
			c.tp += n
			c.fn += len(f.objects) - n
			c.fp += len(f.tracks) - n
		}
	}
	for a := range counts {
		counts[a].add(m, s)
	}
	for _, v := range []*float64{&m.HOTA, &m.DetA, &m.AssA, &m.DetRe, &m.DetPr, &m.AssRe, &m.AssPr, &m.LocA} {
		*v /= thresholds
	}
	return nil
}

// agreement is the Jaccard index of each object and track [objects, tracks], in which a frame counts by their overlap as a share
// of all overlaps of the two.
func (s *sequence) agreement() []float64 {
	common := make([]float64, s.objects*s.tracks)
	for i := range s.frames {
		f := &s.frames[i]
		rows, cols := make([]float64, len(f.objects)), make([]float64, len(f.tracks))
		for k, v := range f.overlap {
			rows[k/len(f.tracks)] += v
			cols[k%len(f.tracks)] += v
		}
		for k, v := range f.overlap {
			o, t := k/len(f.tracks), k%len(f.tracks)
			if whole := cols[t] + rows[o] - v; whole > epsilon {
				common[f.objects[o]*s.tracks+f.tracks[t]] += v / whole
			}
		}
	}
	for k, v := range common {
		common[k] = v / (float64(s.ofObject[k/s.tracks]+s.ofTrack[k%s.tracks]) - v)
	}
	return common
}

// hotaCounts are what is counted at one threshold.
type hotaCounts struct {
	tp, fn, fp int
	overlap    float64        // sum over the matches
	matches    map[[2]int]int // frames by object and track
}

// add adds the metrics of a threshold.
func (c *hotaCounts) add(m *Metrics, s *sequence) {
	var association, recall, precision float64
	for object := range s.objects { // in a fixed order, as sums depend on it
		for tr := range s.tracks {
			n := c.matches[[2]int{object, tr}]
			if n == 0 {
				continue
			}
			v, ofObject, ofTrack := float64(n), s.ofObject[object], s.ofTrack[tr]
			association += v * v / float64(ofObject+ofTrack-n)
			recall += v * v / float64(ofObject)
			precision += v * v / float64(ofTrack)
		}
	}
	tp, some := float64(c.tp), float64(max(c.tp, 1))
	detection := tp / float64(max(c.tp+c.fn+c.fp, 1))
	m.DetA += detection
	m.DetRe += tp / float64(max(c.tp+c.fn, 1))
	m.DetPr += tp / float64(max(c.tp+c.fp, 1))
	m.AssA += association / some
	m.AssRe += recall / some
	m.AssPr += precision / some
	m.HOTA += math.Sqrt(detection * (association / some))
	m.LocA += max(1e-10, c.overlap) / max(1e-10, tp) // without a match 1
}
