package quality

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/source"
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

// Execute runs the model on every picture of a data set, each in its own size. Pictures of one shape share a session. It fails at the first
// picture that cannot be read, with an error that wraps ErrData, and at the first error of the backend.
func Execute(ctx context.Context, s *Set, r Request) (*Found, error) {
	c, err := newCollector(s, r.Model)
	if err != nil {
		return nil, err
	}
	c.out.Backend, c.out.Precision = r.Backend.Name(), string(r.Options.Precision)
	e := executor{Request: r, collector: c, sessions: map[[2]int]backends.Session{}}
	for i, im := range s.Data.Images {
		if err := e.image(ctx, im); err != nil {
			return nil, errors.Join(err, e.close())
		}
		if r.Progress != nil {
			r.Progress(i+1, len(s.Data.Images))
		}
	}
	return &Found{Name: fmt.Sprintf("%s %s", c.out.Backend, c.out.Precision), Detections: c.list, Execution: c.out}, e.close()
}

type executor struct {
	Request
	*collector
	sessions map[[2]int]backends.Session // by height and width
}

func (e *executor) close() error {
	var err error
	for _, s := range e.sessions {
		err = errors.Join(err, s.Close())
	}
	return err
}

// image runs the model on one picture.
func (e *executor) image(ctx context.Context, im coco.Image) error {
	p, err := e.set.Picture(im)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrData, err)
	}
	in, err := e.Model.PictureInput(im.FileName, p)
	if err != nil {
		return fmt.Errorf("%w: image %d: %w", ErrData, im.ID, err)
	}
	session, err := e.session(ctx, in)
	if err != nil {
		return err
	}
	outputs, err := backends.Run(ctx, session, in.Tensors())
	if err != nil {
		return fmt.Errorf("image %d: %w", im.ID, err)
	}
	e.out.Milliseconds = append(e.out.Milliseconds, float64(session.LastTiming().Execute)/float64(time.Millisecond))
	return e.take(im, in, outputs)
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
