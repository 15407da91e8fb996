package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/perf/trend"
	"github.com/apex-x/apexx/perf/trend/store"
	"github.com/apex-x/apexx/reports"
)

func trendCommand() *cli.Command {
	return &cli.Command{
		Name:  "trend",
		Usage: "keep the history of measurements and find what changed them",
		Description: "A history is an SQLite file or a PostgreSQL database. Only runs of one class of machines are compared with each other.\n" +
			"Runs are in the order in which they were received, and where add was given the repository, in that of their commits; the dates in\n" +
			"files are shown and decide nothing. What was measured on another branch than main is kept apart.\n" +
			"Change points are found by e-divisive means: at least 5 runs on either side, 199 permutations, significance 0.05.\n" +
			"The ratchet: " + trend.RatchetRule,
		Subcommands: []*cli.Command{trendAddCommand(), trendShowCommand(), trendPlotCommand(), trendExportCommand(),
			trendNoteCommand("remove", "take a run out of every judgement; it stays listed with the reason", (*store.Store).Remove),
			trendNoteCommand("mark", "note what people should know of a run; it stays a part of every judgement", (*store.Store).Mark)},
	}
}

func storeFlag() cli.Flag {
	return &cli.StringFlag{Name: "store", Value: "trend.db", EnvVars: []string{"APEXX_TREND_STORE"},
		Usage: "the history: an SQLite `FILE`, or postgres://USER@HOST/DATABASE"}
}

func trendAddCommand() *cli.Command {
	return &cli.Command{
		Name:  "add",
		Usage: "add results to the history, which the first one creates",
		Description: "A file is the JSON of a sweep, the record of a gate (the head's medians count), or the original's trend artifact.\n" +
			"All files are read before the first is added. A file that is there already is not added again. A file whose numbers are not\n" +
			"those of its samples is refused; a cell whose parity does not hold is left out, with a warning.",
		Flags: []cli.Flag{
			storeFlag(),
			&cli.StringSliceFlag{Name: "from", Usage: "result `FILE`; takes several, and may be repeated"},
			&cli.StringFlag{Name: "release", Usage: "the runs are release `TAG`: what comes after is held to them"},
			&cli.StringFlag{Name: "branch", Usage: "`NAME` of the branch that was measured, of which main decides", DefaultText: "from GITHUB_REF, pull/N for a pull request"},
			&cli.StringFlag{Name: "repository", Usage: "order by the commits of the git repository `DIR`, which must be complete"},
			&cli.StringFlag{Name: "commit", Usage: "`HASH` of the commit that was measured, where the file does not say"},
			&cli.StringFlag{Name: "class", Usage: "`ID` of the machine class, for artifacts, which name none; begins with cpu- or gpu-"},
		},
		Action: trendAdd,
	}
}

func trendAdd(c *cli.Context) error {
	if len(c.StringSlice("from")) == 0 {
		return usagef("trend add: want --from FILE")
	}
	runs, err := readRuns(c)
	if err != nil {
		return exit.With(exit.Usage, fmt.Errorf("trend add: %w", err))
	}
	history, err := openHistory(c, store.Open)
	if err != nil {
		return err
	}
	defer history.Close()
	for i, run := range runs {
		what, err := history.Add(c.Context, run)
		if err != nil {
			return fmt.Errorf("trend add %s: %w", c.StringSlice("from")[i], err)
		}
		of := fmt.Sprintf("%s (%s of %s on %s, metrics: %d)", run.ID(), run.Source, run.Name(), run.Class, len(run.Points))
		if run.Release != "" {
			of += ", release " + run.Release
		}
		if what == store.Known {
			of += ": nothing to do"
		}
		if run.Removed != "" {
			of += ", it was removed: " + run.Removed
		}
		fmt.Fprintf(c.App.Writer, "%s %s\n", what, printable.Line(of))
		for _, w := range run.Warnings() {
			fmt.Fprintf(c.App.ErrWriter, "apexx: warning: run %s: %s\n", run.ID(), printable.Line(w))
		}
	}
	return nil
}

