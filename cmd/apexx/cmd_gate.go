package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
)

func gateCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "base", Usage: "build to compare with: an apexx `PATH`, or a folder with one and its workers"},
		&cli.StringFlag{Name: "head", Usage: "build to judge, a `PATH` likewise (default: this program)"},
		&cli.StringFlag{Name: "accept-change", Usage: "let the head compute something else than the base, for this `REASON`, which is recorded; it has to be right by its own graph all the same"},
		&cli.StringFlag{Name: "baseline", Usage: "compare this build with committed numbers instead: a `FILE`, or a folder of one for each class of machines"},
		&cli.StringFlag{Name: "replay", Usage: "judge the record `FILE` of an earlier run again, gzip-compressed or not, without measuring; with --out alone"},
		&cli.BoolFlag{Name: "selfcheck", Usage: "measure on this machine how often the gate errs, with equal builds and with injected slowdowns; goes on where it stopped"},
		&cli.StringFlag{Name: "out", Usage: "folder `DIR` of gate.json (with every sample), index.html, gate.md, junit.xml and plots"},
		&cli.BoolFlag{Name: "identify", Usage: "keep host name and device ids readable in the files"},
	}
	flags = append(flags, qualityFlags()...)
	flags = append(flags, policyFlags()...)
	flags = append(flags, selfcheckFlags()...)
	flags = append(flags, cellFlags("256x256,512x512", "network,complete")...)
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:        "gate",
		Usage:       "refuse a change that makes any backend wrong or slower",
		Description: gateDescription,
		Flags:       append(flags, decodeFlags()...),
		Action:      runGate,
	}
}

const gateDescription = `With --base, two builds are measured in one session, in blocks of the form base, head, head,
base, every replicate a fresh process. All cells are screened; the worst candidates are confirmed
by fresh blocks. A cell has regressed when the exact signed-rank test and the Hodges-Lehmann
estimate both say so, in its time or in another metric: host time beside a device's clock, the time
from end to end with upload and download, compilation, first run, memory, allocations, or, of cells on
a GPU, in a step of its plan, which is named. Its parity has to hold, which is that of the sessions that were timed, and the head has to compute what the base
does; --accept-change lets it compute something else. Without --backends, the cells are those of every
backend that either build has: one that the head lost is broken. Controls that move or are missing
(base against base, and a fixed workload) make the run inconclusive, and so does what could not be
verified or observed.

With --quality both builds also run every complete cell on all pictures of a data set, and a cell that
loses more average precision than --max-map-drop allows is refused, however fast it is: the loss counts
where its 99 % interval (paired bootstrap over the images) lies beyond the budget as a whole, and where
the interval holds the budget the run is inconclusive. With --baseline, cells are compared with the
reference in fp32, and quality.max_map_drop of the baseline is the budget.

With --baseline, this build alone is measured, in DIR/sweep; a metric fails when it is above
value·(1 + max_regression_ratio) + max_regression_abs_ms. Without flags that choose cells, those
of the baseline are measured.

Exit codes: 0 pass · 1 regression, parity failure or quality lost · 2 wrong usage or bad input ·
3 inconclusive · 4 no baseline fits this machine · 5 nothing could be measured · 6 a worker crashed or hung.

Environment: APEXX_INJECT makes workers misbehave, to try the gate. Its value is a list,
separated by semicolons, of slow=PERCENT@CELL (every run takes that much longer),
slow=PERCENT#STEP@CELL (one step does, where its times are told) and wrong@CELL (the first output is
falsified). STEP is a name of apexx plan, CELL is a name such as
reference/nano/fp32/256x256/b1/network, in which * is any text without a slash; one that is no cell of
the run is refused. Base and head get the environment of the gate, so that the gate does not pass under
it: a head that is a script may set it for itself alone, which the verdict tells. Where the scripts of
base and head set other variables that change numbers or speed (apexx env lists such), the run is
inconclusive.`

