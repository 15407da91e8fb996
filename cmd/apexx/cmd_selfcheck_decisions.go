package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/flips"
	"github.com/apex-x/apexx/reports"
)

func selfcheckDecisionsCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "backends", Value: "available", Usage: "comma-separated `LIST` of backends, or available"},
		&cli.StringFlag{Name: "precisions", Value: "fp32,tf32,fp16,bf16", Usage: "comma-separated `LIST`; the reference runs in fp64 as well, as the oracle"},
		&cli.IntFlag{Name: "images", Value: 100, Usage: "images `N` taken of the built-in pictures: whole, cropped, brighter or darker, with noise"},
		&cli.IntFlag{Name: "variations", Value: 300, Usage: "router inputs `N` made of the tile statistics of each image: with noise, near ties and ties"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of images and variations"},
		&cli.StringFlag{Name: "json", Usage: "write the result to `FILE`, or - for standard output"},
	}
	return &cli.Command{
		Name:  "decisions",
		Usage: "tell whether every other choice of tiles is explained",
		Description: "The model is cut before its router and behind the choice of tiles. What precisions and backends make of a picture up to there is varied, alike\n" +
			"in all of them, and routed by each. Every pair of executions is compared: an input is the same, tied, explained by what the utilities moved,\n" +
			"or a bug. Where other tiles were chosen the candidate is given the reference's and what it then splits is compared: verified. Two plausible\n" +
			"faults of the selection are planted into every execution, on every input.\n\n" +
			"Exit codes: 0 if nothing is unexplained or unverified and every planted fault is called a bug, else 1; 5 where a backend or a\n" +
			"precision is not to be had.",
		Flags:  append(flags, backendFlags()...),
		Action: selfcheckDecisions,
	}
}

func selfcheckDecisions(c *cli.Context) error {
	if c.Int("images") < 1 || c.Int("variations") < 1 {
		return usagef("--images and --variations must be positive")
	}
	executions, err := routedExecutions(c)
	if err != nil {
		return err
	}
	m, err := openModel(c)
	if err == nil {
		m, err = withBuiltinBudgets(c, m)
	}
	if err != nil {
		return err
	}
	check := execute.FlipCheck{Model: m, Images: c.Int("images"), PerImage: c.Int("variations"), Executions: executions, Seed: c.Uint64("seed"), OnImage: trialProgress(c, "images")}
	for _, p := range append(fixtures.Photos(), fixtures.BuiltinScenes()...) {
		check.Pictures = append(check.Pictures, p.Data)
	}
	r, err := execute.CheckFlips(c.Context, check)
	if err != nil {
		return exit.With(evidence.ExitCode([]evidence.State{evidence.Of(c.Context, err).State}, false), fmt.Errorf("selfcheck of decisions: %w", err))
	}
	return writeFlips(c, r)
}

// routedExecutions opens every backend in every precision, the oracle first.
func routedExecutions(c *cli.Context) ([]flips.Execution, error) {
	threads, err := threadsOf(c)
	if err != nil {
		return nil, err
	}
	if err := c.Set("precisions", c.String("precisions")); err != nil { // the default counts as named
		return nil, err
	}
	columns, err := chosenColumns(c)
	if err != nil {
		return nil, err
	}
	oracle := parity.Column{Backend: "reference", Precision: backends.FP64}
	var executions []flips.Execution
	for _, col := range append([]parity.Column{oracle}, columns...) {
		if len(executions) > 0 && col == oracle {
			continue
		}
		if col.Precision == backends.INT8 || col.Precision == backends.FP8 {
			return nil, usagef("--precisions %s: decisions are compared in fp64, fp32, tf32, fp16 and bf16", col.Precision)
		}
		extra, err := extraOptions(c, col.Backend)
		if err != nil {
			return nil, err
		}
		b, err := openBackend(c, col.Backend, execute.Options{})
		if err == nil {
			err = available(c.Context, b, col.Backend)
		}
		if err != nil {
			return nil, err
		}
		executions = append(executions, flips.Execution{Column: col, Backend: b, Options: backends.Options{Threads: threads, Extra: extra}})
	}
	if len(executions) < 2 {
		return nil, usagef("there is nothing to compare: name another backend or precision than the oracle, %s", oracle)
	}
	return executions, nil
}

// writeFlips writes the JSON, and the table unless that goes to standard output.
func writeFlips(c *cli.Context, r *flips.Result) error {
	write := func(w io.Writer) error { return reports.IndentedJSON(w, r) }
	path := c.String("json")
	if path != "" && path != "-" {
		if err := atomicfile.WriteFile(path, 0o644, write); err != nil {
			return err
		}
	}
	show := r.Text
	if path == "-" {
		show = write
	}
	if err := show(c.App.Writer); err != nil {
		return err
	}
	if !r.Holds() {
		return exit.With(exit.Failed, fmt.Errorf("not every other choice of tiles is explained, or a planted fault was not called a bug"))
	}
	return nil
}
