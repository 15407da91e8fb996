// Package videotest makes a walking sequence from the scenes of the fixtures, for tests: objects are cut out by their
// annotated masks and walk over the background of another scene, past and behind each other.
package videotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"

	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/mask"
	"github.com/apex-x/apexx/internal/mot"
	"github.com/apex-x/apexx/internal/track"
)

// Side is the width and height of a frame in pixels.
const Side = 384

// Length is how many frames the walk has.
const Length = 40

// walker is an object and its straight path.
type walker struct {
	annotation int        // id in the fixtures' annotations
	at, step   [2]float64 // left top corner in frame 1, and what it moves in a frame
	from       int        // first frame
}

// walkers are drawn in their order, so that later ones hide earlier ones.
var walkers = []walker{
	{20, [2]float64{68, 272}, [2]float64{0, 0}, 1},   // a ring of the background
	{22, [2]float64{312, 199}, [2]float64{0, 0}, 1},  // a bar of the background
	{27, [2]float64{10, 168}, [2]float64{7, 0}, 1},   // a disk that walks behind the triangle
	{15, [2]float64{8, 300}, [2]float64{7, 0}, 1},    // a star that walks behind
	{39, [2]float64{305, 296}, [2]float64{-7, 0}, 1}, // another star
	{46, [2]float64{250, 8}, [2]float64{5, 0}, 1},    // a cross that leaves the picture
	{45, [2]float64{14, 10}, [2]float64{2, 0}, 15},   // a ring that appears in the middle of the walk
	{18, [2]float64{120, 92}, [2]float64{0, 0}, 1},   // a triangle that stands still
}

// background is the scene with the least on it, of which the left top corner is taken.
const background = 4

// Truth is one object in one frame.
type Truth struct {
	ID         int64 // of the walker, from 1
	Class      int64
	Box        track.Box // of all of it, cut at the frame's border
	Visibility float64   // share of its pixels that is seen
}

// Walk is the sequence.
type Walk struct {
	Frames []*image.NRGBA
	Truth  [][]Truth // by frame: the objects of which any pixel is in the picture
}

// Rows is the truth as MOTChallenge text has it: the walkers of which at least half is seen, and not the rest.
func (w *Walk) Rows() []mot.Row {
	var rows []mot.Row
	for i, frame := range w.Truth {
		for _, o := range frame {
			if o.Visibility >= 0.5 {
				rows = append(rows, mot.Row{Frame: i + 1, ID: o.ID, Box: o.Box, Score: 1})
			}
		}
	}
	return rows
}

// sprite is a cut-out object.
type sprite struct {
	img   *image.NRGBA // opaque where the object is
	class int64
}

// NewWalk draws the sequence. Its error is that the fixtures are not there.
func NewWalk() (*Walk, error) {
	scenes, err := decodeScenes()
	if err != nil {
		return nil, err
	}
	sprites, err := cutOut(scenes)
	if err != nil {
		return nil, err
	}
	empty := image.NewNRGBA(image.Rect(0, 0, Side, Side))
	draw.Draw(empty, empty.Rect, scenes[background-1], image.Point{}, draw.Src)
	w := &Walk{}
	for frame := 1; frame <= Length; frame++ {
		img := image.NewNRGBA(empty.Rect)
		copy(img.Pix, empty.Pix)
		owner := make([]int, Side*Side) // walker of each pixel, from 1
		for i, wk := range walkers {
			if frame >= wk.from {
				sprites[i].draw(img, wk.corner(frame), owner, i+1)
			}
		}
		w.Frames = append(w.Frames, img)
		w.Truth = append(w.Truth, truth(sprites, frame, owner))
	}
	return w, nil
}

func (w walker) corner(frame int) image.Point {
	n := float64(frame - w.from)
	return image.Pt(int(w.at[0]+n*w.step[0]), int(w.at[1]+n*w.step[1]))
}

func (s sprite) draw(img *image.NRGBA, at image.Point, owner []int, number int) {
	for y := range s.img.Rect.Dy() {
		for x := range s.img.Rect.Dx() {
			p := image.Pt(x, y).Add(at)
			if c := s.img.NRGBAAt(x, y); c.A > 0 && p.In(img.Rect) {
				img.SetNRGBA(p.X, p.Y, c)
				owner[p.Y*Side+p.X] = number
			}
		}
	}
}

// truth tells where the walkers of a frame are.
func truth(sprites []sprite, frame int, owner []int) []Truth {
	seen := make([]int, len(sprites)+1)
	for _, n := range owner {
		seen[n]++
	}
	var all []Truth
	for i, wk := range walkers {
		at := wk.corner(frame)
		box := sprites[i].img.Rect.Add(at).Intersect(image.Rect(0, 0, Side, Side))
		if frame < wk.from || box.Empty() {
			continue
		}
		all = append(all, Truth{
			ID: int64(i + 1), Class: sprites[i].class, Visibility: float64(seen[i+1]) / float64(sprites[i].pixels()),
			Box: track.Box{float64(box.Min.X), float64(box.Min.Y), float64(box.Max.X), float64(box.Max.Y)},
		})
	}
	return all
}

func (s sprite) pixels() (n int) {
	for i := 3; i < len(s.img.Pix); i += 4 {
		if s.img.Pix[i] > 0 {
			n++
		}
	}
	return n
}

func decodeScenes() ([]image.Image, error) {
	var scenes []image.Image
	for _, s := range fixtures.BuiltinScenes() {
		img, err := jpeg.Decode(bytes.NewReader(s.Data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		scenes = append(scenes, img)
	}
	return scenes, nil
}

// annotation is one object of the fixtures.
type annotation struct {
	ID         int        `json:"id"`
	ImageID    int        `json:"image_id"`
	CategoryID int64      `json:"category_id"`
	BBox       [4]float64 `json:"bbox"`
	Mask       mask.RLE   `json:"segmentation"`
}

// cutOut returns the sprites of the walkers.
func cutOut(scenes []image.Image) ([]sprite, error) {
	text, err := fixtures.Annotations()
	if err != nil {
		return nil, err
	}
	var file struct {
		Annotations []annotation `json:"annotations"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("annotations: %w", err)
	}
	byID := map[int]annotation{}
	for _, a := range file.Annotations {
		byID[a.ID] = a
	}
	var sprites []sprite
	for _, w := range walkers {
		a := byID[w.annotation]
		sprites = append(sprites, sprite{a.cut(scenes[a.ImageID-1]), a.CategoryID - 1})
	}
	return sprites, nil
}

// cut copies the pixels of an object.
func (a annotation) cut(scene image.Image) *image.NRGBA {
	left, top := int(a.BBox[0]), int(a.BBox[1])
	img := image.NewNRGBA(image.Rect(0, 0, int(a.BBox[2]), int(a.BBox[3])))
	for x, y := range a.Mask.Pixels() {
		img.Set(x-left, y-top, scene.At(x, y))
	}
	return img
}

// Write writes the first n frames as PNG files to a folder, which is made, and returns their paths.
func (w *Walk) Write(dir string, n int) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var paths []string
	for i, img := range w.Frames[:n] {
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
			return nil, err
		}
		path := filepath.Join(dir, fmt.Sprintf("frame%d.png", i+1))
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
