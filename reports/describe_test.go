package reports

import (
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/picture"
)

// sampleSubject is an input of two images without pictures: one by two L0 tiles of 128 pixels.
func sampleSubject() Subject {
	return Subject{Height: 128, Width: 256, Classes: []string{"disk", "ring"}, TileSides: [3]int{128, 64, 32}}
}

func sampleInput() *tensor.Tensor { return tensor.New(tensor.Float32, 2, 3, 128, 256) }

// sampleOutputs has two rows for each of two images: two detections in the first, none in the second, whose rows are
// garbage.
func sampleOutputs() tensor.List {
	of := func(name string, data []float32, shape ...int) tensor.Named {
		return tensor.Named{Name: name, Tensor: tensor.Must(tensor.Of(data, shape...))}
	}
	ints := func(name string, data []int64, shape ...int) tensor.Named {
		return tensor.Named{Name: name, Tensor: tensor.Must(tensor.Of(data, shape...))}
	}
	masks := make([]float32, 2*2*4*8) // cells of 32 pixels
	for i := range masks {
		masks[i] = 1
	}
	return tensor.List{
		of("boxes", []float32{32, 0, 160, 64, 200, 100, 300, 140, 9, 9, 9, 9, 9, 9, 9, 9}, 2, 2, 4),
		of("scores", []float32{0.75, 0.5, 9, 9}, 2, 2),
		ints("class_ids", []int64{1, 7, 9, 9}, 2, 2),
		ints("valid_counts", []int64{2, 0}, 2),
		of("mask_logits", masks, 2, 2, 4, 8),
		of("mask_scores", []float32{0.25, 0.125, 9, 9}, 2, 2),
		of("embeddings", []float32{1, 0, 0, 1, 9, 9, 9, 9}, 2, 2, 2),
		of("utilities", []float32{0.5, -1, 2, 3}, 2, 2), of("split_utilities", []float32{1, 2, 3, 4}, 2, 2),
		ints("tiles_l0", []int64{1, -1, 0, 1}, 2, 2), ints("valid_l0", []int64{1, 2}, 2),
		ints("tiles_l1", []int64{2, 3, 7, 6, -1, -1, -1, -1}, 2, 4), ints("valid_l1", []int64{4, 0}, 2),
	}
}

// widened returns the outputs of a float64 run.
func widened(list tensor.List) tensor.List {
	var out tensor.List
	for _, n := range list {
		if n.DType() == tensor.Float32 {
			n.Tensor = tensor.Must(tensor.Of(n.Float64s(), n.Shape()...))
		}
		out = append(out, n)
	}
	return out
}

func numbers(d Detection) [6]float64 {
	box, _ := d.bounds()
	return [6]float64{box[0], box[1], box[2], box[3], float64(d.Score), float64(d.MaskScore)}
}

func TestDescribe(t *testing.T) {
	single := sampleOutputs()
	for name, out := range map[string]tensor.List{"float32": single, "float64": widened(single)} {
		t.Run(name, func(t *testing.T) {
			images, err := Describe(sampleSubject(), out)
			if err != nil || len(images) != 2 {
				t.Fatalf("%d images, %v", len(images), err)
			}
			first, second := images[0], images[1]
			if first.Width != 256 || first.Height != 128 || first.DetScore != 0.75 || first.SelectedTiles != 1 || len(first.Detections) != 2 {
				t.Errorf("first: %+v", first)
			}
			if !slices.Equal(first.Tiles["l0"], []int64{1}) || !slices.Equal(first.Tiles["l1"], []int64{2, 3, 7, 6}) || first.Tiles["l2"] != nil {
				t.Errorf("tiles %v", first.Tiles)
			}
			if first.Utilities[1] != -1 || second.Utilities[0] != 2 || second.SplitUtilities[1] != 4 {
				t.Errorf("utilities %v %v", first.Utilities, second.Utilities)
			}
			if second.DetScore != 0 || len(second.Detections) != 0 || second.Detections == nil || second.SelectedTiles != 2 || second.Tiles["l1"] == nil {
				t.Errorf("second: %+v", second)
			}
			a, b := first.Detections[0], first.Detections[1]
			if numbers(a) != [6]float64{32, 0, 160, 64, 0.75, 0.25} || a.ClassID != 1 || a.Class != "ring" {
				t.Errorf("first detection: %+v", a)
			}
			if numbers(b) != [6]float64{200, 100, 256, 128, 0.5, 0.125} || b.ClassID != 7 || b.Class != "" {
				t.Errorf("second detection, cut by the border, of an unknown class: %+v", b)
			}
			if want := TensorSHA256(tensor.Must(tensor.Of([]float32{0, 1}, 2))); b.Embedding != want {
				t.Errorf("embedding %s, want %s", b.Embedding, want)
			}
			if want := uint32(128 * 32); a.Mask.Counts[0] != want || a.Mask.Size != [2]int{128, 256} {
				t.Errorf("mask starts with %d zeros, want %d; size %v", a.Mask.Counts[0], want, a.Mask.Size)
			}
		})
	}
}

