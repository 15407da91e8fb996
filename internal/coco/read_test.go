package coco

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apex-x/apexx/internal/coco/synthetic"
)

// file makes an instances file with one image of 20×30 and one category, and these annotations.
func file(annotations ...string) string {
	return `{"images": [{"id": 7, "file_name": "a.jpg", "width": 30, "height": 20}], "categories": [{"id": 3, "name": "cat"}],
		"annotations": [` + strings.Join(annotations, ",") + `]}`
}

const good = `{"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}`

// with is good with another value, or a further one.
func with(field, value string) string {
	old := `"` + field + `": `
	before, after, found := strings.Cut(good, old)
	if !found {
		return strings.TrimSuffix(good, "}") + `, "` + field + `": ` + value + "}"
	}
	end := strings.IndexAny(after, ",}")
	if strings.HasPrefix(after, "[") {
		end = strings.Index(after, "]") + 1
	}
	return before + old + value + after[end:]
}

// TestHostile reads files that are wrong in one record. Leniently the record is left out, all others stay, and one line names record and
// field; strictly that line is the error.
func TestHostile(t *testing.T) {
	huge := strings.Repeat("x", 100<<20)
	second := strings.Replace(good, `"id": 1`, `"id": 2`, 1)
	tests := map[string]struct{ bad, want string }{
		"cyclic":             {with("parent", strings.Repeat("[", 100)+strings.Repeat("]", 100)), ""},
		"NaN box":            {with("bbox", "[1, NaN, 3, 4]"), "annotations[1] (id 1), bbox: y is NaN, want a finite number"},
		"infinite box":       {with("bbox", "[1, 2, 1e999, 4]"), "annotations[1] (id 1), bbox: width is +Inf, want a finite number"},
		"negative box":       {with("bbox", "[1, 2, -3, 4]"), "annotations[1] (id 1), bbox: width is -3, want more than 0"},
		"box of three":       {with("bbox", "[1, 2, 3]"), "annotations[1] (id 1), bbox: has 3 numbers, want x, y, width and height"},
		"box of texts":       {with("bbox", `["1", 2, 3, 4]`), "annotations[1] (id 1), bbox: is a string, want four numbers"},
		"box is missing":     {strings.Replace(good, `"bbox": [1, 2, 3, 4], `, "", 1), "annotations[1] (id 1), bbox: is missing"},
		"negative id":        {with("id", "-5"), "annotations[1] (id -5), id: is -5, want it from 0 to 9223372036854775807"},
		"fractional id":      {with("id", "1.0"), "annotations[1], id: is 1, want a whole number without point and exponent"},
		"huge id":            {with("id", "99999999999999999999"), "annotations[1], id: is 1e+20, want a whole number without point and exponent"},
		"boolean crowd":      {with("iscrowd", "true"), "annotations[1] (id 1), iscrowd: is a boolean, want a whole number"},
		"crowd of two":       {with("iscrowd", "2"), "annotations[1] (id 1), iscrowd: is 2, want it from 0 to 1"},
		"unknown image":      {with("image_id", "8"), "annotations[1] (id 1), image_id: 8 is that of no image"},
		"unknown category":   {with("category_id", "4"), "annotations[1] (id 1), category_id: 4 is that of no category"},
		"polygon of two":     {with("segmentation", "[[1, 1, 5, 5]]"), "annotations[1] (id 1), segmentation: polygon 0: 4 numbers, want x and y of at least three points"},
		"polygon far away":   {with("segmentation", "[[1, 1, 5, 5, 1e15, 9]]"), "annotations[1] (id 1), segmentation: polygon 0: number 4 is 1e+15, want it finite and within ±1048576"},
		"no polygon":         {with("segmentation", "[]"), "annotations[1] (id 1), segmentation: has no polygon"},
		"runs overrun":       {with("segmentation", `{"size": [20, 30], "counts": [600, 1]}`), "annotations[1] (id 1), segmentation: counts sum to 601, more than the 600 pixels of 20×30"},
		"runs of a fraction": {with("segmentation", `{"size": [20, 30], "counts": [1.5]}`), "annotations[1] (id 1), segmentation: counts holds 1.5, want whole numbers from 0 to 4294967295"},
		"runs of others":     {with("segmentation", `{"size": [30, 20], "counts": [600]}`), "annotations[1] (id 1), segmentation: size is 30×20, and the image has 20×30 (height×width)"},
		"runs cut off":       {with("segmentation", `{"size": [20, 30], "counts": "T3d"}`), "annotations[1] (id 1), segmentation: counts, character 2: the last number is cut off"},
		"runs of no size":    {with("segmentation", `{"counts": [600]}`), "annotations[1] (id 1), segmentation: size is missing"},
		"text of 100 MB":     {with("segmentation", `{"size": [20, 30], "counts": "`+huge+`"}`), "annotations[1] (id 1), segmentation: counts are longer than 16 MiB"},
		"negative area":      {with("area", "-1"), "annotations[1] (id 1), area: is -1, want at least 0"},
		"a list":             {"[1]", "annotations[1]: is a list, want an object"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := file(second, tt.bad, strings.Replace(good, `"id": 1`, `"id": 3`, 1))
			if tt.want == "" {
				_, _, err := Decode(strings.NewReader(text), Options{})
				if err == nil || !strings.HasSuffix(err.Error(), "more than 64 lists and objects in each other") {
					t.Errorf("%v", err)
				}
				return
			}
			d, problems, err := Decode(strings.NewReader(text), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Annotations) != 2 || d.Annotations[0].ID != 2 || d.Annotations[1].ID != 3 {
				t.Errorf("kept %v", d.Annotations)
			}
			if got := problems.Lines(9); got != tt.want+" (left out)\n" || problems.LeftOut != 1 {
				t.Errorf("%s, %d left out; want\n%s", got, problems.LeftOut, tt.want)
			}
			if _, _, err := Decode(strings.NewReader(text), Options{Strict: true}); err == nil || err.Error() != tt.want {
				t.Errorf("strictly: %v, want %s", err, tt.want)
			}
		})
	}
}

