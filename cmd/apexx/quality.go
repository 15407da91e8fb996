package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/quality"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
)

// qualityFlags choose a data set, in every command that weighs quality beside something else.
func qualityFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "quality", Usage: "also evaluate on a `DATASET` what complete cells, or columns of low precision, find: scenes, those of the fixtures folder, or a file of COCO instances"},
		&cli.StringFlag{Name: "quality-images", Usage: "`FOLDER` of the pictures of --quality (default: images beside the data set, or its own folder)"},
	}
}

// openQuality reads the data set of --quality, and says what it left out; nil without the flag.
func openQuality(c *cli.Context) (*quality.Set, error) {
	path := c.String("quality")
	if !c.IsSet("quality") {
		if c.IsSet("quality-images") {
			return nil, usagef("--quality-images needs --quality")
		}
		return nil, nil
	}
	set, err := quality.Open(path, c.String("quality-images"), coco.Options{})
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	tellProblems(c, set.Name, set.Problems)
	return set, nil
}

// withQuality gives the workloads the data set of --quality, and returns the plan of its evaluation, nil without the flag. Every picture is
// opened, and every model's classes are looked for in it, before anything is measured.
func (w *workloadsOf) withQuality(c *cli.Context) (*accuracy.Plan, error) {
	set, err := openQuality(c)
	if set == nil {
		return nil, err
	}
	if c.IsSet("model") {
		return nil, usagef("--quality is of Apex-X and does not go with --model")
	}
	evaluated := accuracy.Of(w.cells)
	if len(evaluated) == 0 {
		return nil, usagef("--quality evaluates cells of the scope %s, and there is none", perf.Complete)
	}
	cells := &quality.Cells{Set: set, Models: w.models, Progress: qualityProgress(c)}
	if cells.Pictures, err = set.PicturesDigest(); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	for _, cell := range evaluated {
		if _, err := cells.Begin(cell); err != nil {
			return nil, exit.With(exit.Usage, err)
		}
	}
	w.options.DataSet = cells
	return &accuracy.Plan{DataSet: cells.Facts(), Policy: accuracy.DefaultPolicy()}, nil
}

// ofData gives an error of the data set, which shows only where a picture is decoded, its exit code.
func ofData(err error) error {
	if errors.Is(err, quality.ErrData) {
		return exit.With(exit.Usage, err)
	}
	return err
}

// qualityProgress counts the pictures of a cell on a terminal.
func qualityProgress(c *cli.Context) func(cell perf.Cell, done, of int) {
	if !isTerminal(c.App.ErrWriter) {
		return nil
	}
	return func(cell perf.Cell, done, of int) {
		fmt.Fprintf(c.App.ErrWriter, "\r\x1b[K%s: %d of %d images", cell, done, of)
	}
}

// budgetsOf reads --max-map-drop; nil without it.
func budgetsOf(c *cli.Context) (accuracy.Budgets, error) {
	if !c.IsSet("max-map-drop") {
		return nil, nil
	}
	b, err := accuracy.ParseBudgets(c.String("max-map-drop"))
	if err != nil {
		return nil, usagef("--max-map-drop: %w", err)
	}
	return b, nil
}

// maxMapDropFlag sets budgets of quality.
func maxMapDropFlag() cli.Flag {
	return &cli.StringFlag{Name: "max-map-drop", Usage: "`POINTS` of AP, of boxes and of masks, that cells may lose: a number, or a LIST such as fp16=0.5,int8=1; the interval's end decides",
		DefaultText: accuracy.DefaultBudgets().String()}
}
