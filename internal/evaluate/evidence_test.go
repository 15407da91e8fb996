package evaluate

import (
	"encoding"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/coco/synthetic"
)

// counted returns pairs, labels and segments of a few images.
func counted(t testing.TB) (*Matches, *Semantic, *Panoptic) {
	t.Helper()
	d, list := synthesized(t, synthetic.Spec{Images: 12, Classes: 3, Objects: 5, Detections: 9, Noise: 0.1, Miss: 0.2, Ties: true, Seed: 4})
	rnd := rand.New(rand.NewPCG(8, 9))
	labels, segments := new(Semantic), NewPanoptic([]bool{true, false, false})
	for range 12 {
		predicted, truth := make([]uint8, 64), make([]uint8, 64)
		for i := range truth {
			truth[i] = uint8(rnd.IntN(3))
			if predicted[i] = truth[i]; rnd.Float64() < 0.2 {
				predicted[i] = uint8(rnd.IntN(4))
			}
		}
		im := randomSegments(rnd, 3, true)
		if err := labels.Add(predicted, truth); err != nil {
			t.Fatal(err)
		}
		found := im
		found.Segments = nil
		for _, s := range im.Segments {
			s.Crowd = false
			found.Segments = append(found.Segments, s)
		}
		if err := segments.Add(found, im); err != nil {
			t.Fatal(err)
		}
	}
	return MatchBoxes(d, list), labels, segments
}

// TestText reads back what was written: every number is the same, down to its last bit.
func TestText(t *testing.T) {
	matches, labels, segments := counted(t)
	for _, tt := range []struct {
		from encoding.TextMarshaler
		to   encoding.TextUnmarshaler
	}{{matches, new(Matches)}, {labels, new(Semantic)}, {segments, new(Panoptic)}} {
		text, err := tt.from.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.to.UnmarshalText(text); err != nil {
			t.Fatal(err)
		}
		again, _ := tt.to.(encoding.TextMarshaler).MarshalText()
		if string(again) != string(text) {
			t.Errorf("%T changes on its way", tt.from)
		}
	}
	back := new(Matches)
	text, _ := matches.MarshalText()
	if err := back.UnmarshalText(text); err != nil || back.Summary() != matches.Summary() || !SameObjects(back, matches) || !reflect.DeepEqual(back.PerClass(), matches.PerClass()) {
		t.Errorf("%+v, want %+v (%v)", back.Summary(), matches.Summary(), err)
	}
}

// TestTextRefuses holds texts against what pairing can give.
func TestTextRefuses(t *testing.T) {
	write := func(m encoding.TextMarshaler) []byte {
		text, err := m.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := func(m *Matches) *series { return &m.series[0][0] }
	for want, change := range map[string]func(*Matches){
		"more right detections than objects": func(m *Matches) {
			for i := range first(m).found {
				first(m).found[i].right, first(m).found[i].ignored = 1, 0
			}
		},
		"follows a lower one":              func(m *Matches) { first(m).found[1].score = 2 },
		"the image of a detection is 99":   func(m *Matches) { first(m).found[0].image = 99 },
		"what is right of a detection":     func(m *Matches) { first(m).found[0].right = 1 << 10 },
		"with 0 objects is out of place":   func(m *Matches) { first(m).objects[0].count = 0 },
		"more than 100 detections":         func(m *Matches) { one := first(m).found[0]; first(m).found = many(one, 101) },
		"the class 1 follows 1":            func(m *Matches) { m.Classes.IDs[0], m.Classes.IDs[1] = 1, 1 },
		"the image 1 follows":              func(m *Matches) { m.Images[1] = 1; m.Images[0] = 3 },
		"image 0 with 7 objects is out of": func(m *Matches) { first(m).objects[1] = objects{0, 7} },
	} {
		m, _, _ := counted(t)
		change(m)
		for r := range m.series[0] { // the strata share their detections
			if len(m.series[0][r].found) != len(first(m).found) {
				m.series[0][r].found = first(m).found
			}
		}
		if err := new(Matches).UnmarshalText(write(m)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	_, labels, segments := counted(t)
	labels.images[3][0].both = labels.images[3][0].truth + 1
	if err := new(Semantic).UnmarshalText(write(labels)); err == nil || !strings.Contains(err.Error(), "image 3, label 0") {
		t.Errorf("%v", err)
	}
	segments.images[2][0].overlap += 5
	if err := new(Panoptic).UnmarshalText(write(segments)); err == nil || !strings.Contains(err.Error(), "image 2, class") {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"", "?", "AAAA", strings.Repeat("A", 4000)} {
		if err := new(Matches).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%.20q is read", text)
		}
	}
}

func many(f found, n int) (list []found) {
	for range n {
		list = append(list, f)
	}
	return list
}

// FuzzText: no text makes a reader panic, and what one accepts is a text of the same numbers again.
func FuzzText(f *testing.F) {
	matches, labels, segments := counted(f)
	for _, m := range []encoding.TextMarshaler{matches, labels, segments} {
		text, err := m.MarshalText()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, to := range []encoding.TextUnmarshaler{new(Matches), new(Semantic), new(Panoptic)} {
			if to.UnmarshalText(text) != nil {
				continue
			}
			if _, err := to.(encoding.TextMarshaler).MarshalText(); err != nil {
				t.Error(err)
			}
			if m, ok := to.(*Matches); ok {
				m.Summary()
			}
		}
	})
}
