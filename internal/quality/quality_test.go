package quality

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
)

// panopticFiles writes a panoptic file and the picture of its one image, 4 pixels wide: the segment of each pixel.
func panopticFiles(t *testing.T, dir, name, text string, ids ...int) string {
	t.Helper()
	folder := filepath.Join(dir, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	img := image.NewNRGBA(image.Rect(0, 0, 4, len(ids)/4))
	for i, id := range ids {
		img.SetNRGBA(i%4, i/4, color.NRGBA{uint8(id), uint8(id >> 8), uint8(id >> 16), 255})
	}
	f, err := os.Create(filepath.Join(folder, "1.png"))
	if err == nil {
		err = png.Encode(f, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	path := folder + ".json"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	panopticTruth = `{"images": [], "annotations": [{"image_id": 5, "file_name": "1.png", "segments_info": [
		{"id": 70000, "category_id": 9, "area": 2, "bbox": [0, 0, 1, 2], "iscrowd": 0}, {"id": 2, "category_id": 4, "iscrowd": 0}]}],
		"categories": [{"id": 9, "name": "cat", "isthing": 1}, {"id": 4, "name": "sky", "isthing": 0}]}`
	panopticResult = `{"annotations": [{"image_id": 5, "file_name": "1.png", "segments_info": [{"id": 1, "category_id": 9}, {"id": 3, "category_id": 4}]}]}`
)

func TestPanoptic(t *testing.T) {
	dir := t.TempDir()
	truth := panopticFiles(t, dir, "truth", panopticTruth, 70000, 70000, 2, 2, 0, 0, 2, 2)
	result := panopticFiles(t, dir, "result", panopticResult, 1, 1, 1, 3, 1, 1, 3, 3)
	e, problems, err := Panoptic(truth, result, coco.Options{Strict: true})
	if err != nil || problems.Count > 0 {
		t.Fatal(err, problems)
	}
	// The cat has 2 pixels of 5 found, of which 2 are void: 2/3. The sky has 3 of 4.
	if want := (2./3 + 3./4) / 2; math.Abs(e.PQ-want) > 1e-12 || e.Things.PQ != 2./3 || e.PerClass["sky"].PQ != 0.75 {
		t.Errorf("%+v, want PQ %v", e, want)
	}
}

func TestPanopticErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		truth, result string
		ids           []int
		want          string
	}{
		"other size":       {panopticTruth, panopticResult, []int{1, 3, 3, 3}, "image 5: the result has 4×1 pixels, and the truth 4×2"},
		"not listed":       {panopticTruth, panopticResult, []int{1, 1, 1, 3, 1, 1, 3, 8}, "image 5: predicted segment 8 of the map is not listed"},
		"no pixel":         {panopticTruth, panopticResult, []int{1, 1, 1, 1, 1, 1, 1, 1}, "image 5: predicted segment 3 has no pixel in the map"},
		"other category":   {panopticTruth, strings.Replace(panopticResult, `"category_id": 4`, `"category_id": 6`, 1), []int{1, 1, 1, 3, 1, 1, 3, 3}, "segment 3 has category 6, which the truth does not have"},
		"no result":        {panopticTruth, `{"annotations": []}`, []int{0, 0, 0, 0}, "has no result for image 5"},
		"another image":    {panopticTruth, strings.Replace(panopticResult, `"image_id": 5`, `"image_id": 6`, 1), []int{0, 0, 0, 0}, "has a result for image 6"},
		"leads out":        {panopticTruth, strings.Replace(panopticResult, "1.png", "../1.png", 1), []int{0, 0, 0, 0}, "leads out of the folder"},
		"no picture":       {panopticTruth, strings.Replace(panopticResult, "1.png", "2.png", 1), []int{0, 0, 0, 0}, "2.png"},
		"segment of 0":     {panopticTruth, strings.Replace(panopticResult, `"id": 1,`, `"id": 0,`, 1), []int{0, 0, 0, 0}, "annotations[0], segments_info id: is 0, want it from 1 to 16777215"},
		"without segments": {panopticTruth, `{"annotations": [{"image_id": 5, "file_name": "1.png"}]}`, []int{0, 0, 0, 0}, "annotations[0], segments_info: is missing"},
		"no categories":    {panopticResult, panopticResult, []int{0, 0, 0, 0}, "the file has no list categories"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			truth := panopticFiles(t, dir, "truth", tt.truth, 70000, 70000, 2, 2, 0, 0, 2, 2)
			_, _, err := Panoptic(truth, panopticFiles(t, dir, "result", tt.result, tt.ids...), coco.Options{Strict: true})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestLabels paints overlapping objects: the smaller one counts, crowds do not.
func TestLabels(t *testing.T) {
	square := func(side float64) coco.Segmentation {
		return coco.Segmentation{Polygons: [][]float64{{0, 0, 0, side, side, side, side, 0}}}
	}
	objects := []*coco.Annotation{{Category: 8, Segmentation: square(2)}, {Category: 5, Segmentation: square(3)}, {Category: 5, Crowd: true, Segmentation: square(4)}}
	classes := (&coco.Dataset{Categories: []coco.Category{{ID: 8}, {ID: 5}}}).Mapping()
	im := coco.Image{Width: 5, Height: 3}
	owner, err := owners(im, objects)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := labels(owner, objects, classes), []uint8{2, 2, 1, 255, 0, 2, 2, 1, 255, 0, 1, 1, 1, 255, 0}; !slices.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
	got := segments(owner, append(objects, &coco.Annotation{Category: 5}), classes)
	want := evaluate.PanopticImage{Map: []int32{1, 1, 2, 3, 5, 1, 1, 2, 3, 5, 2, 2, 2, 3, 5},
		Segments: []evaluate.Segment{{ID: 1, Class: 2}, {ID: 2, Class: 1}, {ID: 3, Class: 1, Crowd: true}, {ID: 5}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("segments %v, want %v", got, want)
	}
}

func TestClassMap(t *testing.T) {
	classes := (&coco.Dataset{Categories: []coco.Category{{ID: 8, Name: "b"}, {ID: 5, Name: "a"}}}).Mapping()
	of, unmapped, err := classMap([]string{"b", "x", "a"}, classes)
	if err != nil || !slices.Equal(of, []int{1, -1, 0}) || !slices.Equal(unmapped, []string{"x"}) {
		t.Errorf("%v %v %v", of, unmapped, err)
	}
	if _, _, err := classMap([]string{"x"}, classes); err == nil || err.Error() != "none of the model's classes (x) is a category of the data set (a, b)" {
		t.Errorf("%v", err)
	}
}
