package main

import (
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
)

func engineSweepCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "folder `DIR` of the results; a sweep that was interrupted goes on there"},
		&cli.StringSliceFlag{Name: "shape-case", Usage: "shape of the input, `image=BxCxHxW`; may be repeated (default: 1x3x512x512 in each batch of --engine-batches)"},
		&cli.StringFlag{Name: "profile", Value: "nano", Usage: "`NAME` of the model's profile"},
		&cli.StringFlag{Name: "precision", Value: "fp16", Usage: "`NAME`: fp32, tf32, fp16, bf16, int8 or fp8"},
		&cli.IntFlag{Name: "replicates", Value: 2, Usage: "fresh processes, `N`"},
		&cli.BoolFlag{Name: "identify", Usage: "keep host name and device ids readable in the files"},
		&cli.IntFlag{Name: "iterations", Value: measure.DefaultIterations, Usage: "samples of a shape in a replicate, `N` at most"},
		&cli.DurationFlag{Name: "time", Value: measure.DefaultBound, Usage: "bound on the samples of a shape in a replicate, a `DURATION`"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of the order of shapes"},
		&cli.DurationFlag{Name: "deadline", Value: 5 * time.Minute, Usage: "bound on measuring one shape, a `DURATION`; engines may take longer to build"},
		&cli.StringFlag{Name: "cells", Hidden: true},
	}
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:  "sweep",
		Usage: "measure an engine in several shapes, and hold it to the reference in each",
		Description: `The complete model in every shape, as apexx sweep measures it: engines are built or found in the
cache, timed in fresh processes, and what they compute is compared with the float64 oracle. Shapes of
one height and width share an engine with --engine-batches. DIR gets what apexx sweep writes, among it
perf_trt_shape_sweep.json and .md: a case for each shape, in the original's form.

Exit codes: those of apexx sweep.`,
		Flags:  append(flags, decodeFlags()...),
		Action: sweepEngine,
	}
}

// sweepEngine is a sweep of the cells that the shapes stand for.
func sweepEngine(c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("unexpected argument %q", c.Args().First())
	}
	precisions, err := parsePrecisions(c.String("precision"))
	if err != nil {
		return err
	}
	if len(precisions) != 1 {
		return usagef("--precision %s: want one", c.String("precision"))
	}
	shapes, err := engineShapes(c)
	if err != nil {
		return err
	}
	var names []string
	for _, s := range shapes {
		cell := perf.Cell{Backend: tensorrt.Name, Profile: c.String("profile"), Precision: precisions[0], Height: s.height, Width: s.width, Batch: s.batch, Scope: perf.Complete}
		names = append(names, cell.String())
	}
	if err := c.Set("cells", strings.Join(names, ",")); err != nil {
		return err
	}
	return runSweep(c)
}

// An engineShape is that of images.
type engineShape struct{ batch, height, width int }

// engineShapes reads --shape-case, or takes the corners of --engine-batches.
func engineShapes(c *cli.Context) ([]engineShape, error) {
	b, err := tensorrt.ParseBatches(c.String("engine-batches"))
	if err != nil {
		return nil, usagef("--engine-batches: %v", err)
	}
	var shapes []engineShape
	for _, text := range c.StringSlice("shape-case") {
		name, extents, named := strings.Cut(text, "=")
		if !named {
			name, extents = "image", text
		}
		if strings.TrimSpace(name) != "image" {
			return nil, usagef("--shape-case %s: the input is called image", text)
		}
		var s engineShape
		if s.batch, s.height, s.width, err = parseShape(strings.TrimSpace(extents)); err != nil {
			return nil, usagef("--shape-case %s: want image=Bx3xHxW, such as image=1x3x512x512", text)
		}
		shapes = append(shapes, s)
	}
	if len(shapes) == 0 {
		for _, n := range []int{b.Min, b.Opt, b.Max} {
			shapes = append(shapes, engineShape{max(n, 1), 512, 512}) // without batches: 1
		}
		shapes = slices.Compact(shapes)
	}
	for _, s := range shapes {
		if b != (tensorrt.Batches{}) && !b.Serve(s.batch) {
			return nil, usagef("--shape-case: a batch of %d is outside --engine-batches %v", s.batch, b)
		}
	}
	return shapes, nil
}
