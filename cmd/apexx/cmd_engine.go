package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/reports"
)

func engineCommand() *cli.Command {
	build := []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "engine `FILE`; one that is there already has to fit, and is kept"},
		&cli.StringFlag{Name: "manifest", Usage: "build from the `FILE` " + manifestFile + " of apexx export, whose digest is checked (default: from the model)"},
		&cli.StringFlag{Name: "shape", Usage: "shape of the input, `BxCxHxW` (default: the configured input size, else 1x3x512x512)"},
		&cli.StringFlag{Name: "precision", Value: "fp32", Usage: "`NAME`: fp32, tf32, fp16, bf16, int8 or fp8"},
		&cli.StringSliceFlag{Name: "tap", Usage: "`NAME` of an intermediate that the engine returns too, or all; may be repeated"},
	}
	build = append(build, engineFlags()...)
	build = append(build, modelFlags()...)
	return &cli.Command{
		Name:  "engine",
		Usage: "build engines of TensorRT, and tell what is in one",
		Subcommands: []*cli.Command{{
			Name:  "build",
			Usage: "build an engine into a file",
			Description: "Sessions of the backend tensorrt build the engines that they need and keep them in the cache; this builds one ahead, such as for\n" +
				"APEXX_TRT_ENGINE, which sessions that it fits take. An engine fits one model, precision, device, driver and version of TensorRT, and one\n" +
				"height and width, as routing depends on them; with --engine-batches it serves every batch of a range.\n" +
				"Interrupting a build leaves no file. What was measured for other engines is taken from the cache.",
			Flags:  append(build, decodeFlags()...),
			Action: buildEngine,
		}, engineSweepCommand(), {
			Name:      "show",
			Usage:     "tell what an engine was built from and what its layers are",
			ArgsUsage: "FILE [FILE]",
			Description: "A layer is what TensorRT executes as a whole, with the nodes of the graph that it computes. Needs no TensorRT.\n" +
				"Of two files it tells in which layers they differ, and in how many bytes. Exit codes: 0 one file, or two of one engine, byte\n" +
				"for byte, 1 they differ, 5 a file is no engine, or was cut or changed.",
			Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "write the record as JSON"}},
			Action: showEngine,
		}},
	}
}

func buildEngine(c *cli.Context) error {
	out := c.String("out")
	if out == "" {
		return usagef("--out FILE is missing")
	}
	if c.NArg() > 0 {
		return usagef("unexpected argument %q", c.Args().First())
	}
	opts, err := engineBuildOptions(c, out)
	if err != nil {
		return err
	}
	backend, err := openBackend(c, tensorrt.Name, execute.Options{})
	if err != nil {
		return err
	}
	if err := available(c.Context, backend, tensorrt.Name); err != nil {
		return err
	}
	g, err := engineGraph(c, opts)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	_, statErr := os.Stat(out)
	start := time.Now()
	err = metered(c, func(tell func(backends.Stage)) error {
		opts.Progress = tell
		return compileOnce(c.Context, backend, g, opts)
	})
	if err != nil {
		return compileError(c.Context, fmt.Errorf("build the engine: %w", err))
	}
	rec, err := tensorrt.ReadRecord(out)
	if err != nil {
		return err
	}
	how := fmt.Sprintf("built in %.1f s", time.Since(start).Seconds())
	if statErr == nil {
		how = "was there, and fits"
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s  %s  %d layers  sha256 %s  %s\n", out, rec.Key.Precision, len(rec.Layers), rec.SHA256, how)
	return err
}

func engineBuildOptions(c *cli.Context, out string) (opts backends.Options, err error) {
	if opts.Precision, err = backends.ParsePrecision(c.String("precision")); err != nil {
		return opts, exit.With(exit.Usage, err)
	}
	if opts.Extra, err = engineOptions(c); err != nil {
		return opts, err
	}
	if opts.Extra[tensorrt.EngineOption], err = filepath.Abs(out); err != nil {
		return opts, err
	}
	opts.Taps = c.StringSlice("tap")
	return opts, nil
}

// metered runs what tells its stages, and shows them on a terminal as long as it runs; tell is nil elsewhere.
func metered(c *cli.Context, run func(tell func(backends.Stage)) error) error {
	w := c.App.ErrWriter
	if !isTerminal(w) {
		return run(nil)
	}
	start := time.Now()
	defer fmt.Fprint(w, "\r\x1b[K")
	return run(func(s backends.Stage) {
		fmt.Fprintf(w, "\r\x1b[K[%d/%d] %s, %v", s.Done, s.Total, s.Name, time.Since(start).Round(time.Second))
	})
}

// engineGraph returns the graph of the manifest's model, or of the model that the flags name.
func engineGraph(c *cli.Context, opts backends.Options) (*graph.Graph, error) {
	if path := c.String("manifest"); path != "" {
		names := []string{"shape", "weights", "config", "set"}
		for _, f := range decodeFlags() {
			names = append(names, f.Names()[0])
		}
		for _, name := range names {
			if c.IsSet(name) {
				return nil, usagef("--%s and --manifest exclude each other: the manifest's model is complete", name)
			}
		}
		return manifestGraph(path, c.String("calibration"), opts.Precision)
	}
	decode, err := decodeOf(c)
	if err != nil {
		return nil, err
	}
	m, err := openModel(c)
	if err != nil {
		return nil, err
	}
	if err := namedCalibration(c, m, opts.Precision); err != nil {
		return nil, err
	}
	shape, err := shapeOf(c, m, decode)
	if err != nil {
		return nil, err
	}
	if b, _ := tensorrt.ParseBatches(opts.Extra[tensorrt.BatchesOption]); b != (tensorrt.Batches{}) && !b.Serve(shape.Batch) {
		return nil, fmt.Errorf("--shape: a batch of %d is outside --engine-batches %v", shape.Batch, b)
	}
	return execute.GraphIn(m, tensorrt.Name, shape, opts.Precision)
}

// compileOnce compiles a graph and closes the session.
func compileOnce(ctx context.Context, b backends.Backend, g *graph.Graph, opts backends.Options) error {
	s, err := b.Compile(ctx, g, opts)
	if err != nil {
		return err
	}
	return s.Close()
}

func showEngine(c *cli.Context) error {
	if n := c.NArg(); n < 1 || n > 2 {
		return usagef("%d files: want one engine, or two to compare", n)
	}
	var records []tensorrt.Record
	var engines [][]byte
	for _, path := range c.Args().Slice() {
		rec, engine, err := tensorrt.ReadEngine(path)
		if err != nil {
			return err
		}
		records, engines = append(records, rec), append(engines, engine)
	}
	if len(records) == 2 {
		differ, err := reports.EngineDifferences(c.App.Writer, records[0], records[1], engines[0], engines[1])
		if err == nil && differ {
			err = exit.Silent(exit.Failed)
		}
		return err
	}
	if c.Bool("json") {
		return reports.IndentedJSON(c.App.Writer, records[0])
	}
	return reports.EngineText(c.App.Writer, records[0])
}
