package reports

import (
	"fmt"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/picture"
)

// Subject is what a run's outputs are about: the input's size and, for a picture, the picture and its place in the input.
type Subject struct {
	Height, Width int // of the input tensor
	Picture       *picture.Picture
	Fit           picture.Fit
	Classes       []string
	TileSides     [3]int // input pixels per tile side at levels 0 to 2
}

// Describe turns the outputs of a run into one Image per sample of the batch. Without a picture, coordinates are pixels of
// the input tensor.
func Describe(s Subject, out tensor.List) ([]Image, error) {
	for _, name := range []string{"boxes", "scores", "class_ids", "valid_counts", "mask_logits", "mask_scores", "embeddings", "utilities", "split_utilities"} {
		if out.Get(name) == nil {
			return nil, fmt.Errorf("the run has no output %q", name)
		}
	}
	if s.Picture == nil {
		s.Fit = picture.Fit{PictureWidth: s.Width, PictureHeight: s.Height, Width: s.Width, Height: s.Height, InnerWidth: s.Width, InnerHeight: s.Height}
	}
	valid := tensor.Data[int64](out.Get("valid_counts"))
	images := make([]Image, len(valid))
	for i := range images {
		im := Image{Width: s.Fit.PictureWidth, Height: s.Fit.PictureHeight, Detections: []Detection{}, Tiles: map[string][]int64{},
			Utilities: row(out, "utilities", i), SplitUtilities: row(out, "split_utilities", i)}
		for level := range 3 {
			tiles, count := out.Get(fmt.Sprintf("tiles_l%d", level)), out.Get(fmt.Sprintf("valid_l%d", level))
			if tiles != nil && count != nil {
				width := tiles.Shape()[1]
				ids := tensor.Data[int64](tiles)[i*width:][:tensor.Data[int64](count)[i]]
				im.Tiles[fmt.Sprintf("l%d", level)] = append([]int64{}, ids...)
			}
		}
		im.SelectedTiles = len(im.Tiles["l0"])
		for j := range int(valid[i]) {
			im.Detections = append(im.Detections, s.detection(out, i, j))
		}
		if len(im.Detections) > 0 {
			im.DetScore = im.Detections[0].Score
		}
		images[i] = im
	}
	return images, nil
}

// row returns sample i of a [B,K] output as float64.
func row(out tensor.List, name string, i int) []float64 {
	t := out.Get(name)
	k := t.Shape()[1]
	v := make([]float64, k)
	for j := range v {
		v[j] = at(t, i*k+j)
	}
	return v
}

// at returns one element of a floating-point tensor.
func at(t *tensor.Tensor, i int) float64 {
	if t.DType() == tensor.Float64 {
		return tensor.Data[float64](t)[i]
	}
	return float64(tensor.Data[float32](t)[i])
}

// detection describes row j of sample i.
func (s Subject) detection(out tensor.List, i, j int) Detection {
	n := out.Get("scores").Shape()[1]
	r := i*n + j
	d := Detection{Score: at(out.Get("scores"), r), ClassID: tensor.Data[int64](out.Get("class_ids"))[r], MaskScore: at(out.Get("mask_scores"), r)}
	for k := range d.Box {
		d.Box[k] = at(out.Get("boxes"), 4*r+k)
	}
	d.Box = s.Fit.Box(d.Box)
	if d.ClassID >= 0 && d.ClassID < int64(len(s.Classes)) {
		d.Class = s.Classes[d.ClassID]
	}
	masks := out.Get("mask_logits")
	h, w := masks.Shape()[2], masks.Shape()[3]
	rle := picture.EncodeRLE(s.Fit.Mask(slice32(masks, r*h*w, h*w), h, w, d.Box), s.Fit.PictureWidth, s.Fit.PictureHeight)
	d.Mask = &rle
	dim := out.Get("embeddings").Shape()[2]
	d.Embedding = TensorSHA256(tensor.Must(tensor.Of(slice32(out.Get("embeddings"), r*dim, dim), dim)))
	return d
}

// slice32 returns n elements from offset as float32.
func slice32(t *tensor.Tensor, offset, n int) []float32 {
	if t.DType() == tensor.Float32 {
		return tensor.Data[float32](t)[offset : offset+n]
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(tensor.Data[float64](t)[offset+i])
	}
	return v
}

// SceneOf joins one described image with its pixels for drawing: the picture, or the input tensor [B,3,H,W] itself.
func (s Subject) SceneOf(im Image, input *tensor.Tensor, sample int) Scene {
	scene := Scene{Picture: s.Picture, Detections: im.Detections}
	if scene.Picture == nil {
		scene.Picture = pictureOf(input, sample)
		s.Fit = picture.Fit{PictureWidth: s.Width, PictureHeight: s.Height, Width: s.Width, Height: s.Height, InnerWidth: s.Width, InnerHeight: s.Height}
	}
	for level := range 3 {
		side := s.TileSides[level]
		for _, id := range im.Tiles[fmt.Sprintf("l%d", level)] {
			columns := s.Width / side
			x, y := float64(int(id)%columns*side), float64(int(id)/columns*side)
			scene.Tiles = append(scene.Tiles, TileBox{level, s.Fit.Box([4]float64{x, y, x + float64(side), y + float64(side)})})
		}
	}
	return scene
}

// pictureOf renders a sample of an image tensor, values in [0,1] clamped.
func pictureOf(t *tensor.Tensor, sample int) *picture.Picture {
	h, w := t.Shape()[2], t.Shape()[3]
	data := tensor.Data[float32](t)[sample*3*h*w:]
	p := &picture.Picture{Width: w, Height: h, Pix: make([]byte, 3*h*w)}
	for i := range h * w {
		for c := range 3 {
			p.Pix[3*i+c] = byte(min(max(data[c*h*w+i], 0), 1)*255 + 0.5)
		}
	}
	return p
}
