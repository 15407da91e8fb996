package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/faults"
	"github.com/apex-x/apexx/reports"
)

func selfcheckCommand() *cli.Command {
	return &cli.Command{
		Name:        "selfcheck",
		Usage:       "find out what the verdicts of apexx miss",
		Subcommands: []*cli.Command{selfcheckParityCommand(), selfcheckDecisionsCommand()},
	}
}

func selfcheckParityCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "backends", Value: "reference", Usage: "comma-separated `LIST` of backends to plant faults into, or available"},
		&cli.StringFlag{Name: "precision", Value: "fp32", Usage: "`NAME`: fp32, tf32, fp16 or bf16"},
		&cli.StringFlag{Name: "profile", Value: "quality", Usage: "tolerance profile `NAME`: quality, balanced or edge"},
		&cli.IntFlag{Name: "places", Value: 3, Usage: "plant every fault at `N` places, in each of its sizes"},
		&cli.IntFlag{Name: "clean", Value: 10, Usage: "inputs `N` on which a backend runs without a fault; every step is a cell that may fail falsely"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of inputs and places"},
		&cli.StringFlag{Name: "json", Usage: "write the results to `FILE`, or - for standard output"},
	}
	return &cli.Command{
		Name:  "parity",
		Usage: "plant faults and tell what share is caught and located",
		Description: "A fault is written into the graph of a small complete model, at several nodes and in several sizes, and the backend runs it step by\n" +
			"step beside exact arithmetic, as apexx locate does. Silent faults change nothing on these inputs. Hidden ones are below the budget of\n" +
			"rounding, and undetectable; they are listed with what they do of it. Of the others, the table tells what share is caught, and what\n" +
			"share is located to the exact step.\n\n" +
			"Exit codes: 0 if 99 % are caught, 95 % are located and at most one clean step in 10,000 fails, else 1.",
		Flags:  append(flags, backendFlags()...),
		Action: selfcheckParity,
	}
}

func selfcheckParity(c *cli.Context) error {
	profile, err := parity.ParseProfile(c.String("profile"))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	precision, err := steppedPrecision(c)
	if err != nil {
		return err
	}
	threads, err := threadsOf(c)
	if err != nil {
		return err
	}
	if c.Int("places") < 1 || c.Int("clean") < 1 {
		return usagef("--places and --clean must be positive")
	}
	names, err := plantedBackends(c)
	if err != nil {
		return err
	}
	var all []*faults.Selfcheck
	for _, name := range names {
		extra, err := extraOptions(c, name)
		if err != nil {
			return err
		}
		b, err := openBackend(c, name, execute.Options{Reuse: true})
		if err == nil {
			err = available(c.Context, b, name)
		}
		if err != nil {
			return err
		}
		s, err := execute.CheckParity(c.Context, execute.ParityCheck{Backend: b, Profile: profile.Name(), Places: c.Int("places"), Clean: c.Int("clean"), Seed: c.Uint64("seed"),
			Options: backends.Options{Precision: precision, Threads: threads, Extra: extra}, OnTrial: trialProgress(c, name)})
		if err != nil {
			return exit.With(evidence.ExitCode([]evidence.State{evidence.Of(c.Context, err).State}, false), fmt.Errorf("selfcheck of %s: %w", name, err))
		}
		all = append(all, s)
	}
	return writeSelfchecks(c, all)
}

// plantedBackends lists the backends of --backends. One that builds engines would build hundreds.
func plantedBackends(c *cli.Context) ([]string, error) {
	names, err := chosenBackends(c, c.String("backends"))
	if c.String("backends") == "available" {
		return slices.DeleteFunc(names, backends.BuildsEngines), err
	}
	if at := slices.IndexFunc(names, backends.BuildsEngines); at >= 0 {
		return nil, usagef("--backends %s: each of hundreds of faults is a graph of its own, for which it would build an engine; apexx locate holds its steps to their budgets", names[at])
	}
	return names, err
}

// trialProgress tells a terminal how far the trials are.
func trialProgress(c *cli.Context, name string) func(done, of int) {
	if !isTerminal(c.App.ErrWriter) {
		return nil
	}
	return func(done, of int) {
		fmt.Fprintf(c.App.ErrWriter, "\r\x1b[K[%d/%d] %s", done, of, name)
		if done == of {
			fmt.Fprint(c.App.ErrWriter, "\r\x1b[K")
		}
	}
}

// writeSelfchecks writes the JSON, and the tables unless that goes to standard output.
func writeSelfchecks(c *cli.Context, all []*faults.Selfcheck) error {
	write := func(w io.Writer) error { return reports.IndentedJSON(w, all) }
	path := c.String("json")
	if path != "" && path != "-" {
		if err := atomicfile.WriteFile(path, 0o644, write); err != nil {
			return err
		}
	}
	if path == "-" {
		if err := write(c.App.Writer); err != nil {
			return err
		}
	}
	holds := true
	for _, s := range all {
		holds = holds && s.Holds()
		if path == "-" {
			continue
		}
		if err := s.Text(c.App.Writer); err != nil {
			return err
		}
	}
	if !holds {
		return exit.With(exit.Failed, fmt.Errorf("the comparer does not keep its promises: see what was missed, and the clean steps that failed"))
	}
	return nil
}
