package source

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/safetensors"
)

// Input is one image tensor [B,3,H,W] with values in [0,1] and, if it came from a picture (then B = 1), that picture and
// how it lies in the tensor.
type Input struct {
	Name    string // fit to be printed
	Image   *tensor.Tensor
	Picture *picture.Picture
	Fit     picture.Fit
}

// IsPicture tells by its extension whether a file is a picture.
func IsPicture(path string) bool {
	return slices.Contains([]string{".png", ".jpg", ".jpeg"}, strings.ToLower(filepath.Ext(path)))
}

// stem is a file's name without folder and extension.
func stem(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// PictureInput letterboxes a picture for the model: to the configured input size if the configuration names one, else to
// the multiples of the model's side that are nearest to the picture's own size.
func (m *Model) PictureInput(name string, p *picture.Picture) (Input, error) {
	width, height := m.Config.Model.InputWidth, m.Config.Model.InputHeight
	if !m.SizeGiven {
		width, height = picture.NearestShape(p.Width, p.Height, model.SideMultiple(m.Config))
	}
	fit, err := picture.NewFit(p.Width, p.Height, width, height)
	if err != nil {
		return Input{}, err
	}
	image := tensor.New(tensor.Float32, 1, 3, height, width)
	if err := fit.Tensor(p, tensor.Data[float32](image)); err != nil {
		return Input{}, err
	}
	return Input{Name: name, Image: image, Picture: p, Fit: fit}, nil
}

// LoadPicture reads and letterboxes a picture file. Errors name it.
func (m *Model) LoadPicture(path string) (Input, error) {
	p, err := picture.Load(path)
	if err != nil {
		return Input{}, err
	}
	in, err := m.PictureInput(printable.Line(stem(path)), p)
	if err != nil {
		return Input{}, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	return in, nil
}

// LoadTensors reads a safetensors file with "image" [B,3,H,W] float32.
func LoadTensors(path string) (Input, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return Input{}, err
	}
	in, err := imageOf(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return Input{}, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	in.Name = printable.Line(stem(path))
	return in, nil
}

func imageOf(f *safetensors.File) (Input, error) {
	t, ok := f.Tensor("image")
	if !ok {
		return Input{}, fmt.Errorf(`no tensor "image" (it has %s)`, cmp.Or(printable.Line(abbreviate(f.Names())), "no tensors"))
	}
	if len(t.Shape) != 4 || t.Shape[1] != 3 || slices.Contains(t.Shape, 0) {
		return Input{}, fmt.Errorf("image has shape %v, want [B,3,H,W]", t.Shape)
	}
	if t.DType != safetensors.Float32 {
		return Input{}, fmt.Errorf("image is %s, want F32", t.DType)
	}
	data, err := t.Float32s()
	if err != nil {
		return Input{}, err
	}
	image, err := tensor.Of(data, t.Shape...)
	if err != nil {
		return Input{}, err
	}
	if i := image.NonFinite(); i >= 0 {
		return Input{}, fmt.Errorf("image has a NaN or infinity at element %d", i)
	}
	return Input{Image: image}, nil
}

// abbreviate joins the first names of a list.
func abbreviate(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// Options returns the graph options for the input under the given decoding.
func (in Input) Options(d model.Decode) model.Options {
	s := in.Image.Shape()
	return model.Options{Batch: s[0], Height: s[2], Width: s[3], Decode: d}
}

// Tensors returns the input as a session takes it.
func (in Input) Tensors() tensor.List { return tensor.List{{Name: "image", Tensor: in.Image}} }
