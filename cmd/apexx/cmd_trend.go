package main

import (
	"context"
	"errors"
	"fmt"
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
			"Change points are found by e-divisive means: at least 5 runs on either side, 199 permutations, significance 0.05.\n" +
			"The ratchet: " + trend.RatchetRule,
		Subcommands: []*cli.Command{trendAddCommand(), trendShowCommand(), trendPlotCommand(), trendExportCommand()},
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
			"All files are read before the first is added. A file that is there already is not added again.",
		Flags: []cli.Flag{
			storeFlag(),
			&cli.StringSliceFlag{Name: "from", Usage: "result `FILE`; takes several, and may be repeated"},
			&cli.StringFlag{Name: "release", Usage: "the runs are release `TAG`: what comes after is held to them"},
			&cli.StringFlag{Name: "branch", Usage: "`NAME` of the branch that was measured"},
			&cli.StringFlag{Name: "commit", Usage: "`HASH` of the commit that was measured, where the file does not say"},
			&cli.StringFlag{Name: "class", Usage: "`ID` of the machine class, for artifacts, which name none; begins with cpu- or gpu-"},
		},
		Action: trendAdd,
	}
}

func trendAdd(c *cli.Context) error {
	facts := trend.Facts{Commit: c.String("commit"), Branch: c.String("branch"), Release: c.String("release"), Class: c.String("class")}
	if len(c.StringSlice("from")) == 0 {
		return usagef("trend add: want --from FILE")
	}
	var runs []*trend.Run
	for _, path := range c.StringSlice("from") {
		run, err := trend.ReadFile(path, facts)
		if err != nil {
			return exit.With(exit.Usage, fmt.Errorf("trend add: %w", err))
		}
		runs = append(runs, run)
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
		fmt.Fprintf(c.App.Writer, "%s %s\n", what, printable.Line(of))
	}
	return nil
}

// chooseFlags choose runs of a history.
func chooseFlags() []cli.Flag {
	return []cli.Flag{
		storeFlag(),
		&cli.StringFlag{Name: "class", Usage: "only runs of the machine class `ID`"},
		&cli.StringFlag{Name: "branch", Usage: "only runs of the branch `NAME`"},
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
			&cli.BoolFlag{Name: "ratchet", Usage: "fail when the newest run of a class is slower than the last release"},
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
	artifact, err := trend.Export(runs, c.String("run"))
	switch {
	case errors.Is(err, trend.ErrNoRelease):
		return exit.With(exit.NoBaseline, err)
	case err != nil:
		return exit.With(exit.Usage, err)
	}
	return atomicfile.WriteFile(c.String("out"), 0o644, artifact.Write)
}

// chosenRuns reads what chooseFlags say.
func chosenRuns(c *cli.Context) ([]trend.Run, error) {
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