// TestWholeFile reads files that are wrong as a whole.
func TestWholeFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "no JSON at byte 0: the file ends in the middle",
		"[]":                          "the file is a list, want an object with the lists annotations, categories and images",
		`{"images": [], "images": []`: "images is given twice",
		`{"images": {}}`:              "images is an object, want a list",
		`{"images": []}`:              "the file has no list ",
		file(good) + "x":              "found 'x' behind the end of the value",
		file(good[:50]):               "no JSON at byte",
		`{"images": [{"id": 1,}]}`:    "found '}' behind ','",
		`{"images": [{"id": 01}]}`:    `no JSON at byte 19: found "01}]}", want a number`,
		`{"a": "\x"}`:                 `a string has the escape "\\x"`,
		"{\"a\": \"\x01\"}":           "a control character 0x01 in a string",
		`{"a": 1e}`:                   `"1e" is no number`,
		`{"a": ` + strings.Repeat("1", 600) + `}`: "a number of more than 512 characters",
	} {
		if _, _, err := Decode(strings.NewReader(text), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", text, err, want)
		}
	}
	if _, _, err := Decode(iotest.ErrReader(os.ErrClosed), Options{}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a stream that fails: %v", err)
	}
}

// TestDuplicates leaves out every record whose id another had before.
func TestDuplicates(t *testing.T) {
	text := `{"annotations": [` + good + `,` + good + `], "categories": [{"id": 3, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 4, "name": "cat"}],
		"images": [{"id": 7, "file_name": "a", "width": 1, "height": 1}, {"id": 7, "file_name": "b", "width": 1, "height": 1}]}`
	d, problems, err := Decode(strings.NewReader(text), Options{})
	want := "images[1] (id 7), id: is that of images[0] too (left out)\ncategories[1] (id 3), id: is that of categories[0] too (left out)\n" +
		"categories[2] (id 4), name: \"cat\" is that of category 3 too\nannotations[1] (id 1), id: is that of annotations[0] too (left out)\n"
	if err != nil || problems.Lines(9) != want || len(d.Images) != 1 || len(d.Categories) != 2 || len(d.Annotations) != 1 {
		t.Errorf("%v %v\n%s", d, err, problems.Lines(9))
	}
	if got := problems.Lines(1); !strings.HasSuffix(got, "(left out)\nand 3 more problems\n") {
		t.Errorf("%s", got)
	}
}

