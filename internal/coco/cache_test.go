package coco

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/internal/coco/synthetic"
)

// odd is a file with what a snapshot has a form of its own for: every kind of mask, numbers that are no hundredths, a problem.
func odd(t *testing.T) (*Dataset, Problems) {
	t.Helper()
	text := file(with("segmentation", `{"size": [20, 30], "counts": [24, 2, 574]}`), strings.Replace(with("segmentation", `{"size": [20, 30], "counts": "h02nb"}`), `"id": 1`, `"id": 2`, 1),
		`{"id": 3, "image_id": 7, "category_id": 3, "bbox": [0.333333333333, -0.0, 9007199254740993, 1e300], "area": 1e-300, "iscrowd": 1}`,
		`{"id": 9223372036854775807, "image_id": 7, "category_id": 3, "bbox": [1.25, 2.01, 3, 0], "area": 12, "segmentation": [[0, 0.1, 5.55, 0, 5, 1e-9], [1, 1, 2, 1, 2, -7.77]]}`)
	d, problems, err := Decode(strings.NewReader(text), Options{})
	if err != nil || len(d.Annotations) < 3 || problems.Count == 0 {
		t.Fatal(d, problems, err)
	}
	return d, problems
}

func TestSnapshot(t *testing.T) {
	annotations, _ := synthesized(t, synthetic.Spec{Images: 40, Classes: 5, Objects: 7, Seed: 4})
	many, _, err := Decode(bytes.NewReader(annotations), Options{})
	if err != nil {
		t.Fatal(err)
	}
	few, problems := odd(t)
	for _, tt := range []struct {
		d *Dataset
		p Problems
	}{{many, Problems{}}, {few, problems}, {&Dataset{}, Problems{}}} {
		text := snapshotOf(t, tt.d, tt.p)
		d, p, err := restore(text)
		if err != nil || !reflect.DeepEqual(d, tt.d) || !reflect.DeepEqual(p, tt.p) {
			t.Fatalf("%v: %+v %+v, was %+v %+v", err, d, p, tt.d, tt.p)
		}
		for i := range d.Annotations {
			for k, v := range d.Annotations[i].Box {
				if math.Float64bits(v) != math.Float64bits(tt.d.Annotations[i].Box[k]) {
					t.Fatalf("annotation %d has other bits: %v", i, v)
				}
			}
		}
		for _, damaged := range [][]byte{nil, text[:len(text)-1], append([]byte{'x'}, text...), append(bytes.Clone(text), 0), flipped(text, len(text)/2), flipped(text, len(text)-1)} {
			if _, _, err := restore(damaged); !errors.Is(err, errSnapshot) {
				t.Errorf("a damaged snapshot: %v", err)
			}
		}
	}
}