func policyFlags() []cli.Flag {
	d := gate.DefaultPolicy()
	return []cli.Flag{
		&cli.Float64Flag{Name: "delta", Usage: "least relative slowdown `X` that is a regression", DefaultText: "0.02 GPU with locked clocks, 0.03 GPU, 0.08 CPU"},
		&cli.Float64Flag{Name: "alpha", Value: d.Alpha, Usage: "greatest `P` of a regression"},
		&cli.IntFlag{Name: "screen-blocks", Value: d.ScreenBlocks, Usage: "blocks `N` of every cell"},
		&cli.IntFlag{Name: "confirm-blocks", Value: d.ConfirmBlocks, Usage: "fresh blocks `N` of a candidate"},
		&cli.IntFlag{Name: "max-confirm", Value: d.MaxConfirm, Usage: "candidates `N` that are confirmed, the worst first, and up to twice as many cells whose screen is too noisy"},
		&cli.DurationFlag{Name: "confirm-time", Value: time.Duration(d.ConfirmNS), Usage: "`DURATION` of the confirmation, kept to by fewer samples where these would take longer; 0 for no limit"},
		&cli.Float64Flag{Name: "control-share", Value: d.ControlShare, Usage: "share `X` of the cells that base is compared with itself on"},
		&cli.StringFlag{Name: "steps", Value: string(d.Steps), Usage: "judge every step of the plan too, of `CELLS`: device (those on a GPU), all or none; in a self-check with all, one step is slowed"},
		maxMapDropFlag(),
		&cli.Float64Flag{Name: "max-resolution", Usage: "a run that could miss a slowdown `X` is inconclusive", DefaultText: "2.5 times --delta"},
	}
}

// policyOf lays the flags over the default policy and checks it.
func policyOf(c *cli.Context, w *workloadsOf) (gate.Policy, error) {
	p, err := policyFlagsOf(c)
	p.Iterations, p.BoundNS, p.Threads, p.Seed = w.options.Iterations, w.options.Bound.Nanoseconds(), w.options.Threads, w.seed
	return p, err
}

// policyFlagsOf is the policy without what the workloads say.
func policyFlagsOf(c *cli.Context) (gate.Policy, error) {
	p := gate.DefaultPolicy()
	if c.IsSet("delta") {
		p.Targets.SetDelta(c.Float64("delta"))
	}
	if c.IsSet("max-resolution") {
		p.Targets.SetMaxResolution(c.Float64("max-resolution"))
	}
	p.Alpha, p.ControlShare = c.Float64("alpha"), c.Float64("control-share")
	p.ScreenBlocks, p.ConfirmBlocks, p.MaxConfirm = c.Int("screen-blocks"), c.Int("confirm-blocks"), c.Int("max-confirm")
	p.ConfirmNS = c.Duration("confirm-time").Nanoseconds()
	switch steps := gate.StepScope(c.String("steps")); steps {
	case gate.DeviceSteps, gate.AllSteps:
		p.Steps = steps
	case "none":
		p.Steps = gate.NoSteps
	default:
		return p, usagef("unknown --steps %q (want device, all or none)", steps)
	}
	return p, exit.With(exit.Usage, p.Validate())
}

// runGate finds out which of the gate's ways is meant.
func runGate(c *cli.Context) error {
	ways := 0
	for _, flag := range []string{"base", "baseline", "replay", "selfcheck"} {
		if c.IsSet(flag) {
			ways++
		}
	}
	switch {
	case c.IsSet("head") && !c.IsSet("base"):
		return usagef("--head needs --base")
	case c.IsSet("accept-change") && !c.IsSet("base"):
		return usagef("--accept-change needs --base")
	case c.IsSet("accept-change") && strings.TrimSpace(c.String("accept-change")) == "":
		return usagef("--accept-change wants a reason")
	case c.IsSet("quality") && !c.IsSet("base") && !c.IsSet("baseline"):
		return usagef("--quality needs --base or --baseline")
	case c.IsSet("max-map-drop") && !(c.IsSet("quality") && c.IsSet("base")):
		return usagef("--max-map-drop needs --quality and --base; with --baseline the baseline has the budgets")
	case ways != 1:
		return usagef("want one of --base PATH, --baseline FILE, --replay FILE and --selfcheck")
	case c.IsSet("replay"):
		return replayGate(c)
	}
	if _, err := policyFlagsOf(c); err != nil {
		return err
	}
	if c.IsSet("base") {
		return gateBuilds(c)
	}
	if c.Bool("selfcheck") {
		if err := selfcheckDefaults(c); err != nil {
			return err
		}
	}
	w, err := chosenWorkloads(c, ownWorker(c))
	switch {
	case err != nil:
		return err
	case c.Bool("selfcheck"):
		return selfcheck(c, w)
	}
	return gateBaseline(c, w)
}

