package mask

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// recorded is what testdata/record.py wrote.
type recorded struct {
	Polygons []struct {
		Size   [2]int     `json:"size"`
		XY     []float64  `json:"xy"`
		Counts string     `json:"counts"`
		Area   int        `json:"area"`
		Box    [4]float64 `json:"box"`
	} `json:"polygons"`
	Boxes []struct {
		Size   [2]int     `json:"size"`
		Box    [4]float64 `json:"box"`
		Counts string     `json:"counts"`
	} `json:"boxes"`
	Runs []struct {
		Size    [2]int     `json:"size"`
		Runs    []uint32   `json:"runs"`
		Counts  string     `json:"counts"`
		Encoded string     `json:"encoded"`
		Area    int        `json:"area"`
		Box     [4]float64 `json:"box"`
	} `json:"runs"`
	Pairs []struct {
		Size        [2]int  `json:"size"`
		A           string  `json:"a"`
		B           string  `json:"b"`
		C           string  `json:"c"`
		Union       string  `json:"union"`
		IoU         float64 `json:"iou"`
		CrowdIoU    float64 `json:"crowd_iou"`
		BoxIoU      float64 `json:"box_iou"`
		BoxCrowdIoU float64 `json:"box_crowd_iou"`
	} `json:"pairs"`
}

func readRecorded(t *testing.T) (r recorded) {
	t.Helper()
	f, err := os.Open("testdata/pycocotools.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(&r)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Polygons) != 300 || len(r.Boxes) != 60 || len(r.Runs) != 60 || len(r.Pairs) != 400 {
		t.Fatal("the record is not whole")
	}
	return r
}

func decompress(t *testing.T, text string, size [2]int) RLE {
	t.Helper()
	r, err := Decompress(text, size[0], size[1])
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if got := r.Compressed(); got != text {
		t.Errorf("%q decompressed and compressed is %q", text, got)
	}
	return r
}

func TestEqualsPycocotools(t *testing.T) {
	r := readRecorded(t)
	for i, p := range r.Polygons {
		got, err := FromPolygon(p.XY, p.Size[0], p.Size[1])
		if err != nil {
			t.Fatal(i, err)
		}
		if got.Compressed() != p.Counts || got.Area() != p.Area || got.Box() != p.Box || got.Check() != nil {
			t.Errorf("polygon %d %v: %v area %d box %v, want %q %d %v", i, p.XY, got, got.Area(), got.Box(), p.Counts, p.Area, p.Box)
		}
	}
	for i, b := range r.Boxes {
		got, err := FromBox(b.Box, b.Size[0], b.Size[1])
		if err != nil || got.Compressed() != b.Counts {
			t.Errorf("box %d %v: %v %v, want %q", i, b.Box, got, err, b.Counts)
		}
	}
	for i, b := range r.Runs {
		got := RLE{b.Size, b.Runs}
		if got.Compressed() != b.Counts || got.Area() != b.Area || got.Box() != b.Box {
			t.Errorf("runs %d: %q area %d box %v, want %q %d %v", i, got.Compressed(), got.Area(), got.Box(), b.Counts, b.Area, b.Box)
		}
		if text := Encode(got.Decode(), b.Size[0], b.Size[1]).Compressed(); text != b.Encoded {
			t.Errorf("runs %d decoded and encoded: %q, want %q", i, text, b.Encoded)
		}
	}
}

func TestPairsEqualPycocotools(t *testing.T) {
	for i, p := range readRecorded(t).Pairs {
		a, b, c := decompress(t, p.A, p.Size), decompress(t, p.B, p.Size), decompress(t, p.C, p.Size)
		union, err := Union(a, b, c)
		if err != nil || union.Compressed() != p.Union {
			t.Errorf("pair %d: union %v %v, want %q", i, union, err, p.Union)
		}
		var ious [2]float64
		IoUs(ious[:], []RLE{a}, []RLE{b, b}, []bool{false, true})
		got := [4]float64{ious[0], ious[1], BoxIoU(a.Box(), b.Box(), false), BoxIoU(a.Box(), b.Box(), true)}
		if want := [4]float64{p.IoU, p.CrowdIoU, p.BoxIoU, p.BoxCrowdIoU}; got != want {
			t.Errorf("pair %d: overlaps %v, want %v", i, got, want)
		}
	}
}

// TestCompressedChecks holds the check values of spec/train-eval.md 10.2.
func TestCompressedChecks(t *testing.T) {
	for text, counts := range map[string][]uint32{
		"5390": {5, 3, 9, 3}, "0220<": {0, 2, 2, 2, 14}, `T3d0\9@PI`: {100, 20, 300, 4, 76}, `61X16Imk0\O`: {6, 1, 40, 7, 33, 900, 13},
	} {
		sum := 0
		for _, n := range counts {
			sum += int(n)
		}
		if r := decompress(t, text, [2]int{1, sum}); !slices.Equal(r.Counts, counts) {
			t.Errorf("%q: %v, want %v", text, r.Counts, counts)
		}
	}
}

