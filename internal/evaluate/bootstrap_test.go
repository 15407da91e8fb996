package evaluate

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/coco/synthetic"
)

var trials = flag.Int("trials", 4, "of TestPower; README.md has more")

// synthesized is a synthetic set and what a detector finds in it.
func synthesized(t testing.TB, spec synthetic.Spec) (*coco.Dataset, []coco.Detection) {
	t.Helper()
	var truth, results bytes.Buffer
	set := synthetic.New(spec)
	if err := errors.Join(set.Annotations(&truth), set.Results(&results)); err != nil {
		t.Fatal(err)
	}
	d, _, err := coco.Decode(&truth, coco.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := coco.DecodeDetections(&results, d, coco.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d, list
}

// without drops a share of the detections.
func without(list []coco.Detection, share float64, rnd *rand.Rand) []coco.Detection {
	return slices.DeleteFunc(slices.Clone(list), func(coco.Detection) bool { return rnd.Float64() < share })
}

// redraw is a bootstrap replicate as a set of its own.
func redraw(m *Matches, weights []float64) *Matches {
	out := &Matches{Classes: m.Classes, series: make([][len(Ranges)]series, len(m.series))}
	copies := make([][]int32, len(m.Images)) // of each image, in the new numbering
	for i, w := range weights {
		for range int(w) {
			copies[i] = append(copies[i], int32(len(out.Images)))
			out.Images = append(out.Images, int64(len(out.Images)))
		}
	}
	for class := range m.series {
		for r := range Ranges {
			from, to := &m.series[class][r], &out.series[class][r]
			for _, f := range from.found {
				for _, im := range copies[f.image] {
					f.image = im
					to.found = append(to.found, f)
				}
			}
			for _, o := range from.objects {
				for _, im := range copies[o.image] {
					to.objects = append(to.objects, objects{im, o.count})
				}
			}
		}
	}
	return out
}

// TestPower plants a loss of a point of AP in a set of 512 images and looks at bootstrap replicates of it: in at least 95 % of them the
// interval has to call the loss, and where both sides are equally good in at most 1 % any difference. Both sides lose 0.3 % of their
// detections at random, as two backends of equal precision do.
func TestPower(t *testing.T) {
	d, list := synthesized(t, synthetic.Spec{Images: 512, Classes: 8, Objects: 7, Detections: 8, Noise: 0.05, Miss: 0.1, Seed: 6})
	rnd := rand.New(rand.NewPCG(3, 4))
	const noise = 0.003
	base := MatchBoxes(d, without(list, noise, rnd))
	equalOne := MatchBoxes(d, without(list, noise, rnd))
	whole := base.precisions(nil)[0]
	var worse *Matches
	for share := 0.0; worse == nil; share += 0.0005 {
		m := MatchBoxes(d, without(list, noise+share, rnd))
		if loss := whole - m.precisions(nil)[0]; loss > 0.0099 && loss < 0.0105 {
			worse = m
		}
	}
	called, alarms := 0, 0
	for i := range *trials {
		weights := resample(len(base.Images), 77, uint64(i))
		b := redraw(base, weights)
		o := BootstrapOptions{Replicates: 300, Seed: uint64(i)}
		loss, err := Compare(b, redraw(worse, weights), o)
		if err != nil {
			t.Fatal(err)
		}
		if loss.AP.High < 0 {
			called++
		}
		// Around the difference of the whole sets, which is no loss but noise, replicates are centred.
		none, _ := Compare(b, redraw(equalOne, weights), o)
		centre := equalOne.precisions(nil)[0] - whole
		if none.AP.Low > centre || none.AP.High < centre {
			alarms++
		}
	}
	t.Logf("a loss of %.2f points was called in %d of %d replicates, no loss in %d", 100*(whole-worse.precisions(nil)[0]), called, *trials, alarms)
	if float64(called) < 0.95*float64(*trials) || float64(alarms) > max(1, 0.01*float64(*trials)) {
		t.Errorf("a loss was called in %d of %d replicates, no loss in %d", called, *trials, alarms)
	}
}

// TestReplicateIsItsWeights holds the sums with weights to those of a set in which images are there several times.
func TestReplicateIsItsWeights(t *testing.T) {
	d, list := synthesized(t, synthetic.Spec{Images: 40, Classes: 3, Objects: 5, Detections: 12, Noise: 0.1, Miss: 0.2, Ties: true, Seed: 8})
	m := MatchBoxes(d, list)
	for i := range 20 {
		weights := resample(len(m.Images), 5, uint64(i))
		got, want := m.precisions(weights), redraw(m, weights).precisions(nil)
		for k := range got {
			near(t, "AP of a replicate", got[k], want[k])
		}
	}
}

func TestCompare(t *testing.T) {
	d, list := synthesized(t, synthetic.Spec{Images: 30, Classes: 3, Objects: 5, Detections: 8, Noise: 0.1, Miss: 0.2, Seed: 9})
	m := MatchBoxes(d, list)
	same, err := Compare(m, m, BootstrapOptions{Replicates: 50})
	if err != nil || same.AP.Delta != 0 || same.AP.Low != 0 || same.AP.High != 0 || same.AP.Differs() {
		t.Errorf("with itself: %+v %v", same, err)
	}
	first := d.Images[4].ID
	fewer := slices.DeleteFunc(slices.Clone(list), func(f coco.Detection) bool { return f.Image == first })
	less := MatchBoxes(d, fewer)
	once, _ := Compare(m, less, BootstrapOptions{Replicates: 50, Seed: 1})
	again, _ := Compare(m, less, BootstrapOptions{Replicates: 50, Seed: 1})
	if once != again || once.AP.Delta >= 0 || once.AP.Low > once.AP.Delta || once.AP.High < once.AP.Delta {
		t.Errorf("without the detections of one image: %+v, again %+v", once, again)
	}
	changes, err := Changes(m, less)
	if err != nil || len(changes) != 1 || changes[0].Image != first || changes[0].Influence >= 0 {
		t.Errorf("changes %+v %v", changes, err)
	}
	near(t, "the influence of the only image", changes[0].Influence, once.AP.Delta)
	other := MatchBoxes(&coco.Dataset{Images: d.Images[1:], Categories: d.Categories}, nil)
	if _, err := Compare(m, other, BootstrapOptions{}); !errors.Is(err, ErrDifferentSets) {
		t.Errorf("%v", err)
	}
	if s := other.Summary(); s.AP != -1 || s.AR1 != -1 || other.MeanCurve(0) != nil {
		t.Errorf("without objects: %+v", s)
	}
}

// BenchmarkBoxes evaluates as many images and detections as COCO's validation set has; testdata/time.py times pycocotools on the same files.
func BenchmarkBoxes(b *testing.B) {
	d, list := synthesized(b, synthetic.Spec{Images: 5000, Classes: 80, Objects: 7.3, Detections: 100, Noise: 0.1, Miss: 0.2, Seed: 1})
	b.ReportAllocs()
	for b.Loop() {
		MatchBoxes(d, list).Summary()
	}
}