// gateBuilds compares two builds.
func gateBuilds(c *cli.Context) error {
	base, err := openProgram(c, c.String("base"))
	if err != nil {
		return err
	}
	head, err := ownProgram(c)
	if c.IsSet("head") {
		head, err = openProgram(c, c.String("head"))
	}
	if err != nil {
		return err
	}
	w, err := chosenWorkloads(c, base.Worker, head.Worker)
	if err != nil {
		return err
	}
	if err := w.checkInjections(); err != nil {
		return err
	}
	policy, err := policyOf(c, w)
	if err != nil {
		return err
	}
	release, err := claimFolder(c.String("out"))
	if err != nil {
		return err
	}
	defer release()
	plan, err := w.withQuality(c)
	if err != nil {
		return err
	}
	if budgets, err := budgetsOf(c); err != nil {
		return err
	} else if budgets != nil {
		plan.Policy.MaxMapDrop = budgets
	}
	setup, end := gateSetup(c, w, policy, base, head)
	defer end()
	setup.Record.Quality = plan
	rec, err := setup.Run(c.Context)
	if err != nil {
		return ofData(err)
	}
	return reportGate(c, rec)
}

// gateSetup joins two builds with what the flags say. The function ends the watching of devices.
func gateSetup(c *cli.Context, w *workloadsOf, policy gate.Policy, base, head gate.Program) (gate.Setup, func()) {
	where := w.environment(c).Measured() // either build tells of its own workers
	monitor, samplers := w.monitored()
	options := w.options
	options.Samplers = samplers
	limits := map[string]int64{}
	for _, b := range perf.Backends(w.cells) {
		limits[b] = execute.MemoryLimit(b)
	}
	base.Limits, head.Limits = limits, limits
	return gate.Setup{
		Base: base, Head: head, Models: w.modelsOf, Oracle: reference.New(), Options: options, Progress: gateProgress(c),
		Record: gate.Record{Version: readVersion().Version, Command: "apexx " + strings.Join(os.Args[1:], " "), Environment: where, Class: w.class(c),
			Policy: policy, Cells: w.cells, Named: named(c), Accepted: strings.TrimSpace(c.String("accept-change"))},
	}, monitor.Close
}

// named lists the backends and precisions that the command line names: each has to have a cell that could be compared.
func named(c *cli.Context) (names []string) {
	if c.IsSet("cells") {
		for _, name := range strings.Split(c.String("cells"), ",") {
			if cell, err := perf.ParseCell(strings.TrimSpace(name)); err == nil {
				names = append(names, cell.Backend, string(cell.Precision))
			}
		}
	}
	for _, flag := range []string{"backends", "precisions"} {
		if c.IsSet(flag) && c.String(flag) != "available" {
			for _, name := range strings.Split(c.String(flag), ",") {
				names = append(names, strings.TrimSpace(name))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// gateProgress tells a terminal how far each stage is.
func gateProgress(c *cli.Context) func(stage string, done, total int) {
	meters := map[string]func(int, int, string){}
	return func(stage string, done, total int) {
		if meters[stage] == nil {
			meters[stage] = newMeter(c)
		}
		meters[stage](done, total, stage)
	}
}

// replayGate judges a record again.
func replayGate(c *cli.Context) error {
	rec, err := replayedRecord(c, gate.Read, "out")
	if err != nil {
		return err
	}
	held := rec.Verdict
	rec.Again, rec.Verdict = readVersion().Version, gate.Judge(rec)
	if why := gate.Differs(held, rec.Verdict); why != "" {
		fmt.Fprintf(c.App.ErrWriter, "apexx: warning: %s\n", why)
	}
	release, err := claimFolder(c.String("out"))
	if err != nil {
		return err
	}
	defer release()
	return reportGate(c, rec)
}
