package panoptic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/mask"
)

// grid reads rows of characters: digits, and . for 0.
func grid(rows string) (cells []int32, width, height int) {
	lines := strings.Fields(rows)
	for _, line := range lines {
		for _, c := range line {
			cells = append(cells, int32(strings.IndexRune(".123456789", c)))
		}
	}
	return cells, len(lines[0]), len(lines)
}

// cells is the run-length form of the cells that are not 0.
func cells(rows string) mask.RLE {
	list, width, height := grid(rows)
	r, on := mask.RLE{Size: [2]int{height, width}, Counts: []uint32{0}}, false
	for i := range list {
		if v := list[i%height*width+i/height] != 0; v != on {
			r.Counts, on = append(r.Counts, 0), v
		}
		r.Counts[len(r.Counts)-1]++
	}
	return r
}

func (m *Map) text() string {
	var b strings.Builder
	for i, id := range m.IDs {
		if i > 0 && i%m.Width == 0 {
			b.WriteByte(' ')
		}
		b.WriteByte(".123456789"[id])
	}
	for _, s := range m.Segments {
		kind := "stuff"
		if s.Thing {
			kind = fmt.Sprintf("instance %d %g", s.Instance, s.Score)
		}
		fmt.Fprintf(&b, "; %d: label %d %s area %d box %v", s.ID, s.Label, kind, s.Area, s.Box)
	}
	return b.String()
}

