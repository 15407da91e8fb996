package quality

import (
	"fmt"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/measure"
)

// Cells gives the pictures of a data set to cells of a measurement, each in the cell's own image size and batch. It implements
// measure.DataSet.
type Cells struct {
	Set      *Set
	Pictures string // digest of the files of the pictures (Set.PicturesDigest)
	Models   *execute.OwnModels
	Progress func(c perf.Cell, done, of int) // called after every batch; may be nil
}

// Facts implements measure.DataSet.
func (c *Cells) Facts() accuracy.DataSet {
	d := c.Set.Data
	return accuracy.DataSet{Name: c.Set.Name, Annotations: c.Set.SHA256, Pictures: c.Pictures, Images: len(d.Images), Objects: len(d.Annotations), Classes: len(d.Categories)}
}

// Begin implements measure.DataSet.
func (c *Cells) Begin(cell perf.Cell) (measure.Evaluation, error) {
	m, err := c.Models.Open(cell.Profile)
	if err != nil {
		return nil, err
	}
	collect, err := newCollector(c.Set, m)
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", cell.Profile, c.Set.Name, err)
	}
	return &cellEvaluation{collector: collect, of: c, cell: cell}, nil
}

// cellEvaluation is one cell on its way through the pictures.
type cellEvaluation struct {
	*collector
	of    *Cells
	cell  perf.Cell
	batch []source.Input // of the batch at hand, each with the picture and its place in the input
}

// Inputs implements measure.Evaluation.
func (e *cellEvaluation) Inputs(first int) (tensor.List, error) {
	c, images := e.cell, e.set.Data.Images
	all := tensor.New(tensor.Float32, c.Batch, 3, c.Height, c.Width)
	n := 3 * c.Height * c.Width
	e.batch = e.batch[:0]
	for i := range c.Batch {
		im := images[(first+i)%len(images)]
		p, err := e.set.Picture(im)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrData, err)
		}
		fit, err := picture.NewFit(p.Width, p.Height, c.Width, c.Height)
		if err != nil {
			return nil, fmt.Errorf("%w: image %d: %w", ErrData, im.ID, err)
		}
		data := tensor.Data[float32](all)[i*n : (i+1)*n]
		if err := fit.Tensor(p, data); err != nil {
			return nil, fmt.Errorf("%w: image %d: %w", ErrData, im.ID, err)
		}
		e.batch = append(e.batch, source.Input{Name: im.FileName, Picture: p, Fit: fit, Image: tensor.Must(tensor.Of(data, 1, 3, c.Height, c.Width))})
	}
	return tensor.List{{Name: "image", Tensor: all}}, nil
}

// Take implements measure.Evaluation. What is there of pictures that came before, to fill the last batch, does not count.
func (e *cellEvaluation) Take(first int, out tensor.List) error {
	images := e.set.Data.Images
	count := min(e.cell.Batch, len(images)-first)
	for i := range count {
		one, err := sample(out, i, e.cell.Batch)
		if err != nil {
			return err
		}
		if err := e.take(images[first+i], e.batch[i], one); err != nil {
			return err
		}
	}
	if e.of.Progress != nil {
		e.of.Progress(e.cell, first+count, len(images))
	}
	return nil
}

// sample returns what outputs of a batch have of one sample.
func sample(out tensor.List, i, batch int) (one tensor.List, err error) {
	for _, n := range out {
		shape := append([]int(nil), n.Shape()...)
		if len(shape) == 0 || shape[0] != batch {
			return nil, fmt.Errorf("the output %s has the shape %v of a batch of %d", n.Name, shape, batch)
		}
		shape[0] = 1
		t := tensor.New(n.DType(), shape...)
		size := len(tensor.Bytes(t))
		copy(tensor.Bytes(t), tensor.Bytes(n.Tensor)[i*size:])
		one = append(one, tensor.Named{Name: n.Name, Tensor: t})
	}
	return one, nil
}

// Found implements measure.Evaluation.
func (e *cellEvaluation) Found() (*accuracy.Found, error) {
	f := &accuracy.Found{Boxes: evaluate.MatchBoxes(e.set.Data, e.list), Labels: e.out.Semantic, Segments: e.out.Panoptic}
	if e.set.HasMasks() {
		var err error
		if f.Masks, err = evaluate.MatchMasks(e.set.Data, e.list); err != nil {
			return nil, err
		}
	}
	f.Numbers = f.Sum()
	return f, nil
}
