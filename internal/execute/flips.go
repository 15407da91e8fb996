package execute

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/flips"
)

// FlipCheck asks of how many router inputs honest executions choose other tiles without saying why.
type FlipCheck struct {
	Model      *source.Model
	Pictures   [][]byte // encoded
	Images     int      // taken of the pictures: whole, and then cropped, brighter or darker, with noise
	PerImage   int      // router inputs that are made of each
	Executions []flips.Execution
	Seed       uint64
	OnImage    func(done, of int) // nil for none
}

// flipSide is the side of the images in pixels: 16 tiles of level 0 in the nano model.
const flipSide = 512

// CheckFlips answers.
func CheckFlips(ctx context.Context, c FlipCheck) (*flips.Result, error) {
	if len(c.Pictures) == 0 {
		return nil, errors.New("there are no pictures")
	}
	d := model.DefaultDecode()
	spec := flips.Spec{PerImage: c.PerImage, Executions: c.Executions, Setting: settingOf(c.Model, d, flipSide, flipSide), Seed: c.Seed, OnImage: c.OnImage,
		Graph: func(batch int) (*graph.Graph, error) {
			var precisions []backends.Precision
			for _, e := range c.Executions {
				precisions = append(precisions, e.Column.Precision)
			}
			return c.Model.GraphIn(model.Options{Batch: batch, Height: flipSide, Width: flipSide, Decode: d}, precisions...)
		}}
	for i := range c.Images {
		p, err := picture.Decode(c.Pictures[i%len(c.Pictures)])
		if err != nil {
			return nil, err
		}
		image, err := variantOf(p, i/len(c.Pictures), rand.New(rand.NewPCG(c.Seed, uint64(i))))
		if err != nil {
			return nil, err
		}
		spec.Images = append(spec.Images, image)
	}
	return flips.Run(ctx, spec)
}

// variantOf is a picture as an image tensor: whole the first time, and then a part of it, brighter or darker, or with noise, in turn.
func variantOf(p *picture.Picture, time int, r *rand.Rand) (*tensor.Tensor, error) {
	if time > 0 && time%3 == 1 {
		p = crop(p, 0.4+0.5*r.Float64(), r)
	}
	fit, err := picture.NewFit(p.Width, p.Height, flipSide, flipSide)
	if err != nil {
		return nil, err
	}
	image := tensor.New(tensor.Float32, 1, 3, flipSide, flipSide)
	data := tensor.Data[float32](image)
	if err := fit.Tensor(p, data); err != nil || time == 0 {
		return image, err
	}
	light, noise := float32(1), 0.
	switch time % 3 {
	case 2:
		light = float32(0.4 + 1.2*r.Float64())
	case 0:
		noise = 0.1 * r.Float64()
	}
	for i, v := range data {
		data[i] = min(max(v*light+float32(noise*r.NormFloat64()), 0), 1)
	}
	return image, nil
}

// crop returns a drawn part of a picture whose sides are a share of its own.
func crop(p *picture.Picture, share float64, r *rand.Rand) *picture.Picture {
	w, h := max(1, int(float64(p.Width)*share)), max(1, int(float64(p.Height)*share))
	x, y := r.IntN(p.Width-w+1), r.IntN(p.Height-h+1)
	part := &picture.Picture{Width: w, Height: h, Pix: make([]byte, 0, 3*w*h)}
	for row := range h {
		part.Pix = append(part.Pix, p.Pix[3*((y+row)*p.Width+x):][:3*w]...)
	}
	part.Pix = slices.Clip(part.Pix)
	return part
}