// TestFuse has label 0 and 2 as stuff, 1 and 3 as things, in a picture of 4×3.
func TestFuse(t *testing.T) {
	things := []bool{false, true, false, true}
	left, middle := "11.. 11.. ....", ".11. .11. ...."
	for name, c := range map[string]struct {
		labels    string
		instances []Instance
		change    func(*Options)
		want      string
	}{
		"no instances": {"11.2 ..22 ..22", nil, nil,
			"..12 1122 1122; 1: label 0 stuff area 5 box [0 0 3 3]; 2: label 2 stuff area 5 box [2 0 2 3]"},
		"the stronger takes what both cover": {".... .... ....", []Instance{{cells(left), 0.5, 1}, {cells(middle), 0.9, 3}}, nil,
			"2113 2113 3333; 1: label 3 instance 1 0.9 area 4 box [1 0 2 2]; 2: label 1 instance 0 0.5 area 2 box [0 0 1 2]; 3: label 0 stuff area 6 box [0 0 4 3]"},
		"the earlier takes it on ties": {".... .... ....", []Instance{{cells(left), 0.5, 1}, {cells(middle), 0.5, 3}}, nil,
			"1123 1123 3333; 1: label 1 instance 0 0.5 area 4 box [0 0 2 2]; 2: label 3 instance 1 0.5 area 2 box [2 0 1 2]; 3: label 0 stuff area 6 box [0 0 4 3]"},
		"too little is visible": {".... .... ....", []Instance{{cells(left), 0.5, 1}, {cells("111. 11.. ...."), 0.9, 3}}, nil,
			"1112 1122 2222; 1: label 3 instance 1 0.9 area 5 box [0 0 3 2]; 2: label 0 stuff area 7 box [0 0 4 3]"},
		"half is enough, less is not": {".... .... ....", []Instance{{cells(left), 0.9, 1}, {cells(middle), 0.8, 1}, {cells(".111 .... ...."), 0.7, 1}}, nil,
			"1123 1123 3333; 1: label 1 instance 0 0.9 area 4 box [0 0 2 2]; 2: label 1 instance 1 0.8 area 2 box [2 0 1 2]; 3: label 0 stuff area 6 box [0 0 4 3]"},
		"a low score": {".... .... ....", []Instance{{cells(left), 0.04, 1}, {cells(middle), 0.05, 1}}, nil,
			"2112 2112 2222; 1: label 1 instance 1 0.05 area 4 box [1 0 2 2]; 2: label 0 stuff area 8 box [0 0 4 3]"},
		"what is left out takes nothing": {".... .... ....", []Instance{{cells("1... .... ...."), 0.9, 1}, {cells(left), 0.5, 3}}, func(o *Options) { o.MinInstanceArea = 2 },
			"1122 1122 2222; 1: label 3 instance 1 0.5 area 4 box [0 0 2 2]; 2: label 0 stuff area 8 box [0 0 4 3]"},
		"little stuff": {"...2 .... ....", nil, func(o *Options) { o.MinStuffArea = 2 },
			"111. 1111 1111; 1: label 0 stuff area 11 box [0 0 4 3]"},
		"an empty mask": {"1111 1111 1111", []Instance{{cells(".... .... ...."), 0.9, 1}}, func(o *Options) { o.MinVisible = 0 },
			".... .... ...."},
	} {
		labels, width, height := grid(c.labels)
		o := DefaultOptions()
		if c.change != nil {
			c.change(&o)
		}
		m, err := Fuse(labels, width, height, things, c.instances, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := m.text(); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

// TestFuseInvariants holds random inputs to what every panoptic segmentation is.
func TestFuseInvariants(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	things := []bool{false, true, false, true}
	for range 300 {
		const width, height = 7, 5
		labels := make([]int32, width*height)
		for i := range labels {
			labels[i] = int32(r.IntN(len(things)))
		}
		instances := make([]Instance, r.IntN(6))
		for i := range instances {
			rle, left := mask.RLE{Size: [2]int{height, width}}, width*height
			for left > 0 {
				n := r.IntN(left + 1)
				rle.Counts, left = append(rle.Counts, uint32(n)), left-n
			}
			instances[i] = Instance{rle, float64(r.IntN(5)) / 4, 1 + 2*r.IntN(2)}
		}
		m, err := Fuse(labels, width, height, things, instances, DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		covered := make([]map[int]bool, len(instances))
		for i, in := range instances {
			covered[i] = map[int]bool{}
			for x, y := range in.Mask.Pixels() {
				covered[i][y*width+x] = true
			}
		}
		area := map[int32]int{}
		for p, id := range m.IDs {
			area[id]++
			if id == 0 {
				if !things[labels[p]] {
					t.Fatalf("pixel %d of stuff %d is free in %s", p, labels[p], m.text())
				}
				continue
			}
			s := m.Segments[id-1]
			if s.Thing && !covered[s.Instance][p] || !s.Thing && int(labels[p]) != s.Label {
				t.Fatalf("pixel %d does not belong to its segment in %s", p, m.text())
			}
		}
		last := math.Inf(1)
		for i, s := range m.Segments {
			if s.ID != i+1 || s.Area != area[int32(s.ID)] || s.Area == 0 || s.Thing && (s.Score > last || 2*s.Area < len(covered[s.Instance])) {
				t.Fatalf("segment %+v of %s", s, m.text())
			}
			if s.Thing {
				last = s.Score
			}
		}
	}
}

func TestFuseRejects(t *testing.T) {
	things := []bool{false, true}
	good := Instance{cells("11 .."), 0.5, 1}
	for want, c := range map[string]struct {
		labels    []int32
		instances []Instance
		options   Options
	}{
		"3 labels for 2×2 pixels":                                                     {make([]int32, 3), nil, DefaultOptions()},
		"the label 2 of pixel 1 is outside [0, 2)":                                    {[]int32{0, 2, 0, 0}, nil, DefaultOptions()},
		"the label -1 of pixel 0 is outside [0, 2)":                                   {[]int32{-1, 0, 0, 0}, nil, DefaultOptions()},
		"instance 1 has the label 0, which is no thing":                               {make([]int32, 4), []Instance{good, {good.Mask, 0.5, 0}}, DefaultOptions()},
		"instance 0 has the label 2, which is no thing":                               {make([]int32, 4), []Instance{{good.Mask, 0.5, 2}}, DefaultOptions()},
		"instance 0 has the score NaN: must be finite":                                {make([]int32, 4), []Instance{{good.Mask, math.NaN(), 1}}, DefaultOptions()},
		"instance 0 has a mask of 4×3, want 2×2":                                      {make([]int32, 4), []Instance{{cells("1... .... ...."), 1, 1}}, DefaultOptions()},
		"instance 0 has a mask whose counts sum to 10, more than the 4 pixels of 2×2": {make([]int32, 4), []Instance{{mask.RLE{Size: [2]int{2, 2}, Counts: []uint32{1, 9}}, 1, 1}}, DefaultOptions()},
		"options {ScoreThreshold:2 MinVisible:0.5 MinInstanceArea:1 MinStuffArea:0}: want shares in [0, 1] and areas of at least 1": {make([]int32, 4), nil, Options{2, 0.5, 1, 0}},
	} {
		if _, err := Fuse(c.labels, 2, 2, things, c.instances, c.options); err == nil || err.Error() != "panoptic fusion: "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestDocument(t *testing.T) {
	labels, width, height := grid("..1. ....")
	m, err := Fuse(labels, width, height, []bool{false, true, true}, []Instance{{cells("..11 ...."), 0.75, 2}, {cells("1... ...."), 0.5, 1}}, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	d := NewDocument([]string{"disk", "ring"})
	d.Add(m, "a.jpg", "a.png", []int64{12, 0})
	d.Add(m, "b.jpg", "b.png", nil)
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	segments := `{"id":1,"category_id":2,"area":2,"bbox":[2,0,2,1],"iscrowd":0,"score":0.75%s},` +
		`{"id":2,"category_id":1,"area":1,"bbox":[0,0,1,1],"iscrowd":0,"score":0.5},{"id":3,"category_id":0,"area":5,"bbox":[0,0,4,2],"iscrowd":0}`
	want := `{"images":[{"id":1,"file_name":"a.jpg","width":4,"height":2},{"id":2,"file_name":"b.jpg","width":4,"height":2}],"annotations":[` +
		`{"image_id":1,"file_name":"a.png","segments_info":[` + fmt.Sprintf(segments, `,"track_id":12`) + `]},` +
		`{"image_id":2,"file_name":"b.png","segments_info":[` + fmt.Sprintf(segments, "") + `]}],"categories":[` +
		`{"id":0,"name":"background","isthing":0},{"id":1,"name":"disk","isthing":1},{"id":2,"name":"ring","isthing":1}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPNGHoldsTheIDs(t *testing.T) {
	m := &Map{Width: 2, Height: 2, IDs: []int32{0, 255, 256 + 7, 3*65536 + 2*256 + 1}}
	var b bytes.Buffer
	if err := m.WritePNG(&b); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	var got []int32
	for y := range 2 {
		for x := range 2 {
			r, g, b, _ := img.At(x, y).RGBA()
			got = append(got, int32(r>>8|g>>8<<8|b>>8<<16))
		}
	}
	if !slices.Equal(got, m.IDs) {
		t.Errorf("%v, want %v", got, m.IDs)
	}
}