// TestAsTheyAre reads what published files have: keys that nobody reads, ids in any order, boxes without height, missing areas, both
// kinds of runs, escapes in names.
func TestAsTheyAre(t *testing.T) {
	text := `{"info": {"year": 2017, "x": [null, true, -1.5e-3]}, "licenses": [{}], "type": "instances",
		"annotations": [
			{"id": 900, "image_id": 9, "category_id": 3, "bbox": [1.5, 2, 3, 0], "area": 0, "iscrowd": 0, "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]], "track": "a\"b"},
			{"id": 5, "image_id": 7, "category_id": 11, "segmentation": {"counts": [24, 2, 574], "size": [20, 30]}},
			{"id": 6, "image_id": 7, "category_id": 11, "bbox": [0, 0, 2, 3], "segmentation": null},
			{"id": 7, "image_id": 7, "category_id": 3, "bbox": [0, 0, 2, 3], "iscrowd": 1, "area": 1e1, "segmentation": {"size": [20, 30], "counts": "h02nb"}}],
		"images": [{"id": 9, "file_name": "\u00e4\ud83d\ude00/\\b.jpg", "width": 30, "height": 20, "depth": {}}, {"id": 7, "file_name": "a", "width": 30, "height": 20}],
		"categories": [{"id": 11, "name": "dog", "supercategory": "animal"}, {"id": 3, "name": "cat", "isthing": 0}]}`
	d, problems, err := Decode(iotest.OneByteReader(strings.NewReader(text)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := "annotations[0] (id 900), bbox: height is 0, want more; nothing can match the box\nannotations[3] (id 7), segmentation: counts"
	if got := problems.Lines(9); !strings.HasPrefix(got, want) || problems.Count != 2 {
		t.Errorf("problems\n%s", got)
	}
	if d.Images[0].FileName != "ä😀/\\b.jpg" || len(d.Annotations) != 3 {
		t.Errorf("%+v", d)
	}
	if a := d.Annotations[1]; a.Area != 2 || a.Box != [4]float64{1, 4, 1, 2} {
		t.Errorf("area and box of a mask: %v %v", a.Area, a.Box)
	}
	if a := d.Annotations[2]; a.Area != 6 || !a.Segmentation.Empty() {
		t.Errorf("area of a box: %v", a.Area)
	}
	m := d.Mapping()
	if want := []string{"cat", "dog"}; !reflect.DeepEqual(m.Names, want) || m.Class[11] != 1 || !m.Stuff[0] || m.Stuff[1] {
		t.Errorf("mapping %+v", m)
	}
	_, problems, err = Decode(strings.NewReader(text), Options{Strict: true})
	for _, want := range []string{"the file, type: is no key", "annotations[0] (id 900), track: is no field", "annotations[1] (id 5), bbox: is missing", "annotations[1] (id 5), iscrowd: is missing",
		"annotations[2] (id 6), area: is missing", "images[0] (id 9), depth: is no field", "annotations[0] (id 900), area: is 0"} {
		if !strings.Contains(problems.Lines(99), want) {
			t.Errorf("strictly, %q is not told:\n%s", want, problems.Lines(99))
		}
	}
	if _, ok := err.(*StrictError); !ok {
		t.Errorf("strictly: %v", err)
	}
}

// TestNumbers holds the fast path of numbers to strconv's.
func TestNumbers(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "-0": 0, "1.5": 1.5, "123456789012345678": 123456789012345678, "9007199254740993": 9007199254740993, "0.1": 0.1, "1e-5": 1e-5,
		"-473.07": -473.07, "0.30000000000000004": 0.30000000000000004, "179.9999999999999999999": 180, "1E+2": 100, "5e-324": 5e-324,
	} {
		n, err := newScanner(strings.NewReader(text)).number()
		if err != nil || n.value != want {
			t.Errorf("%s: %v %v", text, n, err)
		}
	}
}

func synthesized(t testing.TB, spec synthetic.Spec) (annotations, results []byte) {
	t.Helper()
	var a, r bytes.Buffer
	s := synthetic.New(spec)
	if err := s.Annotations(&a); err != nil {
		t.Fatal(err)
	}
	if err := s.Results(&r); err != nil {
		t.Fatal(err)
	}
	return a.Bytes(), r.Bytes()
}

func TestSynthetic(t *testing.T) {
	annotations, results := synthesized(t, synthetic.Spec{Images: 30, Classes: 5, Objects: 7, Detections: 12, Noise: 0.1, Miss: 0.2, Masks: true, Seed: 4})
	d, problems, err := Decode(bytes.NewReader(annotations), Options{Strict: true})
	if err != nil || problems.Count > 0 || len(d.Images) != 30 || len(d.Categories) != 5 || len(d.Annotations) < 100 {
		t.Fatalf("%v %v", err, problems)
	}
	list, problems, err := DecodeDetections(bytes.NewReader(results), d, Options{Strict: true})
	if err != nil || len(list) != 30*12 || list[0].Segmentation.Empty() {
		t.Fatalf("%d detections, %v %v", len(list), err, problems)
	}
}

func TestDetections(t *testing.T) {
	d, _, err := Decode(strings.NewReader(file(good)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := `[{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}, {"image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 1},
		{"image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4], "score": 1}, {"image_id": 7, "category_id": 3, "score": 1}, {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]},
		{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": NaN}, {"image_id": 7, "category_id": 3, "score": 0.25, "segmentation": {"size": [20, 30], "counts": [24, 2, 574]}},
		{"image_id": 7, "category_id": 3, "score": 0.25, "segmentation": {"size": [2, 3], "counts": [6]}}]`
	list, problems, err := DecodeDetections(strings.NewReader(text), d, Options{})
	want := "results[1], image_id: 8 is that of no image of the data set (left out)\nresults[2], category_id: 4 is that of no category of the data set (left out)\n" +
		"results[3], bbox: is missing, and so is segmentation (left out)\nresults[4], score: is missing (left out)\nresults[5], score: is NaN, want a finite number (left out)\n" +
		"results[7], segmentation: size is 2×3, and the image has 20×30 (height×width) (left out)\n"
	if err != nil || problems.Lines(9) != want || len(list) != 2 || list[1].Box != [4]float64{1, 4, 1, 2} {
		t.Errorf("%+v %v\n%s", list, err, problems.Lines(9))
	}
	if _, _, err := DecodeDetections(strings.NewReader("{}"), d, Options{}); err == nil || err.Error() != "the file is an object, want a list of detections" {
		t.Errorf("%v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(file(good, with("segmentation", `{"size": [20, 30], "counts": [600]}`), with("segmentation", "[[1, 1, 5, 5, 1, 9]]"))))
	f.Add([]byte(`{"a": "\ud83d\ude00\u12", "b": [1e5, -0.0, NaN, null, true]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, problems, err := Decode(bytes.NewReader(text), Options{})
		slow, again, slowErr := Decode(iotest.OneByteReader(bytes.NewReader(text)), Options{})
		if (err == nil) != (slowErr == nil) || problems.Count != again.Count || !bytes.Equal([]byte(problems.Lines(99)), []byte(again.Lines(99))) {
			t.Fatalf("%v with %d problems; byte by byte %v with %d", err, problems.Count, slowErr, again.Count)
		}
		if err != nil {
			return
		}
		if len(d.Annotations) != len(slow.Annotations) {
			t.Fatalf("%d annotations; byte by byte %d", len(d.Annotations), len(slow.Annotations))
		}
		images := map[int64]Image{}
		for _, im := range d.Images {
			images[im.ID] = im
		}
		for _, a := range d.Annotations {
			if im := images[a.Image]; !a.Segmentation.Empty() && im.Width*im.Height < 1<<20 {
				if _, err := a.Segmentation.Mask(im.Height, im.Width); err != nil {
					t.Fatalf("annotation %d was accepted, and its mask is none: %v", a.ID, err)
				}
			}
		}
	})
}

func FuzzDecodeDetections(f *testing.F) {
	f.Add([]byte(`[{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]`))
	d, _, err := Decode(strings.NewReader(file(good)), Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, _, err := DecodeDetections(bytes.NewReader(text), d, Options{})
		for _, found := range list {
			if err == nil && (found.Image != 7 || found.Category != 3 || found.Score-found.Score != 0) {
				t.Fatalf("%+v", found)
			}
		}
	})
}

// BenchmarkRead reads a file like COCO's of 1,000 images. The heap that stays is in proportion to the file; testdata/json_time.py reads
// the same file with Python.
func BenchmarkRead(b *testing.B) {
	annotations, _ := synthesized(b, synthetic.Spec{Images: 1000, Classes: 80, Objects: 7.3, Seed: 1})
	b.SetBytes(int64(len(annotations)))
	var d *Dataset
	for b.Loop() {
		var err error
		if d, _, err = Decode(bufio.NewReader(io.Reader(bytes.NewReader(annotations))), Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	var with, without runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&with)
	runtime.KeepAlive(d)
	d = nil
	runtime.GC()
	runtime.ReadMemStats(&without)
	b.ReportMetric(float64(with.HeapAlloc-without.HeapAlloc)/float64(len(annotations)), "heap/file")
}
