package evaluate

// Summary is COCO's twelve numbers: average precision and recall over all classes that have an object, in [0,1], or -1 where none has one.
type Summary struct {
	AP       float64 `json:"ap"` // over all Thresholds
	AP50     float64 `json:"ap50"`
	AP75     float64 `json:"ap75"`
	APSmall  float64 `json:"ap_small"`
	APMedium float64 `json:"ap_medium"`
	APLarge  float64 `json:"ap_large"`
	AR1      float64 `json:"ar_1"` // of the best detection of each class in each image
	AR10     float64 `json:"ar_10"`
	AR100    float64 `json:"ar_100"`
	ARSmall  float64 `json:"ar_small"`
	ARMedium float64 `json:"ar_medium"`
	ARLarge  float64 `json:"ar_large"`
}

// Numbers are the twelve in pycocotools' order.
func (s Summary) Numbers() [12]float64 {
	return [12]float64{s.AP, s.AP50, s.AP75, s.APSmall, s.APMedium, s.APLarge, s.AR1, s.AR10, s.AR100, s.ARSmall, s.ARMedium, s.ARLarge}
}

// ClassSummary is the part of one class.
type ClassSummary struct {
	Name    string `json:"name"`
	Objects int    `json:"objects"` // that count, crowds left out
	Found   int    `json:"detections"`
	Summary
	Sizes  SizeCounts     `json:"objects_by_size"`
	Scores []ScoreStratum `json:"score_strata"`
}

// mean collects what is not -1.
type mean struct{ sum, count float64 }

func (m *mean) add(v, count float64) { m.sum, m.count = m.sum+v, m.count+count }

func (m mean) value() float64 {
	if m.count == 0 {
		return -1
	}
	return m.sum / m.count
}

// means are the parts of a summary.
type means struct {
	precision [len(Ranges)]mean
	at50      mean
	at75      mean
	recall    [len(Ranges)]mean
	first     [2]mean // recall of the best 1 and 10
}

// addClass sums up one class.
func (m *means) addClass(a *accumulator, list *[len(Ranges)]series, weights []float64) {
	var c Curve
	for i := range Ranges {
		if !a.curve(&list[i], mostFound, weights, &c) {
			continue
		}
		for t := range Thresholds {
			p := sum(c.Precision[t][:])
			m.precision[i].add(p, recallCount)
			m.recall[i].add(c.Recall[t], 1)
			switch {
			case i == 0 && t == 0:
				m.at50.add(p, recallCount)
			case i == 0 && t == 5:
				m.at75.add(p, recallCount)
			}
		}
	}
	for i, most := range []int{1, 10} {
		if a.curve(&list[0], most, weights, &c) {
			m.first[i].add(sum(c.Recall[:]), thresholdCount)
		}
	}
}

func sum(list []float64) (s float64) {
	for _, v := range list {
		s += v
	}
	return s
}

func (m *means) summary() Summary {
	return Summary{
		AP: m.precision[0].value(), AP50: m.at50.value(), AP75: m.at75.value(),
		APSmall: m.precision[1].value(), APMedium: m.precision[2].value(), APLarge: m.precision[3].value(),
		AR1: m.first[0].value(), AR10: m.first[1].value(), AR100: m.recall[0].value(),
		ARSmall: m.recall[1].value(), ARMedium: m.recall[2].value(), ARLarge: m.recall[3].value(),
	}
}

// Summary computes the twelve numbers over all images.
func (m *Matches) Summary() Summary {
	var all means
	var a accumulator
	for class := range m.series {
		all.addClass(&a, &m.series[class], nil)
	}
	return all.summary()
}

// PerClass computes the twelve numbers of each class.
func (m *Matches) PerClass() []ClassSummary {
	list := make([]ClassSummary, len(m.series))
	var a accumulator
	for class := range m.series {
		var one means
		one.addClass(&a, &m.series[class], nil)
		s := &m.series[class][0]
		list[class] = ClassSummary{Name: m.Classes.Names[class], Found: len(s.found), Summary: one.summary()}
		for _, o := range s.objects {
			list[class].Objects += int(o.count)
		}
		list[class].Scores, list[class].Sizes = m.classStrata(class)
	}
	return list
}

// MeanCurve is the precision at recalls 0, 0.01, … 1 at a threshold (an index of Thresholds), the mean over the classes that have an
// object; nil where none has one.
func (m *Matches) MeanCurve(threshold int) []float64 {
	out := make([]float64, recallCount)
	classes := 0.0
	var a accumulator
	var c Curve
	for class := range m.series {
		if !a.curve(&m.series[class][0], mostFound, nil, &c) {
			continue
		}
		classes++
		for i, p := range c.Precision[threshold] {
			out[i] += p
		}
	}
	if classes == 0 {
		return nil
	}
	for i := range out {
		out[i] /= classes
	}
	return out
}
