package reports

import (
	"fmt"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/parity"
)

// Subject is what a run's outputs are about: the input's size and, for a picture, the picture and its place in the input.
type Subject struct {
	Height, Width int // of the input tensor
	Picture       *picture.Picture
	Fit           picture.Fit
	Classes       []string
	TileSides     [3]int // input pixels per tile side at levels 0 to 2
}

// Geometry is how the picture lies in the input; without a picture, coordinates are pixels of the input tensor.
func (s Subject) Geometry() picture.Fit {
	if s.Picture != nil {
		return s.Fit
	}
	return picture.Fit{PictureWidth: s.Width, PictureHeight: s.Height, Width: s.Width, Height: s.Height, InnerWidth: s.Width, InnerHeight: s.Height}
}

// Describe turns the outputs of a run into one Image per sample of the batch. Without a picture, coordinates are pixels of
// the input tensor. It is an error if outputs are missing or if their counts exceed their rows, as a faulty backend's may.
func Describe(s Subject, out tensor.List) ([]Image, error) {
	for _, name := range []string{"boxes", "scores", "class_ids", "valid_counts", "mask_logits", "mask_scores", "embeddings", "utilities", "split_utilities"} {
		if out.Get(name) == nil {
			return nil, fmt.Errorf("the run has no output %q", name)
		}
	}
	s.Fit = s.Geometry()
	images := make([]Image, out.Get("valid_counts").Len())
	for i := range images {
		im, err := s.image(out, i)
		if err != nil {
			return nil, fmt.Errorf("sample %d: %w", i, err)
		}
		images[i] = im
	}
	return images, nil
}

// image describes sample i.
func (s Subject) image(out tensor.List, i int) (Image, error) {
	im := Image{Width: s.Fit.PictureWidth, Height: s.Fit.PictureHeight, Detections: []Detection{}, Tiles: map[string][]int64{},
		Utilities: row(out, "utilities", i), SplitUtilities: row(out, "split_utilities", i)}
	for level := range 3 {
		name := fmt.Sprintf("l%d", level)
		tiles := out.Get("tiles_" + name)
		if tiles == nil || out.Get("valid_"+name) == nil {
			continue
		}
		width := tiles.Shape()[1]
		n, err := count(out, "valid_"+name, i, width)
		if err != nil {
			return Image{}, err
		}
		im.Tiles[name] = append([]int64{}, tensor.Data[int64](tiles)[i*width:][:n]...)
	}
	im.SelectedTiles = len(im.Tiles["l0"])
	n, err := count(out, "valid_counts", i, out.Get("scores").Shape()[1])
	if err != nil {
		return Image{}, err
	}
	for j := range n {
		im.Detections = append(im.Detections, s.detection(out, i, j))
	}
	if n > 0 {
		im.DetScore = im.Detections[0].Score
	}
	return im, nil
}

// count returns element i of a [B] output that counts rows of another.
func count(out tensor.List, name string, i, rows int) (int, error) {
	n := tensor.Data[int64](out.Get(name))[i]
	if n < 0 || n > int64(rows) {
		return 0, fmt.Errorf("the output %s is %d, outside [0, %d]", name, n, rows)
	}
	return int(n), nil
}

// row returns sample i of a [B,K] output.
func row(out tensor.List, name string, i int) []parity.Number {
	t := out.Get(name)
	k := t.Shape()[1]
	v := make([]parity.Number, k)
	for j := range v {
		v[j] = parity.Number(at(t, i*k+j))
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
	r := i*out.Get("scores").Shape()[1] + j
	d := Detection{Score: parity.Number(at(out.Get("scores"), r)), MaskScore: parity.Number(at(out.Get("mask_scores"), r)),
		ClassID: tensor.Data[int64](out.Get("class_ids"))[r]}
	var box [4]float64
	for k := range box {
		box[k] = at(out.Get("boxes"), 4*r+k)
	}
	box = s.Fit.Box(box)
	for k, v := range box {
		d.Box[k] = parity.Number(v)
	}
	if d.ClassID >= 0 && d.ClassID < int64(len(s.Classes)) {
		d.Class = s.Classes[d.ClassID]
	}
	masks := out.Get("mask_logits")
	h, w := masks.Shape()[2], masks.Shape()[3]
	mask := s.Fit.Mask(tensor.Float32s(masks, r*h*w, h*w), h, w, box)
	d.Mask = &mask
	dim := out.Get("embeddings").Shape()[2]
	d.Embedding = TensorSHA256(tensor.Must(tensor.Of(tensor.Float32s(out.Get("embeddings"), r*dim, dim), dim)))
	return d
}

// SceneOf joins one described image with its pixels for drawing: the picture, or the input tensor [B,3,H,W] itself.
func (s Subject) SceneOf(im Image, input *tensor.Tensor, sample int) Scene {
	scene := Scene{Picture: s.Picture, Detections: im.Detections}
	if scene.Picture == nil {
		scene.Picture = pictureOf(input, sample)
		s.Fit = s.Geometry()
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
