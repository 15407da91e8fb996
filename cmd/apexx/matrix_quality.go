package main

import (
	"errors"
	"fmt"

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

// matrixQuality evaluates the columns of low precision of a matrix, each against fp32 of its backend, which is executed once.
type matrixQuality struct {
	c       *cli.Context
	set     *quality.Set
	model   *source.Model
	decode  model.Decode
	open    func(backend string) (backends.Backend, error)
	options func(backend string, p backends.Precision) backends.Options
	fp32    map[string]ended // by backend
}

// ended is what an execution found, or how it ended without.
type ended struct {
	found *accuracy.Found
	evidence.Outcome
}

// columns evaluates. It fails with a data set that cannot be used and when it is interrupted.
func (q *matrixQuality) columns(columns []parity.Column) (*reports.MatrixQuality, error) {
	cells := quality.Cells{Set: q.set}
	var err error
	if cells.Pictures, err = q.set.PicturesDigest(); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	out := &reports.MatrixQuality{Plan: accuracy.Plan{DataSet: cells.Facts(), Policy: accuracy.DefaultPolicy()}}
	q.fp32 = map[string]ended{}
	for _, col := range columns {
		if col.Precision == backends.FP64 || col.Precision == backends.FP32 {
			continue
		}
		base, known := q.fp32[col.Backend]
		if !known {
			if base, err = q.execute(parity.Column{Backend: col.Backend, Precision: backends.FP32}); err != nil {
				return nil, err
			}
			q.fp32[col.Backend] = base
		}
		candidate, err := q.execute(col)
		if err != nil {
			return nil, err
		}
		row, err := rowOf(col, base, candidate, out.Plan.Policy)
		if err != nil {
			return nil, err
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

// rowOf compares what a column found with what fp32 did.
func rowOf(col parity.Column, base, candidate ended, p accuracy.Policy) (row reports.MatrixColumn, err error) {
	row = reports.MatrixColumn{Column: col, State: candidate.State, Detail: candidate.Reason + " " + candidate.Detail}
	switch {
	case candidate.found == nil:
		return row, nil
	case base.found == nil:
		row.State, row.Detail = base.State, fmt.Sprintf("fp32 of %s: %s %s", col.Backend, base.Reason, base.Detail)
		return row, nil
	}
	row.Detail = ""
	row.Result, err = accuracy.Compare(col.Backend+" fp32", base.found, candidate.found, p.Bootstrap())
	return row, err
}

// execute runs a column on every picture in a worker process.
func (q *matrixQuality) execute(col parity.Column) (ended, error) {
	b, err := q.open(col.Backend)
	if err != nil {
		return ended{}, err
	}
	found, err := quality.Execute(q.c.Context, q.set, quality.Request{Backend: b, Model: q.model, Decode: q.decode, Options: q.options(col.Backend, col.Precision),
		Progress: countImages(q.c, col.String())})
	switch {
	case errors.Is(err, quality.ErrData):
		return ended{}, exit.With(exit.Usage, err)
	case q.c.Context.Err() != nil:
		return ended{}, q.c.Context.Err()
	case err != nil:
		return ended{Outcome: evidence.Of(q.c.Context, err)}, nil
	}
	of, err := q.set.Evidence(found)
	return ended{of, evidence.Outcome{State: evidence.Measured}}, err
}
