package coco

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/coco/synthetic"
)

// TestWrite writes what was read, and reads it again: everything is the same, but for the way in which runs are written.
func TestWrite(t *testing.T) {
	annotations, results := synthesized(t, synthetic.Spec{Images: 30, Classes: 5, Objects: 7, Detections: 5, Masks: true, Seed: 4})
	d, _, err := Decode(bytes.NewReader(annotations), Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	d.Categories[2].Stuff = true
	var text bytes.Buffer
	if err := d.Write(&text); err != nil {
		t.Fatal(err)
	}
	again, problems, err := Decode(bytes.NewReader(text.Bytes()), Options{Strict: true})
	if err != nil || problems.Count > 0 {
		t.Fatal(err, problems)
	}
	if !reflect.DeepEqual(again.Images, d.Images) || !reflect.DeepEqual(again.Categories, d.Categories) || len(again.Annotations) != len(d.Annotations) {
		t.Fatal("images or categories are others")
	}
	for i, a := range again.Annotations {
		b := d.Annotations[i]
		sameMask(t, &a.Segmentation, &b.Segmentation)
		a.Segmentation, b.Segmentation = Segmentation{}, Segmentation{}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v became %+v", b, a)
		}
	}
	list, _, err := DecodeDetections(bytes.NewReader(results), d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text.Reset()
	if err := WriteDetections(&text, list); err != nil {
		t.Fatal(err)
	}
	found, _, err := DecodeDetections(&text, d, Options{Strict: true})
	if err != nil || len(found) != len(list) {
		t.Fatal(err, len(found))
	}
	for i := range found {
		sameMask(t, &found[i].Segmentation, &list[i].Segmentation)
		if found[i].Box != list[i].Box || found[i].Score != list[i].Score {
			t.Fatalf("%+v became %+v", list[i], found[i])
		}
	}
}

func sameMask(t *testing.T, a, b *Segmentation) {
	t.Helper()
	if a.Empty() != b.Empty() {
		t.Fatalf("one mask is empty: %+v, %+v", a, b)
	}
	if a.Empty() {
		return
	}
	first, err := a.Mask(480, 640)
	second, err2 := b.Mask(480, 640)
	if err != nil || err2 != nil || !reflect.DeepEqual(first, second) {
		t.Fatalf("masks differ, %v, %v", err, err2)
	}
}

// TestWriteNothing writes lists without records, and fails where the file does.
func TestWriteNothing(t *testing.T) {
	var text bytes.Buffer
	if err := (&Dataset{}).Write(&text); err != nil || text.String() != "{\"images\": [],\n\"categories\": [],\n\"annotations\": []}\n" {
		t.Errorf("%q %v", text.String(), err)
	}
	full := errors.New("full")
	for n := range 6 {
		d := Dataset{Images: []Image{{}}, Categories: []Category{{}}, Annotations: []Annotation{{}}}
		if err := d.Write(&fails{after: n, err: full}); !errors.Is(err, full) {
			t.Errorf("after %d writes: %v", n, err)
		}
	}
}

type fails struct {
	after int
	err   error
}

func (f *fails) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// TestEach tells every problem, also those behind the ones that are kept.
func TestEach(t *testing.T) {
	bad := strings.Repeat(with("area", "-1")+",", maxProblems+5)
	var told []string
	_, problems, err := Decode(strings.NewReader(file(bad+good)), Options{Each: func(p Problem) { told = append(told, p.String()) }})
	if err != nil || problems.Count != maxProblems+5 || len(problems.List) != maxProblems || len(told) != problems.Count {
		t.Fatalf("%v, %d told, %v", err, len(told), problems)
	}
	if want := "annotations[1004] (id 1), area: is -1, want at least 0 (left out)"; told[1004] != want {
		t.Errorf("%s, want %s", told[1004], want)
	}
}
