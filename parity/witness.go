package parity

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// predictions are the dense logits of one image in one execution, from the taps det.cls, det.box and det.quality. They hold
// the detections that were suppressed or cut, so they can prove that a missing detection was a candidate, or that it was not.
type predictions struct {
	levels        []pyramidLevel
	height, width float64 // of the image, 0 where unknown
}

type pyramidLevel struct {
	cls, box, quality []float64 // [classes,h,w], [4,h,w], [h,w]
	classes, h, w     int
	stride            float64
}

// readPredictions returns the recorded predictions of one image, nil where the taps are absent or incomplete.
func readPredictions(outputs tensor.List, image int, set Setting) *predictions {
	p := &predictions{height: float64(set.ImageHeight), width: float64(set.ImageWidth)}
	for level := 3; level <= 7; level++ {
		part := func(kind string) *tensor.Tensor { return outputs.Get(fmt.Sprintf("tap.det.%s.P%d", kind, level)) }
		cls, box, quality := part("cls"), part("box"), part("quality")
		if cls == nil || box == nil || quality == nil || cls.Rank() != 4 || image >= cls.Shape()[0] {
			return nil
		}
		s := cls.Shape()
		if !slices.Equal(box.Shape(), []int{s[0], 4, s[2], s[3]}) || !slices.Equal(quality.Shape(), []int{s[0], 1, s[2], s[3]}) {
			return nil
		}
		p.levels = append(p.levels, pyramidLevel{imageOf(cls, image), imageOf(box, image), imageOf(quality, image),
			s[1], s[2], s[3], float64(int(1) << level)})
	}
	return p
}

func imageOf(t *tensor.Tensor, image int) []float64 {
	n := rowLength(t, 1)
	return t.Float64s()[image*n : (image+1)*n]
}

// holds reports whether some anchor predicts a detection of x's class with a score within slack of x's and a box that near
// accepts.
func (p *predictions) holds(x detection, slack float64, near func(a, b box) bool) bool {
	for _, l := range p.levels {
		if x.class < 0 || x.class >= int64(l.classes) {
			return false
		}
		plane := l.h * l.w
		for at := range plane {
			score := sigmoid(l.cls[int(x.class)*plane+at]) * sigmoid(l.quality[at])
			if math.Abs(score-x.score) <= slack && near(p.decode(l, at), x.box) {
				return true
			}
		}
	}
	return false
}

// decode returns the box of an anchor: distances softplus(clamp(logit, -20, 20))·stride from its centre, clamped to the image
// (spec/model.md 3.17).
func (p *predictions) decode(l pyramidLevel, at int) box {
	plane := l.h * l.w
	cx, cy := (float64(at%l.w)+0.5)*l.stride, (float64(at/l.w)+0.5)*l.stride
	distance := func(side int) float64 {
		return math.Log1p(math.Exp(max(-20, min(20, l.box[side*plane+at])))) * l.stride
	}
	b := box{cx - distance(0), cy - distance(1), cx + distance(2), cy + distance(3)}
	if p.width > 0 && p.height > 0 {
		for i, most := range []float64{p.width, p.height, p.width, p.height} {
			b[i] = max(0, min(most, b[i]))
		}
	}
	return b
}

func sigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
