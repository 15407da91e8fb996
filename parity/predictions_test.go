package parity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"

	"github.com/apex-x/apexx/parity/evidence"
)

// recordPredictions adds the taps det.* that decode to the valid detections, each at an anchor of its own in P3.
func (f *fix) recordPredictions() {
	for level := 3; level <= 7; level++ {
		h, w := max(fixH>>level, 1), max(fixW>>level, 1)
		for _, part := range []struct {
			kind     string
			channels int
		}{{"cls", fixClasses}, {"box", 4}, {"quality", 1}} {
			t := tensor.New(tensor.Float32, fixBatch, part.channels, h, w)
			for i := range tensor.Data[float32](t) {
				tensor.Data[float32](t)[i] = -20
			}
			f.list = append(f.list, tensor.Named{Name: fmt.Sprintf("tap.det.%s.P%d", part.kind, level), Tensor: t})
		}
	}
	for b := range fixBatch {
		for row := range int(f.ints("valid_counts")[b]) {
			at := b*fixRows + row
			var d detection
			for i := range d.box {
				d.box[i] = float64(f.floats("boxes")[4*at+i])
			}
			d.score, d.class = float64(f.floats("scores")[at]), f.ints("class_ids")[at]
			f.predict(b, d)
		}
	}
}

// predict writes logits that decode to d at the first free anchor of P3 in its middle.
func (f *fix) predict(b int, d detection) {
	h, w := fixH/8, fixW/8
	quality := f.floats("tap.det.quality.P3")[b*h*w : (b+1)*h*w]
	x, y := int((d.box[0]+d.box[2])/16), int((d.box[1]+d.box[3])/16)
	for quality[y*w+x] != -20 {
		x++
	}
	at := y*w + x
	quality[at] = 20
	f.floats("tap.det.cls.P3")[(b*fixClasses+int(d.class))*h*w+at] = float32(math.Log(d.score / (1 - d.score)))
	cx, cy := 8*float64(x)+4, 8*float64(y)+4
	for side, distance := range []float64{cx - d.box[0], cy - d.box[1], d.box[2] - cx, d.box[3] - cy} {
		f.floats("tap.det.box.P3")[(b*4+side)*h*w+at] = float32(math.Log(math.Expm1(distance / 8)))
	}
}

// With the dense predictions recorded, one wrong box is told from two boxes that compete.
func TestPredictionsTellAWrongBoxFromARival(t *testing.T) {
	first := detection{box: box{8, 8, 100, 80}, class: 3, score: 0.0551}
	second := detection{box: box{8, 8, 100, 95}, class: 3, score: 0.0551}
	for _, c := range []struct {
		name   string
		record bool
		rivals bool // both executions predict both boxes
		want   evidence.State
	}{
		{"not recorded", false, false, evidence.Unverified},
		{"rivals", true, true, evidence.Explained},
		{"a wrong box", true, false, evidence.Fail},
	} {
		ref := &fix{fixture(11)}
		ref.setDetection(0, 11, first, rand.New(rand.NewPCG(8, 8)))
		if c.record {
			ref.recordPredictions()
		}
		if c.rivals {
			ref.predict(0, second)
		}
		cand := &fix{ref.list.Clone()}
		cand.setDetection(0, 11, second, rand.New(rand.NewPCG(8, 8)))
		if r := CompareOutputs(ref.list, cand.list, Options{Setting: fixSetting}); r.State != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, r.State, c.want, r.Summary())
		}
	}
}
