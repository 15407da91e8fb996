package video

import (
	"context"
	"errors"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/mot"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/internal/track"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/reports"
)

// Spec says what to run.
type Spec struct {
	Backend    backends.Backend
	Model      *source.Model
	Frames     *source.Frames
	Decode     model.Decode
	Session    backends.Options
	Track      track.Options
	Hysteresis bool      // choose level-0 tiles by hysteresis, with the thresholds of the configuration
	Truth      []mot.Row // sorted, to evaluate the tracks against; nil where it is unknown
}

// Played is what a sequence gave.
type Played struct {
	Report *reports.Sequence
	Tracks []mot.Row // every detection that is on a track, by frame and id
}

// Frame is what one frame gave.
type Frame struct {
	Report  *reports.Frame
	Input   source.Input
	Subject reports.Subject
	Outputs tensor.List // views, valid until the next frame
}

// Play runs the frames in their order and calls each after every one. Whatever ends it early, what it returns tells of the
// frames until then; it is nil if there was none. Errors carry their exit code and tell the frame.
func Play(ctx context.Context, spec Spec, each func(*Frame) error) (*Played, error) {
	p := &player{Spec: spec}
	err := p.play(ctx, each)
	if err = errors.Join(err, p.close()); p.done == 0 {
		return nil, err
	}
	report, err2 := p.summary(err)
	return &Played{report, p.rows}, errors.Join(err, err2)
}

// player is the state of a sequence that runs.
type player struct {
	Spec
	session  *execute.Sequence
	selector *selector // nil without hysteresis
	tracker  *track.Tracker
	done     int   // frames
	shape    []int // of the input
	history
}

func (p *player) play(ctx context.Context, each func(*Frame) error) (err error) {
	if p.tracker, err = track.New(p.Track); err != nil {
		return exit.With(exit.Usage, err)
	}
	if n := len(p.Truth); n > 0 && p.Truth[n-1].Frame > len(p.Frames.Paths) {
		return exit.With(exit.Usage, fmt.Errorf("the ground truth goes on to frame %d, and the sequence has %d", p.Truth[n-1].Frame, len(p.Frames.Paths)))
	}
	for i, path := range p.Frames.Paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		in, err := p.Model.LoadPicture(path)
		if err != nil {
			return exit.With(exit.Usage, fmt.Errorf("frame %d: %w", i+1, err))
		}
		if p.session == nil {
			if err := p.open(ctx, in); err != nil {
				return err
			}
		}
		f, err := p.frame(ctx, i+1, in)
		if err == nil {
			err = each(f)
		}
		if err != nil {
			return fmt.Errorf("frame %d, %s: %w", i+1, in.Name, err)
		}
		p.done++
	}
	return nil
}

func (p *player) close() error {
	var errs []error
	if p.session != nil {
		errs = append(errs, p.session.Close())
	}
	if p.selector != nil {
		errs = append(errs, p.selector.router.Close())
	}
	return errors.Join(errs...)
}

// frame runs one frame.
func (p *player) frame(ctx context.Context, number int, in source.Input) (f *Frame, err error) {
	inputs := in.Tensors()
	if p.selector != nil {
		if inputs, err = p.selector.choose(ctx, inputs); err != nil {
			return nil, err
		}
	}
	out, timing, err := p.session.Run(ctx, inputs)
	if err != nil {
		return nil, err
	}
	f = &Frame{Input: in, Subject: reports.SubjectOf(p.Model, in), Outputs: out,
		Report: &reports.Frame{SchemaVersion: reports.SequenceSchemaVersion, Frame: number, Name: in.Name, BackendExecute: timing.Total().Seconds() * 1e3}}
	if err = p.describe(f); err == nil {
		err = p.record(f.Report)
	}
	if err != nil { // outputs that no sound backend gives
		return nil, exit.With(exit.Internal, err)
	}
	return f, nil
}

// open compiles the session, and the selector's, for the frames' shape.
func (p *player) open(ctx context.Context, in source.Input) error {
	g, err := p.Model.GraphIn(in.Options(p.Decode), p.Session.Precision)
	if err != nil {
		return exit.With(exit.Usage, fmt.Errorf("%w: %w", execute.ErrInput, err))
	}
	p.shape = in.Image.Shape()
	o := p.Session
	if p.Hysteresis {
		r := p.Model.Config.Routing
		if p.selector, err = newSelector(ctx, p.Backend, g, o, routing.Thresholds{On: r.ThetaOn, Off: r.ThetaOff}); err != nil {
			return err
		}
		o.Replay = []string{selectionDecision}
	}
	session, err := execute.OpenSequence(ctx, p.Backend, g, o)
	if err != nil {
		return err
	}
	p.session = session
	return nil
}

// describe fills in what was found and lets the tracker follow it.
func (p *player) describe(f *Frame) error {
	images, err := reports.Describe(f.Subject, f.Outputs)
	if err != nil {
		return err
	}
	f.Report.Image = images[0]
	found := f.Report.Image.Detections
	embeddings := f.Outputs.Get("embeddings")
	width := embeddings.Shape()[2]
	detections := make([]track.Detection, len(found))
	for i, d := range found {
		detections[i] = track.Detection{Box: boxOf(d.Box), Score: float64(d.Score), Class: d.ClassID, Embedding: tensor.Float32s(embeddings, i*width, width)}
	}
	step, err := p.tracker.Update(f.Report.Frame, detections)
	if err != nil {
		return fmt.Errorf("follow what was found: %w", err)
	}
	for i := range found {
		found[i].TrackID = step.IDs[i]
	}
	f.Report.Tracks = reports.FrameTracks{Confirmed: list(step.Confirmed), Ended: list(step.Ended), Tentative: step.Tentative, Lost: []reports.LostTrack{}}
	for _, l := range step.Lost {
		lost := reports.LostTrack{ID: l.ID, ClassID: l.Class, Class: className(p.Model, l.Class), Age: l.Age}
		for i, v := range l.Box {
			lost.Box[i] = parity.Number(v)
		}
		f.Report.Tracks.Lost = append(f.Report.Tracks.Lost, lost)
	}
	return nil
}

func boxOf(b [4]parity.Number) (box track.Box) {
	for i, v := range b {
		box[i] = float64(v)
	}
	return box
}

// list makes an empty list of none.
func list(ids []int64) []int64 { return append([]int64{}, ids...) }

func className(m *source.Model, id int64) string {
	if id < 0 || id >= int64(len(m.Classes)) {
		return ""
	}
	return m.Classes[id]
}