// TestDescribePicture checks that boxes and masks are in the picture's pixels: 64×64, doubled, 64 columns of border each
// side.
func TestDescribePicture(t *testing.T) {
	s := sampleSubject()
	s.Picture = &picture.Picture{Width: 64, Height: 64, Pix: make([]byte, 3*64*64)}
	var err error
	if s.Fit, err = picture.NewFit(64, 64, 256, 128); err != nil {
		t.Fatal(err)
	}
	images, err := Describe(s, sampleOutputs())
	if err != nil {
		t.Fatal(err)
	}
	d := images[0].Detections[0]
	if want := [6]float64{0, 0, 48, 32, 0.75, 0.25}; numbers(d) != want || d.Mask.Size != [2]int{64, 64} {
		t.Errorf("%v, mask %v; want %v", numbers(d), d.Mask.Size, want)
	}
	if want := []uint32{0, 32, 32, 32}; !slices.Equal(d.Mask.Counts[:4], want) {
		t.Errorf("mask %v…, want %v", d.Mask.Counts[:4], want)
	}
	if d := images[0].Detections[1]; numbers(d) != [6]float64{64, 50, 64, 64, 0.5, 0.125} || len(d.Mask.Counts) != 1 {
		t.Errorf("a box in the border: %v, mask %v", numbers(d), d.Mask.Counts)
	}
	if images[0].Width != 64 || images[0].Height != 64 {
		t.Errorf("size %d×%d", images[0].Width, images[0].Height)
	}
	scene := s.SceneOf(images[0], nil, 0)
	if scene.Picture != s.Picture || len(scene.Tiles) != 5 || scene.Tiles[0] != (TileBox{0, [4]float64{32, 0, 64, 64}}) || scene.Tiles[1].Level != 1 {
		t.Errorf("tiles %+v", scene.Tiles)
	}
}

func TestDescribeRefusesFaultyOutputs(t *testing.T) {
	for _, name := range []string{"boxes", "scores", "class_ids", "valid_counts", "mask_logits", "mask_scores", "embeddings", "utilities", "split_utilities"} {
		out := slices.DeleteFunc(sampleOutputs(), func(n tensor.Named) bool { return n.Name == name })
		if _, err := Describe(sampleSubject(), out); err == nil || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	for _, name := range []string{"valid_counts", "valid_l0", "valid_l1"} {
		for _, bad := range []int64{-1, 5, 1 << 62} {
			out := sampleOutputs()
			tensor.Data[int64](out.Get(name))[1] = bad
			if _, err := Describe(sampleSubject(), out); err == nil || !strings.Contains(err.Error(), "sample 1: the output "+name) {
				t.Errorf("%s = %d: %v", name, bad, err)
			}
		}
	}
}

func TestSceneOfTensor(t *testing.T) {
	images, err := Describe(sampleSubject(), sampleOutputs())
	if err != nil {
		t.Fatal(err)
	}
	input := sampleInput()
	data := tensor.Data[float32](input)
	plane := 128 * 256
	data[3*plane], data[4*plane+1], data[5*plane+2] = 0.5, 7, -7 // sample 1: values outside [0,1] are clamped
	scene := sampleSubject().SceneOf(images[1], input, 1)
	for x, want := range [][3]byte{{128, 0, 0}, {0, 255, 0}, {0, 0, 0}} {
		if r, g, b := scene.Picture.At(x, 0); [3]byte{r, g, b} != want {
			t.Errorf("pixel %d is %d %d %d, want %v", x, r, g, b, want)
		}
	}
	if want := (TileBox{0, [4]float64{128, 0, 256, 128}}); len(scene.Tiles) != 2 || scene.Tiles[1] != want {
		t.Errorf("tiles %+v", scene.Tiles)
	}
}
