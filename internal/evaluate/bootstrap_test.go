package evaluate

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/coco/synthetic"
)

var (
	trials     = flag.Int("trials", 4, "sets of TestPower; README.md has more")
	replicates = flag.Int("replicates", 200, "of each")
)

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

// detector draws the results of two executions directly, image by image, so that thousands of sets can be tried: what they have in common, and
// in what share of its images, and there of its detections, either side loses one for itself.
type detector struct {
	images         int
	share, noise   float64
	loss           float64 // share of its detections that the candidate loses beyond
	rnd            *rand.Rand
	base, worse    [8]series
	objectsOfImage [8]int32
}

// sides draws a set and what both find in it.
func (d *detector) sides() (base, candidate *Matches) {
	for class := range d.base {
		d.base[class], d.worse[class] = series{}, series{}
	}
	for image := range int32(d.images) {
		d.image(image)
	}
	side := func(list *[8]series) *Matches {
		m := &Matches{Images: make([]int64, d.images), series: make([][len(Ranges)]series, len(list))}
		for class := range list {
			slices.SortStableFunc(list[class].found, func(a, b found) int { return cmp.Compare(b.score, a.score) })
			m.series[class][0] = list[class]
		}
		return m
	}
	return side(&d.base), side(&d.worse)
}

// image draws an image of up to 14 objects, some of them harder to find than others, and what else is found there.
func (d *detector) image(at int32) {
	clear(d.objectsOfImage[:])
	hard := d.rnd.Float64()
	differs := d.rnd.Float64() < d.share
	for range d.rnd.IntN(15) {
		class := d.rnd.IntN(len(d.base))
		d.objectsOfImage[class]++
		quality := 1 - 0.5*hard*d.rnd.Float64() // overlap with the object
		f := found{image: at, score: 0.3 + 0.7*d.rnd.Float64()*quality}
		for t, least := range Thresholds {
			if quality >= least {
				f.right |= 1 << t
			}
		}
		if d.rnd.Float64() < 0.1 {
			continue // neither finds it
		}
		d.give(class, f, differs)
	}
	for range d.rnd.IntN(4) {
		d.give(d.rnd.IntN(len(d.base)), found{image: at, score: 0.8 * d.rnd.Float64()}, differs)
	}
	for class, n := range d.objectsOfImage {
		if n > 0 {
			d.base[class].objects = append(d.base[class].objects, objects{at, n})
			d.worse[class].objects = append(d.worse[class].objects, objects{at, n})
		}
	}
}

func (d *detector) give(class int, f found, differs bool) {
	lost := func() bool { return differs && d.rnd.Float64() < d.noise }
	if !lost() {
		d.base[class].found = append(d.base[class].found, f)
	}
	if !lost() && d.rnd.Float64() >= d.loss {
		d.worse[class].found = append(d.worse[class].found, f)
	}
}

// plant finds the share of detections that costs a point of AP, on a set of 50,000 images.
func (d *detector) plant() {
	n := d.images
	d.images, d.loss = 50000, 0.01
	base, candidate := d.sides()
	d.loss *= 0.01 / (base.precisions(nil)[0] - candidate.precisions(nil)[0])
	d.images = n
}

// TestPower counts in how many sets a loss of one point of AP is called one, at least 95 % of those of 512 images, and in how many no loss at all is:
// at most 1 %. Every set is a new one. README.md has the counts of thousands.
func TestPower(t *testing.T) {
	for _, tt := range []struct {
		name         string
		images       int
		share, noise float64
		power        bool
	}{
		{"512 images, all differ", 512, 1, 0.003, true},
		{"512 images, a tenth differs", 512, 0.1, 0.05, true},
		{"512 images, 1 in 100 differs", 512, 0.01, 0.2, true},
		{"64 images, all differ", 64, 1, 0.01, false},
		{"64 images, a tenth differs", 64, 0.1, 0.1, false},
		{"20 images, all differ", 20, 1, 0.05, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := detector{images: tt.images, share: tt.share, noise: tt.noise, rnd: rand.New(rand.NewPCG(3, 4))}
			lower, higher := d.calls(t, *trials)
			t.Logf("no loss was called lower in %d and higher in %d of %d sets", lower, higher, *trials)
			if most := max(1, float64(*trials)/100); float64(lower) > most || float64(higher) > most {
				t.Errorf("called in more than 1 %% of the sets")
			}
			if !tt.power {
				return
			}
			d.plant()
			lower, _ = d.calls(t, *trials)
			t.Logf("a loss of a point (%.2f %% of the detections) was called in %d", 100*d.loss, lower)
			if float64(lower) < 0.95*float64(*trials) {
				t.Errorf("called in less than 95 %% of the sets")
			}
		})
	}
}

// calls counts in how many sets the candidate is called worse than the base, and better.
func (d *detector) calls(t *testing.T, sets int) (lower, higher int) {
	t.Helper()
	for i := range sets {
		base, candidate := d.sides()
		got, err := Compare(base, candidate, BootstrapOptions{Replicates: *replicates, Seed: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		if got.AP.High < 0 {
			lower++
		}
		if got.AP.Low > 0 {
			higher++
		}
	}
	return lower, higher
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
