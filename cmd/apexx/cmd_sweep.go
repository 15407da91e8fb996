package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/sweep"
)

func sweepCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "folder `DIR` of the results; a sweep that was interrupted goes on there"},
		&cli.IntFlag{Name: "replicates", Value: 5, Usage: "fresh processes per backend, `N`"},
		&cli.BoolFlag{Name: "identify", Usage: "keep host name and device ids readable in the files"},
	}
	flags = append(flags, cellFlags("256x256,512x512", "network,complete")...)
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:  "sweep",
		Usage: "measure how fast backends are, over shapes, batches, precisions and scopes",
		Description: "Every replicate is a fresh worker process that warms each cell up and takes samples until --iterations or --time. DIR\n" +
			"gets sweep.json (with every sample), sweep.jsonl, sweep.csv, sweep.md, bench.txt (the Go benchmark format: benchstat -col\n" +
			"/backend), index.html and plots. The same command goes on after an interruption. Exit codes: 1 where a cell computes\n" +
			"something wrong or overspends a budget, 5 where nothing could be measured, 6 after a crash or hang.",
		Flags:  append(flags, decodeFlags()...),
		Action: runSweep,
	}
}

func runSweep(c *cli.Context) (err error) {
	dir := c.String("out")
	if dir == "" {
		return usagef("--out DIR is missing")
	}
	if c.Int("replicates") < 1 {
		return usagef("--replicates must be at least 1")
	}
	w, err := chosenWorkloads(c)
	if err != nil {
		return err
	}
	header, err := sweepHeader(c, w)
	if err != nil {
		return err
	}
	store, err := sweep.Open(dir, header)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if store.Resumed {
		fmt.Fprintf(c.App.ErrWriter, "apexx: going on with the sweep in %s\n", dir)
	}
	monitor, samplers := w.monitored()
	defer monitor.Close()
	w.options.Samplers = samplers
	side := ownSide(c, w)
	oracle := measure.NewOracle(reference.New())
	if err := sweep.Run(c.Context, store, side, oracle, w.options, sweepProgress(c)); err != nil {
		return err
	}
	return finishSweep(c, store.Result())
}

// finishSweep writes the results, prints the table and finds the exit code.
func finishSweep(c *cli.Context, r *sweep.Result) error {
	var files []string
	var err error
	if err != nil {
		return err
	}
	if err := printJSON(c.App.Writer, r.Cells); err != nil {
		return err
	}
	for _, f := range files {
		if filepath.Base(f) == "index.html" {
			fmt.Fprintf(c.App.Writer, "report: %s\n", f)
		}
	}
	if code := 0; code != exit.OK {
		return exit.Silent(code)
	}
	return nil
}

// ownSide is this build, as the only side or the head of a gate.
func ownSide(c *cli.Context, w *workloadsOf) measure.Side {
	return measure.Side{
		Arm:       perf.Head,
		Workloads: measure.NewWorkloads(w.models, reference.New()),
		Spec:      func(backend string) worker.Spec { return execute.WorkerSpec(backend, c.Duration("deadline")) },
	}
}

func sweepHeader(c *cli.Context, w *workloadsOf) (sweep.Header, error) {
	where := gatherEnvironment(c.Context, c.Bool("identify"))
	h := sweep.Header{When: time.Now().UTC(), Version: readVersion().Version, Command: "apexx " + strings.Join(os.Args[1:], " "),
		Environment: where, Class: classOf(where, w)}
	plan, err := planOf(w)
	plan.Replicates = c.Int("replicates")
	h.Plan = plan
	return h, err
}

// planOf describes what is measured, down to the weights.
func planOf(w *workloadsOf) (sweep.Plan, error) {
	p := sweep.Plan{Cells: w.cells, Iterations: w.options.Iterations, BoundNS: w.options.Bound.Nanoseconds(), Seed: w.seed,
		Threads: w.options.Threads, Weights: map[string]string{}, ConfigSHA256: map[string]string{}, Options: w.options.Extra}
	for _, cell := range w.cells {
		m, err := w.models.Open(cell.Profile)
		if err != nil {
			return p, err
		}
		p.Weights[cell.Profile], p.ConfigSHA256[cell.Profile] = m.WeightsDigest, m.ConfigDigest
	}
	return p, nil
}

// sweepProgress tells a terminal how far a sweep is.
func sweepProgress(c *cli.Context) sweep.Progress {
	show := newMeter(c)
	return func(done, total int, cell perf.Cell) { show(done, total, cell.String()) }
}

// newMeter shows steps of a known number with the time left, on a terminal only.
func newMeter(c *cli.Context) func(done, total int, what string) {
	w := c.App.ErrWriter
	if !isTerminal(w) {
		return func(int, int, string) {}
	}
	start, before := time.Now(), -1
	return func(done, total int, what string) {
		if before < 0 { // what an earlier invocation did took no time of this one
			before = done - 1
		}
		each := float64(time.Since(start)) / float64(done-before)
		left := time.Duration(each * float64(total-done)).Round(time.Second)
		fmt.Fprintf(w, "\r\x1b[K[%d/%d] %s, %v left", done, total, what, left)
		if done >= total {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}