func TestErrors(t *testing.T) {
	decompressed := func(text string, h, w int) error { _, err := Decompress(text, h, w); return err }
	polygon := func(h, w int, xy ...float64) error { _, err := FromPolygon(xy, h, w); return err }
	merged := func(masks ...RLE) error { _, err := Union(masks...); return err }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{decompressed("", 2, 2), "counts are empty"},
		{decompressed("5390", 0, 2), "size is 0×2"},
		{decompressed("5390", 4, 4), "sum to 20, more than the 16 pixels"},
		{decompressed("5390", 5, 5), "sum to 20, fewer than the 25 pixels"},
		{decompressed("539T", 4, 5), "character 3: the last number is cut off"},
		{decompressed("53 0", 4, 5), "character 2: ' ' is no character"},
		{decompressed("5é", 4, 5), "no character of run lengths"},
		{decompressed("oooooooooooo0", 4, 5), "longer than 32 bits"},
		{decompressed("5O", 4, 5), "number 1 is -1"},
		{RLE{[2]int{2, 2}, []uint32{math.MaxUint32, 5}}.Check(), "sum to 4294967300, more"},
		{RLE{[2]int{2, 2}, nil}.Check(), "sum to 0, fewer"},
		{RLE{[2]int{1 << 20, 1 << 20}, nil}.Check(), "at most 1073741824 pixels"},
		{polygon(4, 4, 1, 1, 2, 2), "4 numbers, want x and y of at least three points"},
		{polygon(4, 4, 1, 1, 2, 2, 3, 3, 4), "7 numbers"},
		{polygon(4, 4, 1, 1, 2, math.NaN(), 3, 3), "number 3 is NaN"},
		{polygon(4, 4, 1, 1, 2, 2, -1e300, 3), "number 4 is -1e+300"},
		{polygon(4, -4, 1, 1, 2, 2, 3, 3), "the image has 4×-4"},
		{merged(), "no mask to merge"},
		{merged(RLE{[2]int{1, 2}, []uint32{2}}, RLE{[2]int{2, 1}, []uint32{2}}), "cannot merge masks of 1×2 and 2×1"},
	} {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%v, want %q", tt.err, tt.want)
		}
	}
	var iou [1]float64
	IoUs(iou[:], []RLE{{[2]int{1, 2}, []uint32{0, 2}}}, []RLE{{[2]int{2, 1}, []uint32{0, 2}}}, []bool{false})
	if iou[0] != -1 {
		t.Errorf("overlap of masks of different sizes: %v, want -1", iou[0])
	}
}

// TestAlgebra holds identities on masks of random pixels: |a|+|b| = |a∪b|+|a∩b|, and what is decoded is what was encoded.
func TestAlgebra(t *testing.T) {
	state := uint64(1)
	random := func() byte { state = state*6364136223846793005 + 1442695040888963407; return byte(state>>63) & 1 }
	for range 50 {
		const height, width = 9, 14
		pixels := [2][]byte{make([]byte, height*width), make([]byte, height*width)}
		for i := range height * width {
			pixels[0][i], pixels[1][i] = random(), random()
		}
		a, b := Encode(pixels[0], height, width), Encode(pixels[1], height, width)
		if !slices.Equal(a.Decode(), pixels[0]) {
			t.Fatal("decoding does not undo encoding")
		}
		union, _ := Union(a, b)
		both, either := Overlap(a, b)
		if a.Area()+b.Area() != union.Area()+both || either != union.Area() {
			t.Errorf("areas %d, %d, union %d, overlap %d of %d", a.Area(), b.Area(), union.Area(), both, either)
		}
	}
}

func FuzzDecompress(f *testing.F) {
	for _, seed := range []string{"5390", "0220<", `61X16Imk0\O`, "", "oooooooooooo0", "5O"} {
		f.Add(seed, 4, 5)
	}
	f.Fuzz(func(t *testing.T, text string, height, width int) {
		r, err := Decompress(text, height, width)
		if err != nil {
			return
		}
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		again, err := Decompress(r.Compressed(), height, width)
		if err != nil || !slices.Equal(again.Counts, r.Counts) {
			t.Fatalf("%v compressed and decompressed is %v (%v)", r.Counts, again.Counts, err)
		}
	})
}

func FuzzPolygon(f *testing.F) {
	f.Add([]byte{1, 1, 3, 1, 3, 3, 1, 3}, 4, 5)
	f.Add([]byte{0, 255, 255, 0, 128, 128}, 7, 3)
	f.Fuzz(func(t *testing.T, corners []byte, height, width int) {
		if height > 300 || width > 300 {
			return
		}
		var xy []float64
		for _, c := range corners {
			xy = append(xy, float64(c)/3-20)
		}
		r, err := FromPolygon(xy, height, width)
		if err != nil {
			return
		}
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		if i := slices.Index(r.Counts[1:], 0); i >= 0 {
			t.Fatalf("run %d of %v has length 0", i+1, r.Counts)
		}
	})
}
