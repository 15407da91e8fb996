package evaluate

// scoreStrata is how many bands of equal width the scores from 0 to 1 have.
const scoreStrata = 10

// ScoreStratum is the detections whose scores are from Low to below High; those of the first may be lower, those of the last higher. A
// detection that is ignored, as one of a crowd, is no part of it. Shares are -1 where there is none to take them of, and the mean score is 0.
type ScoreStratum struct {
	Low         float64 `json:"low"`
	High        float64 `json:"high"`
	Found       int     `json:"detections"` // that count at an overlap of 0.5
	MeanScore   float64 `json:"mean_score"`
	Right50     int     `json:"right_50"` // that are an object's at an overlap of 0.5
	Right75     int     `json:"right_75"`
	Precision50 float64 `json:"precision_50"` // in [0,1]
	Precision75 float64 `json:"precision_75"`
}

// SizeCounts are the objects that count of each of COCO's strata of area. An object whose area is between two is in both.
type SizeCounts struct {
	Small  int `json:"small"`
	Medium int `json:"medium"`
	Large  int `json:"large"`
}

// strata counts detections by their scores.
type strata struct {
	list    [scoreStrata]ScoreStratum
	scores  [scoreStrata]float64 // sums
	found75 [scoreStrata]int
}

// add counts the detections of a class.
func (s *strata) add(list []found) {
	const at50, at75 = 1 << 0, 1 << 5 // bits of Thresholds
	for _, f := range list {
		band := min(int(min(max(f.score, 0), 1)*scoreStrata), scoreStrata-1)
		if f.ignored&at50 == 0 {
			s.list[band].Found++
			s.scores[band] += f.score
			if f.right&at50 != 0 {
				s.list[band].Right50++
			}
		}
		if f.ignored&at75 == 0 {
			s.found75[band]++
			if f.right&at75 != 0 {
				s.list[band].Right75++
			}
		}
	}
}

// result computes the shares.
func (s *strata) result() []ScoreStratum {
	share := func(part, whole int) float64 {
		if whole == 0 {
			return -1
		}
		return float64(part) / float64(whole)
	}
	for i := range s.list {
		b := &s.list[i]
		b.Low, b.High = float64(i)/scoreStrata, float64(i+1)/scoreStrata
		if b.Found > 0 {
			b.MeanScore = s.scores[i] / float64(b.Found)
		}
		b.Precision50, b.Precision75 = share(b.Right50, b.Found), share(b.Right75, s.found75[i])
	}
	return s.list[:]
}

// ScoreStrata tells by their scores how many of the detections of all classes are right: ten strata from the lowest scores to the highest.
func (m *Matches) ScoreStrata() []ScoreStratum {
	var s strata
	for class := range m.series {
		s.add(m.series[class][0].found)
	}
	return s.result()
}

// classStrata are the detections of a class by score, and its objects by size.
func (m *Matches) classStrata(class int) ([]ScoreStratum, SizeCounts) {
	var s strata
	s.add(m.series[class][0].found)
	count := func(stratum int) (n int) {
		for _, o := range m.series[class][stratum].objects {
			n += int(o.count)
		}
		return n
	}
	return s.result(), SizeCounts{count(1), count(2), count(3)}
}
