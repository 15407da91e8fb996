package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/reports"
)

func sweepCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "folder `DIR` of the results; a sweep that was interrupted goes on there"},
		&cli.StringFlag{Name: "replay", Usage: "sum the record `FILE` of an earlier sweep up again, a sweep.json, gzip-compressed or not, without measuring; with --out alone"},
		&cli.IntFlag{Name: "replicates", Value: 5, Usage: "fresh processes per backend, `N`"},
		&cli.BoolFlag{Name: "identify", Usage: "keep host name and device ids readable in the files"},
	}
	flags = append(flags, qualityFlags()...)
	flags = append(flags, cellFlags("256x256,512x512", "network,complete")...)
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:  "sweep",
		Usage: "measure how fast backends are, over shapes, batches, precisions and scopes",
		Description: `Every replicate is a fresh worker process that warms each cell up and takes samples until
--iterations or --time. DIR gets sweep.json (with every sample), sweep.jsonl, sweep.csv,
sweep.md, bench.txt (the Go benchmark format: benchstat -col /backend), gpu_report.json,
cpu_report.json, perf_trt_shape_sweep.json and .md (of tensorrt), index.html and plots when all is measured: an interrupted sweep has none of
them, is INCOMPLETE, and the same command goes on with it, under the same libraries,
instruction set, GOMAXPROCS, build and options.

With --model an ONNX model of your own is measured, whole and in the one shape that it has, on every
backend that has its operators; what it should give is what the reference computes in float64, so that
a model with operators that the reference lacks is unverified. It has no gpu_report.json.

With --quality every complete cell also runs on all pictures of a data set, in its own image size,
precision and batch, and its average precision is compared with that of the reference in fp32, with
99 % intervals of the paired bootstrap over the images: pareto-*.png shows time against AP.

With --replay every number is derived again from the samples of a record, which is refused where it
contradicts them, and DIR gets the same files but for gpu_report.json and cpu_report.json, which need
the configuration of the model.

Exit codes: 0 everything was measured and computes what it should · 1 a cell computes something
wrong or overspends a budget · 2 wrong usage, bad input, or a folder of another sweep · 3 the
outputs of a cell were not compared whole · 5 a backend has no cell that counts, or the disk is
full · 6 a worker crashed, hung or told numbers that cannot be · 130 interrupted.`,
		Flags:  append(flags, decodeFlags()...),
		Action: runSweep,
	}
}

// resultFile is the JSON form of a sweep's result in its folder.
const resultFile = "sweep.json"

func runSweep(c *cli.Context) (err error) {
	if c.IsSet("replay") {
		return replaySweep(c)
	}
	dir := c.String("out")
	if dir == "" {
		return usagef("--out DIR is missing")
	}
	if c.Int("replicates") < 1 {
		return usagef("--replicates must be at least 1")
	}
	w, err := chosenWorkloads(c, ownWorker(c))
	if err != nil {
		return err
	}
	if err := w.checkInjections(); err != nil {
		return err
	}
	header, err := sweepHeader(c, w, c.Int("replicates"))
	if err != nil {
		return err
	}
	if header.Plan.Quality, err = w.withQuality(c); err != nil {
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
	if err := withoutResult(dir, store); err != nil {
		return err
	}
	monitor, samplers := w.monitored()
	defer monitor.Close()
	w.options.Samplers = samplers
	side := ownSide(c, w)
	if err := sweep.Run(c.Context, store, side, w.options, sweepProgress(c)); err != nil {
		return errors.Join(ofData(err), tellIncomplete(c.App.Writer, store, err))
	}
	return finishSweep(c, store.Result(), w)
}

// withoutResult refuses a folder in which the result of another sweep would be taken for that of this one, until it is measured.
func withoutResult(dir string, s *sweep.Store) error {
	path := filepath.Join(dir, resultFile)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if done, total := s.Steps(); done < total {
		return usagef("%s is the result of another sweep than that of the log beside it, which has %d of %d steps: choose another folder, or remove this one", path, done, total)
	}
	return nil
}

// tellIncomplete says how far an interrupted sweep came. Its folder has no result.
func tellIncomplete(w io.Writer, s *sweep.Store, err error) error {
	code := exit.Code(err)
	if code != exit.Interrupted {
		return nil
	}
	done, total := s.Steps()
	_, err = fmt.Fprintf(w, "%s  %d of %d steps are kept; the same command goes on\n", evidence.Verdict(code), done, total)
	return err
}

// finishSweep writes the results and tells them.
func finishSweep(c *cli.Context, r *sweep.Result, w *workloadsOf) error {
	page, err := writeSweep(c.String("out"), r)
	if err != nil {
		return err
	}
	if err := writeViews(c.String("out"), r, w); err != nil {
		return err
	}
	return tellSweep(c, r, page)
}

// tellSweep prints the table, names the page, "" for none, and ends with the exit code of a sweep.
func tellSweep(c *cli.Context, r *sweep.Result, page string) error {
	if err := reports.SweepTable(c.App.Writer, r, tableOptions(c.App.Writer)); err != nil {
		return err
	}
	if page != "" {
		if _, err := fmt.Fprintf(c.App.Writer, "report: %s\n", page); err != nil {
			return err
		}
	}
	if code := r.ExitCode(); code != exit.OK {
		return exit.Silent(code)
	}
	return nil
}

// writeSweep writes every form of a sweep that follows from its record into its folder, and names the page.
func writeSweep(dir string, r *sweep.Result) (page string, err error) {
	for name, write := range map[string]func(io.Writer, *sweep.Result) error{
		resultFile: sweep.WriteJSON, "sweep.jsonl": sweep.WriteJSONL, "sweep.csv": sweep.WriteCSV, "sweep.md": sweep.WriteMarkdown,
		"bench.txt": sweep.WriteBenchmark,
	} {
		if err := atomicfile.WriteFile(filepath.Join(dir, name), 0o644, func(w io.Writer) error { return write(w, r) }); err != nil {
			return "", err
		}
	}
	if err := writeEngines(dir, r); err != nil {
		return "", err
	}
	_, err = reports.WriteSweepDir(dir, r)
	return filepath.Join(dir, "index.html"), err
}

// writeEngines writes perf_trt_shape_sweep.json and .md, the original's report of engines of TensorRT, where a sweep of Apex-X has some.
func writeEngines(dir string, r *sweep.Result) error {
	engines := sweep.EngineReport(r)
	if engines == nil || r.Plan.Cells[0].Scope == perf.AnyModel {
		return nil
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, "perf_trt_shape_sweep.md"), 0o644, func(w io.Writer) error { return sweep.WriteEngineMarkdown(w, r) }); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, "perf_trt_shape_sweep.json"), 0o644, engines.Write)
}

