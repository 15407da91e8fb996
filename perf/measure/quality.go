package measure

import (
	"cmp"
	"context"
	"errors"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
)

// DataSet is what cells are evaluated on.
type DataSet interface {
	Facts() accuracy.DataSet
	// Begin begins the evaluation of a cell. Its error says that the cell's model is not of the data set.
	Begin(c perf.Cell) (Evaluation, error)
}

// Evaluation turns what a cell gives of the pictures of a data set into what it found.
type Evaluation interface {
	// Inputs are those of as many pictures as the cell's batch has, from one on; after the last come the first ones again. Its error says that
	// a picture cannot be used.
	Inputs(first int) (tensor.List, error)
	// Take reads the outputs for these inputs. Its error says that no model gives them.
	Take(first int, out tensor.List) error
	Found() (*accuracy.Found, error)
}

// RunQuality runs every cell of one backend on all pictures of the options' data set, in a session compiled as the timed one is, and hands to emit what it
// found. The session first gets the inputs that the cell is timed with, and what it gives of them is compared with the oracle's. What goes
// wrong with a cell is the state of its run. RunQuality fails when ctx ends, with a data set that cannot be used, and when a workload cannot be
// made, and when a process does not go away (Beside).
func RunQuality(ctx context.Context, side Side, backend string, cells []perf.Cell, o Options, emit func(accuracy.Run) error) (err error) {
	p := process{side: side, backend: backend, options: o}
	defer func() { err = cmp.Or(err, p.end()) }()
	for _, c := range cells {
		if p.beside != nil {
			return p.beside
		}
		r, err := p.quality(ctx, c, o.DataSet)
		if err == nil {
			err = emit(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errDataSet marks an error of the data set, which is none of the cell.
type errDataSet struct{ error }

func (e errDataSet) Unwrap() error { return e.error }

// quality runs one cell.
func (p *process) quality(ctx context.Context, c perf.Cell, set DataSet) (accuracy.Run, error) {
	r := accuracy.Run{Cell: c, Arm: p.side.Arm, State: evidence.Measured}
	work, err := p.side.Workloads.Of(ctx, c)
	if err != nil {
		return r, err
	}
	evaluation, err := set.Begin(c)
	if err != nil {
		return r, err
	}
	first, err := p.pictures(ctx, c, work, set.Facts().Images, evaluation)
	if data := (errDataSet{}); errors.As(err, &data) {
		return r, data.error
	}
	if err == nil {
		r.Found, err = evaluation.Found()
	}
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	if err != nil {
		p.failed(err)
		o := evidence.Of(ctx, err)
		r.State, r.Reason, r.Detail, r.Found = o.State, cmp.Or(o.Reason, o.Signal), o.Detail, nil
		return r, nil
	}
	r.FirstSHA256 = first.digest
	r.Parity, err = p.side.Workloads.parityOf(ctx, c, work, first)
	return r, err
}

// pictures runs a session on what the cell is timed with, and then on every picture.
func (p *process) pictures(ctx context.Context, c perf.Cell, work Workload, images int, evaluation Evaluation) (first snapshot, err error) {
	session, err := p.compile(ctx, c, work.Graph, sessionKind{})
	if err != nil {
		return first, err
	}
	defer p.close(session)
	out, err := backends.Run(ctx, session, work.Feeds[timed])
	if err != nil {
		return first, err
	}
	first = p.side.Workloads.snapshot(c, timed, out)
	for at := 0; at < images; at += c.Batch {
		inputs, err := evaluation.Inputs(at)
		if err != nil {
			return first, errDataSet{err}
		}
		if out, err = backends.Run(ctx, session, inputs); err != nil {
			return first, err
		}
		if err := evaluation.Take(at, out); err != nil {
			return first, err
		}
	}
	return first, nil
}
