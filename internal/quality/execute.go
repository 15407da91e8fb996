package quality

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/panoptic"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/reports"
)

// Request is an execution of a model on a data set.
type Request struct {
	Backend  backends.Backend
	Model    *source.Model
	Decode   model.Decode
	Options  backends.Options
	Progress func(done, of int) // called after every image; may be nil
}

// ErrData marks a picture or an annotation that cannot be used.
var ErrData = errors.New("bad data")

// Execute runs the model on every picture of a data set. Pictures of one shape share a session. It fails at the first picture that cannot
// be read, with an error that wraps ErrData, and at the first error of the backend.
func Execute(ctx context.Context, s *Set, r Request) (*Found, error) {
	e := executor{Request: r, set: s, classes: s.Data.Mapping(), sessions: map[[2]int]backends.Session{},
		out: &Execution{Backend: r.Backend.Name(), Precision: string(r.Options.Precision)}}
	var err error
	if e.classOf, e.out.Unmapped, err = classMap(r.Model.Classes, e.classes); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrData, err)
	}
	if s.HasMasks() && max(len(e.classes.IDs), len(e.classOf)) <= mostLabels {
		e.out.Semantic, e.out.Panoptic, e.objects = new(evaluate.Semantic), evaluate.NewPanoptic(withBackground(e.classes)), s.ByImage()
	}
	found := &Found{Name: fmt.Sprintf("%s %s", e.out.Backend, e.out.Precision), Execution: e.out}
	for i, im := range s.Data.Images {
		list, err := e.image(ctx, im)
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		found.Detections = append(found.Detections, list...)
		if r.Progress != nil {
			r.Progress(i+1, len(s.Data.Images))
		}
	}
	return found, e.close()
}

// withBackground tells which classes are stuff: the background, which is class 0, and those that the data set says.
func withBackground(classes coco.Mapping) []bool { return append([]bool{true}, classes.Stuff...) }

type executor struct {
	Request
	set      *Set
	classes  coco.Mapping
	classOf  []int // of the model's classes in the data set
	objects  map[int64][]*coco.Annotation
	sessions map[[2]int]backends.Session // by height and width
	out      *Execution
}

func (e *executor) close() error {
	var err error
	for _, s := range e.sessions {
		err = errors.Join(err, s.Close())
	}
	return err
}

// image runs the model on one picture.
func (e *executor) image(ctx context.Context, im coco.Image) ([]coco.Detection, error) {
	p, err := e.set.Picture(im)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrData, err)
	}
	in, err := e.Model.PictureInput(im.FileName, p)
	if err != nil {
		return nil, fmt.Errorf("%w: image %d: %w", ErrData, im.ID, err)
	}
	session, err := e.session(ctx, in)
	if err != nil {
		return nil, err
	}
	outputs, err := backends.Run(ctx, session, in.Tensors())
	if err != nil {
		return nil, fmt.Errorf("image %d: %w", im.ID, err)
	}
	described, err := reports.Describe(reports.SubjectOf(e.Model, in), outputs)
	if err != nil {
		return nil, fmt.Errorf("image %d: %w", im.ID, err)
	}
	e.out.Scores = append(e.out.Scores, float64(described[0].DetScore))
	e.out.Tiles = append(e.out.Tiles, float64(described[0].SelectedTiles))
	e.out.Milliseconds = append(e.out.Milliseconds, float64(session.LastTiming().Execute)/float64(time.Millisecond))
	if err := e.pixels(im, in, described[0], outputs); err != nil {
		return nil, err
	}
	return e.detections(im, described[0]), nil
}

func (e *executor) session(ctx context.Context, in source.Input) (backends.Session, error) {
	shape := [2]int{in.Image.Shape()[2], in.Image.Shape()[3]}
	if s := e.sessions[shape]; s != nil {
		return s, nil
	}
	g, err := execute.GraphIn(e.Model, e.Backend.Name(), in.Options(e.Decode), e.Options.Precision)
	if missing := (*backends.Unavailable)(nil); errors.As(err, &missing) { // the model is not calibrated for the precision
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrData, in.Name, err)
	}
	s, err := e.Backend.Compile(ctx, g, e.Options)
	if err != nil {
		return nil, err
	}
	e.sessions[shape] = s
	return s, nil
}

// detections turns what a run found into results: boxes and masks in the picture's pixels. A backend that is at fault may give a number
// that is none; such a detection is not one.
func (e *executor) detections(im coco.Image, described reports.Image) []coco.Detection {
	var list []coco.Detection
	for _, d := range described.Detections {
		if d.ClassID < 0 || int(d.ClassID) >= len(e.classOf) || e.classOf[d.ClassID] < 0 {
			continue
		}
		left, top, right, bottom := float64(d.Box[0]), float64(d.Box[1]), float64(d.Box[2]), float64(d.Box[3])
		box := [4]float64{left, top, right - left, bottom - top}
		if sum := float64(d.Score) + left + top + right + bottom; sum-sum != 0 {
			continue
		}
		list = append(list, coco.Detection{Image: im.ID, Category: e.classes.IDs[e.classOf[d.ClassID]], Score: float64(d.Score), Box: box, HasBox: true,
			Segmentation: coco.Segmentation{Size: d.Mask.Size, Counts: d.Mask.Counts}})
	}
	return list
}

// pixels compares the labels and the segments of an image, where the data set has masks.
func (e *executor) pixels(im coco.Image, in source.Input, described reports.Image, outputs tensor.List) error {
	logits := outputs.Get("semantic_logits")
	if e.out.Semantic == nil || logits == nil {
		return nil
	}
	owner, err := owners(im, e.objects[im.ID])
	if err != nil {
		return fmt.Errorf("%w: image %d: %w", ErrData, im.ID, err)
	}
	truth := labels(owner, e.objects[im.ID], e.classes)
	shape := logits.Shape()
	predicted := make([]uint8, len(truth))
	for i, l := range in.Fit.Labels(tensor.Float32s(logits, 0, logits.Len()), shape[1], shape[2], shape[3]) {
		if l > 0 {
			predicted[i] = uint8(e.classOf[l-1] + 1) // a class that the data set does not have is background
		}
	}
	fused, err := panoptic.OfRun(reports.SubjectOf(e.Model, in), described, outputs, 0, panoptic.DefaultOptions())
	if err != nil {
		return fmt.Errorf("image %d: %w", im.ID, err)
	}
	return errors.Join(e.out.Semantic.Add(predicted, truth), e.out.Panoptic.Add(e.fused(fused), segments(owner, e.objects[im.ID], e.classes)))
}

// fused turns a segmentation into segments of the data set's classes, of which 0 is the background. A class that the data set does not
// have is void.
func (e *executor) fused(m *panoptic.Map) evaluate.PanopticImage {
	im := evaluate.PanopticImage{Map: slices.Clone(m.IDs)}
	unknown := map[int32]bool{}
	for _, s := range m.Segments {
		class := 0
		if s.Label > 0 {
			class = e.classOf[s.Label-1] + 1
		}
		if s.Label > 0 && class == 0 {
			unknown[int32(s.ID)] = true
			continue
		}
		im.Segments = append(im.Segments, evaluate.Segment{ID: int32(s.ID), Class: class})
	}
	for i, id := range im.Map {
		if unknown[id] {
			im.Map[i] = 0
		}
	}
	return im
}
