package source

import (
	"bytes"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNaturalOrder(t *testing.T) {
	names := []string{"", "0", "00", "1", "01", "2", "10", "a", "a0b", "a1", "a1b2", "a01b3", "a1b10", "a2", "a10", "a99999999999999999999", "a100000000000000000000", "b"}
	for range 50 {
		mixed := slices.Clone(names)
		rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		slices.SortFunc(mixed, compareNatural)
		for i, want := range []string{"", "0", "00", "01", "1", "2", "10", "a", "a0b", "a1", "a1b2", "a01b3", "a1b10", "a2", "a10", "a99999999999999999999", "a100000000000000000000", "b"} {
			if mixed[i] != want {
				t.Fatalf("%q at %d, want %q", mixed[i], i, want)
			}
		}
	}
}

func writePNG(t *testing.T, path string, w, h int) {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOpenFrames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"f10.png", "f9.PNG", "f1.png", ".hidden.png", "._f1.png"} {
		writePNG(t, filepath.Join(dir, name), 40, 30)
	}
	if err := os.MkdirAll(filepath.Join(dir, "more.png"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("no frame"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFrames(dir)
	if err != nil || f.Width != 40 || f.Height != 30 {
		t.Fatalf("%+v, %v", f, err)
	}
	var names []string
	for _, p := range f.Paths {
		names = append(names, filepath.Base(p))
	}
	if got := strings.Join(names, " "); got != "f1.png f9.PNG f10.png" {
		t.Error(got)
	}
}

func TestOpenFramesRejects(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string // content by name; WxH is a picture of that size
		want  string
	}{
		"empty":        {nil, "frames: DIR holds no PNG or JPEG file"},
		"other files":  {map[string]string{"a.txt": ""}, "frames: DIR holds no PNG or JPEG file"},
		"another size": {map[string]string{"a1.png": "8x8", "a2.png": "8x8", "a10.png": "8x9"}, "frame 3: DIR/a10.png has 8×9 pixels and the frames before it 8×8; want one size throughout"},
		"no picture":   {map[string]string{"a1.png": "8x8", "a2.png": "GIF89a"}, "frame 2: DIR/a2.png: not a PNG or JPEG image"},
		"cut header":   {map[string]string{"a1.png": "\x89PNG\r\n\x1a\n\x00"}, "frame 1: DIR/a1.png: the image is truncated"},
		"one name":     {map[string]string{"a.png": "8x8", "a.jpg": ""}, "frames: a.jpg and a.png would both be the frame a; rename one"},
		"a newline":    {map[string]string{"a\n::error::.png": "no"}, `frame 1: DIR/a\n::error::.png: not a PNG or JPEG image`},
	} {
		dir := t.TempDir()
		for file, content := range c.files {
			path := filepath.Join(dir, file)
			if size := strings.Split(content, "x"); len(size) == 2 {
				writePNG(t, path, int(size[0][0]-'0'), int(size[1][0]-'0'))
			} else if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := OpenFrames(dir); err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	file := filepath.Join(t.TempDir(), "a.png")
	writePNG(t, file, 8, 8)
	for path, want := range map[string]string{file: "not a directory", filepath.Join(filepath.Dir(file), "gone"): "no such file or directory"} {
		if _, err := OpenFrames(path); err == nil || !strings.HasPrefix(err.Error(), "frames: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
