package main

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/quality"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/reports"
)

// matrixQuality evaluates the columns of low precision of a matrix, and fp32 of their backends.
type matrixQuality struct {
	c       *cli.Context
	set     *quality.Set
	model   *source.Model
	decode  model.Decode
	open    func(backend string) (backends.Backend, error)
	options func(backend string, p backends.Precision) backends.Options
}

// columns evaluates. It fails with a data set that cannot be used and when it is interrupted.
func (q *matrixQuality) columns(columns []parity.Column) (*reports.MatrixQuality, error) {
	cells := quality.Cells{Set: q.set}
	var err error
	if cells.Pictures, err = q.set.PicturesDigest(); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	var runs []reports.MatrixEvaluation
	for _, col := range reports.EvaluatedColumns(columns) {
		run, err := q.execute(col)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return reports.NewMatrixQuality(accuracy.Plan{DataSet: cells.Facts(), Policy: accuracy.DefaultPolicy()}, runs)
}

// execute runs a column on every picture in a worker process.
func (q *matrixQuality) execute(col parity.Column) (reports.MatrixEvaluation, error) {
	run := reports.MatrixEvaluation{Column: col}
	b, err := q.open(col.Backend)
	if err != nil {
		return run, err
	}
	found, err := quality.Execute(q.c.Context, q.set, quality.Request{Backend: b, Model: q.model, Decode: q.decode, Options: q.options(col.Backend, col.Precision),
		Progress: countImages(q.c, col.String())})
	switch {
	case errors.Is(err, quality.ErrData):
		return run, exit.With(exit.Usage, err)
	case q.c.Context.Err() != nil:
		return run, q.c.Context.Err()
	case err != nil:
		run.Outcome = evidence.Of(q.c.Context, err)
		return run, nil
	}
	run.State = evidence.Measured
	run.Found, err = q.set.Evidence(found)
	return run, err
}