func snapshotOf(t testing.TB, d *Dataset, p Problems) []byte {
	t.Helper()
	var text bytes.Buffer
	if err := snapshot(&text, d, p); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func flipped(text []byte, at int) []byte {
	out := bytes.Clone(text)
	out[at] ^= 0x10
	return out
}

func FuzzRestore(f *testing.F) {
	d := Dataset{Images: []Image{{1, "a", 2, 3}}, Categories: []Category{{5, "b", true}}, Annotations: []Annotation{{ID: 4, Box: [4]float64{1, 2, 1e-9, 3},
		Segmentation: Segmentation{Polygons: [][]float64{{1, 2, 3}}}}, {Segmentation: Segmentation{Size: [2]int{1, 2}, Counts: []uint32{2}}}}}
	text := snapshotOf(f, &d, Problems{})
	f.Add(text[len(snapshotForm) : len(text)-4])
	f.Fuzz(func(t *testing.T, body []byte) {
		text := append([]byte(snapshotForm), body...)
		d, p, err := restore(binary.LittleEndian.AppendUint32(text, crc32.Checksum(text, castagnoli)))
		if err != nil {
			return
		}
		snapshotOf(t, d, p)
	})
}

// largeFile writes an annotation file that is worth an entry.
func largeFile(t *testing.T, name string, seed uint64) string {
	t.Helper()
	annotations, _ := synthesized(t, synthetic.Spec{Images: 200, Classes: 5, Objects: 7, Seed: seed})
	d, _, err := Decode(bytes.NewReader(annotations), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := leastCached - len(annotations); n > 0 {
		annotations = append(annotations, bytes.Repeat([]byte{' '}, n)...)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, annotations, 0o644); err != nil || len(d.Annotations) == 0 {
		t.Fatal(err)
	}
	return path
}

func entries(t *testing.T, c Cache) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(c.Dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCache(t *testing.T) {
	path := largeFile(t, "a.json", 1)
	c := Cache{filepath.Join(t.TempDir(), "new", "cache")}
	plain, err := Cache{}.Read(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	read := func(o Options, warning string) *File {
		t.Helper()
		f, err := c.Read(path, o)
		if err != nil || !strings.Contains(f.Warning, warning) || warning == "" && f.Warning != "" {
			t.Fatalf("%v, warning %q, want %q", err, f.Warning, warning)
		}
		f.Warning = ""
		if !reflect.DeepEqual(f, plain) {
			t.Fatal("something else was read")
		}
		return f
	}
	read(Options{}, "")
	kept := entries(t, c)
	if len(kept) != 1 {
		t.Fatalf("entries %v", kept)
	}
	read(Options{}, "")
	read(Options{Strict: true}, "")
	if n := len(entries(t, c)); n != 2 {
		t.Errorf("%d entries of two kinds of rules", n)
	}

	// What is in the entry is what is returned, so that it was read from there.
	text := snapshotOf(t, &Dataset{Images: []Image{{ID: 77}}}, Problems{})
	if err := os.WriteFile(kept[0], text, 0o644); err != nil {
		t.Fatal(err)
	}
	if f, err := c.Read(path, Options{}); err != nil || len(f.Data.Images) != 1 || f.Data.Images[0].ID != 77 {
		t.Errorf("not from the cache: %v", err)
	}
	if f, err := c.Read(path, Options{Each: func(Problem) {}}); err != nil || len(f.Data.Images) != 200 {
		t.Errorf("from the cache, where problems are to be told: %v", err)
	}

	// A damaged entry is told and made anew.
	if err := os.WriteFile(kept[0], text[:30], 0o644); err != nil {
		t.Fatal(err)
	}
	read(Options{}, "are read again: it is damaged or of another version")
	read(Options{}, "")

	full := errors.New("full")
	if err := snapshot(&fails{after: 0, err: full}, plain.Data, Problems{}); !errors.Is(err, full) {
		t.Errorf("on a full disk: %v", err)
	}
	c.Dir = filepath.Join(path, "no", "folder")
	read(Options{}, "not a directory")
}

// TestCacheForgets keeps the entries that were used last.
func TestCacheForgets(t *testing.T) {
	c := Cache{t.TempDir()}
	first := largeFile(t, "a.json", 1)
	if _, err := c.Read(first, Options{}); err != nil {
		t.Fatal(err)
	}
	mine := entries(t, c)[0]
	for i := range mostEntries + 3 {
		name := filepath.Join(c.Dir, string(rune('a'+i))+entrySuffix)
		old := time.Now().Add(-time.Duration(i+1) * time.Hour)
		if err := errors.Join(os.WriteFile(name, nil, 0o644), os.Chtimes(name, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	ancient := time.Now().Add(-1000 * time.Hour)
	if err := os.Chtimes(mine, ancient, ancient); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(first, Options{}); err != nil { // it is used, and so young again
		t.Fatal(err)
	}
	if _, err := c.Read(largeFile(t, "b.json", 2), Options{}); err != nil {
		t.Fatal(err)
	}
	left := entries(t, c)
	if _, err := os.Stat(mine); err != nil || len(left) != mostEntries {
		t.Errorf("%v, %d entries: %v", err, len(left), left)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "k"+entrySuffix)); !os.IsNotExist(err) {
		t.Error("the oldest entry is still there")
	}
}

// TestCacheErrors has the errors of files, and no entries of them.
func TestCacheErrors(t *testing.T) {
	c := Cache{t.TempDir()}
	path := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(path, bytes.Repeat([]byte{' '}, leastCached), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(path, Options{}); err == nil || !strings.HasPrefix(err.Error(), path+": no JSON at byte") {
		t.Errorf("%v", err)
	}
	if _, err := c.Read(path+"?", Options{}); err == nil || !strings.Contains(err.Error(), "bad.json?") {
		t.Errorf("%v", err)
	}
	if n := len(entries(t, c)); n != 0 {
		t.Errorf("%d entries", n)
	}
}

// BenchmarkRestore reads the snapshot of the file of BenchmarkRead; MB/s are those of the file.
func BenchmarkRestore(b *testing.B) {
	annotations, _ := synthesized(b, synthetic.Spec{Images: 1000, Classes: 80, Objects: 7.3, Seed: 1})
	d, p, err := Decode(bytes.NewReader(annotations), Options{})
	if err != nil {
		b.Fatal(err)
	}
	text := snapshotOf(b, d, p)
	b.SetBytes(int64(len(annotations)))
	for b.Loop() {
		if _, _, err := restore(text); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(text))/float64(len(annotations)), "snapshot/file")
}