// readRuns reads the files of --from with what the other flags say of them.
func readRuns(c *cli.Context) ([]*trend.Run, error) {
	branch, err := branchOf(c.String("branch"), os.Getenv("GITHUB_REF"))
	if err != nil {
		return nil, err
	}
	origin := trend.Origin{Commit: c.String("commit"), Branch: branch, Release: c.String("release"), Class: c.String("class")}
	var runs []*trend.Run
	for _, path := range c.StringSlice("from") {
		run, err := trend.ReadFile(path, origin)
		if err != nil {
			return nil, err
		}
		if dir := c.String("repository"); dir != "" {
			if run.Place, err = trend.PlaceOf(c.Context, dir, run.Commit); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// branchOf returns the branch that was measured: the one that was named, else that of the workflow's reference. A pull request is no branch
// of the repository, whatever its own branch is called.
func branchOf(named, reference string) (string, error) {
	if named != "" {
		return named, nil
	}
	if branch, ok := strings.CutPrefix(reference, "refs/heads/"); ok {
		return branch, nil
	}
	if pull, ok := strings.CutPrefix(reference, "refs/pull/"); ok {
		number, _, _ := strings.Cut(pull, "/")
		return "pull/" + number, nil
	}
	return "", errors.New("--branch is missing: the NAME of the branch that was measured, of which main decides")
}

// trendNoteCommand writes a reason to one run.
func trendNoteCommand(name, usage string, note func(*store.Store, context.Context, string, string) (trend.RunRef, error)) *cli.Command {
	return &cli.Command{
		Name:        name,
		Usage:       usage,
		ArgsUsage:   "RUN",
		Description: "RUN is the hash of the run, or its beginning, as show --json tells it. Show, plot and export tell the reason.",
		Flags:       []cli.Flag{storeFlag(), &cli.StringFlag{Name: "reason", Usage: "why, in a line of `TEXT`"}},
		Action: func(c *cli.Context) error {
			reason := strings.TrimSpace(c.String("reason"))
			if c.NArg() != 1 || reason == "" {
				return usagef("want a run and why: apexx trend %s --reason TEXT RUN", name)
			}
			history, err := openHistory(c, store.Open)
			if err != nil {
				return err
			}
			defer history.Close()
			run, err := note(history, c.Context, c.Args().First(), printable.Line(reason))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.App.Writer, "%s %s (%s of %s): %s\n", map[string]string{"remove": "removed", "mark": "marked"}[name], run.ID(), run.Source, run.Name(),
				printable.Line(reason))
			return err
		},
	}
}

// chooseFlags choose runs of a history.
func chooseFlags() []cli.Flag {
	return []cli.Flag{
		storeFlag(),
		&cli.StringFlag{Name: "class", Usage: "only runs of the machine class `ID`"},
		&cli.StringFlag{Name: "branch", Value: "main", Usage: "runs of the branch `NAME`"},
	}
}

func trendShowCommand() *cli.Command {
	return &cli.Command{
		Name:  "show",
		Usage: "print metrics, change points and their commits, and the last release",
		Description: "With --ratchet the exit code is 1 when a time fails, else 4 when a class has no release before its newest run or nothing fits,\n" +
			"else 3 when a time is slower by more than δ and nothing is known of its noise, else 0. The rule:\n" + trend.RatchetRule,
		Flags: append(chooseFlags(),
			&cli.StringFlag{Name: "metric", Usage: "only metrics that contain `TEXT`; the ratchet holds all"},
			&cli.BoolFlag{Name: "ratchet", Usage: "fail when the newest time of a metric is slower than the last release's"},
			jsonSwitch()),
		Action: trendShow,
	}
}

func trendShow(c *cli.Context) error {
	runs, err := chosenRuns(c)
	if err != nil {
		return err
	}
	report, err := trend.Analyze(runs, chosenMetrics(c))
	if err != nil {
		return err
	}
	code := exit.OK
	if c.Bool("ratchet") {
		code = report.RatchetExitCode()
	}
	if c.Bool("json") {
		err = reports.IndentedJSON(c.App.Writer, report)
	} else {
		err = reports.TrendTable(c.App.Writer, report, tableOptions(c.App.Writer))
	}
	if err != nil {
		return err
	}
	if code != exit.OK {
		return exit.Silent(code)
	}
	return nil
}

func trendExportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write one run as the original's normalised trend artifact",
		Description: "A run that came from an artifact gives that artifact. Any other is compared with the last release before it, as by the ratchet;\n" +
			"without one the exit code is 4.",
		Flags: append(chooseFlags(),
			&cli.StringFlag{Name: "run", Usage: "`HASH` of the run, or its beginning", DefaultText: "the newest"},
			&cli.StringFlag{Name: "out", Usage: "write to `FILE`"}),
		Action: trendExport,
	}
}

func trendExport(c *cli.Context) error {
	if c.String("out") == "" {
		return usagef("trend export: want --out FILE")
	}
	runs, err := chosenRuns(c)
	if err != nil {
		return err
	}
	artifact, run, err := trend.Export(runs, c.String("run"))
	switch {
	case errors.Is(err, trend.ErrNoRelease):
		return exit.With(exit.NoBaseline, err)
	case err != nil:
		return exit.With(exit.Usage, err)
	}
	if run.Marked != "" { // the artifact has no place for it
		fmt.Fprintf(c.App.ErrWriter, "apexx: run %s is marked: %s\n", run.ID(), printable.Line(run.Marked))
	}
	return atomicfile.WriteFile(c.String("out"), 0o644, artifact.Write)
}

// chosenRuns reads what chooseFlags say.
func chosenRuns(c *cli.Context) ([]trend.Run, error) {
	if c.String("branch") == "" {
		return nil, usagef("--branch is empty: name the branch whose runs are compared; those of different branches are not compared with each other")
	}
	history, err := openHistory(c, store.OpenReader)
	if err != nil {
		return nil, err
	}
	defer history.Close()
	return history.Runs(c.Context, store.Filter{Class: c.String("class"), Branch: c.String("branch")})
}

// chosenMetrics is what --metric says.
func chosenMetrics(c *cli.Context) func(string) bool {
	return func(metric string) bool { return strings.Contains(metric, c.String("metric")) }
}

func openHistory(c *cli.Context, open func(context.Context, string) (*store.Store, error)) (*store.Store, error) {
	history, err := open(c.Context, c.String("store"))
	if errors.Is(err, store.ErrUnreachable) {
		return nil, exit.With(exit.Unavailable, err)
	}
	return history, err
}