// writeViews writes the reports of the original's suites that tell of the parts of the model: for the first workload of the sweep cpu_report.json
// where the reference was measured, and gpu_report.json always. Of a model of --model there are none.
func writeViews(dir string, r *sweep.Result, w *workloadsOf) error {
	if w.network != nil {
		return nil
	}
	first := r.Plan.Cells[0]
	m, err := w.models.Open(first.Profile)
	if err != nil {
		return err
	}
	view := sweep.View{Config: m.Config, Profile: first.Profile, Precision: first.Precision, Height: first.Height, Width: first.Width, Batch: first.Batch}
	views := map[string]sweep.Report{"gpu_report.json": sweep.GPUReport(r, view)}
	if cpu, err := sweep.CPUReport(r, view); err == nil {
		views["cpu_report.json"] = cpu
	}
	for name, report := range views {
		if err := atomicfile.WriteFile(filepath.Join(dir, name), 0o644, report.Write); err != nil {
			return err
		}
	}
	return nil
}

// ownSide is this build, as the only side or the head of a gate.
func ownSide(c *cli.Context, w *workloadsOf) measure.Side {
	where := w.environment(c)
	return measure.Side{
		Variables: func(backend string) []backends.Fact { return env.ToldOf(backend, where.Variables) },
		Arm:       perf.Head,
		Workloads: measure.NewWorkloads(w.source(), reference.New()),
		Spec: func(backend string) worker.Spec {
			s := execute.WorkerSpec(backend, c.Duration("deadline"))
			s.MemoryLimit = execute.MemoryLimit(backend)
			return s
		},
	}
}

func sweepHeader(c *cli.Context, w *workloadsOf, replicates int) (h sweep.Header, err error) {
	self, err := os.Executable()
	if err != nil {
		return h, err
	}
	where := w.environment(c)
	h = sweep.Header{When: time.Now().UTC(), Version: readVersion().Version, Command: "apexx " + strings.Join(os.Args[1:], " "),
		Environment: where, Class: w.class(c)}
	if h.Program, err = execute.DigestFile(self); err != nil {
		return h, err
	}
	if h.Files, err = execute.FileDigests(c.Context, perf.Backends(w.cells)); err != nil {
		return h, err
	}
	h.Plan, err = planOf(w)
	h.Plan.Replicates = replicates
	return h, err
}

// planOf describes what is measured, down to the weights.
func planOf(w *workloadsOf) (sweep.Plan, error) {
	p := sweep.Plan{Cells: w.cells, Iterations: w.options.Iterations, BoundNS: w.options.Bound.Nanoseconds(), Seed: w.seed,
		Threads: w.options.Threads, Weights: map[string]string{}, ConfigSHA256: map[string]string{}, Options: w.options.Extra}
	if w.network != nil {
		p.Weights[w.network.Network.Name], p.Inputs = w.network.Network.Digest, digestOfFeeds(w.network.Feeds)
		return p, nil
	}
	p.Decode = decodeText(w.models.Decode)
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
