package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/baseline"
	"github.com/apex-x/apexx/perf/sweep"
)

// gateBaseline measures this build and judges it by committed numbers. Without flags that choose cells it measures those of the
// baseline. Where no baseline fits, the measurement becomes a proposal for one and the exit code is 4.
func gateBaseline(c *cli.Context, w *workloadsOf) error {
	class := w.class(c)
	b, err := openBaseline(c.String("baseline"), class.ID)
	if err != nil && !errors.Is(err, baseline.ErrNoBaseline) {
		return exit.With(exit.Usage, err)
	}
	if b != nil && b.Class.ID == class.ID && !choosesCells(c) {
		w.cells = b.Cells()
		for _, cell := range w.cells {
			if err := w.check(cell); err != nil {
				return exit.With(exit.Usage, err)
			}
		}
	}
	if err := w.checkInjections(); err != nil {
		return err
	}
	dir := c.String("out")
	if dir == "" {
		if dir, err = os.MkdirTemp("", "apexx-gate-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	r, err := measureForBaseline(c, w, dir)
	if err != nil {
		return err
	}
	if b == nil {
		return proposeBaseline(c, r, dir, fmt.Errorf("%w: there is none for %s in %s", baseline.ErrNoBaseline, r.Class.ID, c.String("baseline")))
	}
	comparison, err := baseline.Compare(b, r)
	if errors.Is(err, baseline.ErrNoBaseline) {
		return proposeBaseline(c, r, dir, err)
	}
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if err := reportComparison(c, comparison); err != nil {
		return err
	}
	for _, cell := range r.Cells { // of which some have no metric in the baseline
		if cell.Parity.State == evidence.Fail {
			return exit.With(exit.Failed, fmt.Errorf("parity of %s fails: %s", cell.Name, cell.Parity.Detail))
		}
	}
	return nil
}

// openBaseline reads a file, or the file of the machine's class in a folder; nil and ErrNoBaseline where there is none.
func openBaseline(path, class string) (*baseline.Baseline, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return baseline.ReadFile(path)
	}
	file := filepath.Join(path, class+".json")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return nil, baseline.ErrNoBaseline
	}
	return baseline.ReadFile(file)
}

// choosesCells tells whether the command line says what to measure.
func choosesCells(c *cli.Context) bool {
	for _, flag := range append([]string{"cells", "model"}, cellLists...) {
		if c.IsSet(flag) {
			return true
		}
	}
	return false
}

// measureForBaseline sweeps the cells into DIR/sweep, as apexx sweep does.
func measureForBaseline(c *cli.Context, w *workloadsOf, dir string) (r *sweep.Result, err error) {
	header, err := sweepHeader(c, w, baselineReplicates)
	if err != nil {
		return nil, err
	}
	if header.Plan.Quality, err = w.withQuality(c); err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "sweep")
	store, err := sweep.Open(dir, header)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if store.Resumed { // perhaps of another build: the version of one with uncommitted changes does not tell
		return nil, usagef("%s holds an earlier measurement, and a gate measures anew; choose another --out, or remove it", dir)
	}
	monitor, samplers := w.monitored()
	defer monitor.Close()
	w.options.Samplers = samplers
	if err := sweep.Run(c.Context, store, ownSide(c, w), w.options, sweepProgress(c)); err != nil {
		return nil, ofData(err)
	}
	r = store.Result()
	_, err = writeSweep(dir, r)
	if err == nil {
		err = writeViews(dir, r, w)
	}
	return r, err
}

// baselineReplicates are the processes of a measurement that is compared with a baseline or becomes one.
const baselineReplicates = 5

// proposeBaseline writes what would be the baseline of this machine, and says where.
func proposeBaseline(c *cli.Context, r *sweep.Result, dir string, why error) error {
	text, err := os.ReadFile(filepath.Join(dir, "sweep", "sweep.json"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	b, err := baseline.New(r, hex.EncodeToString(sum[:]), baseline.Options{AllowDirty: true})
	if err != nil {
		return exit.With(exit.NoBaseline, fmt.Errorf("%w; and this measurement cannot become one: %w", why, err))
	}
	path := filepath.Join(c.String("out"), b.Class.ID+".proposed.json")
	if err := b.WriteFile(path); err != nil {
		return err
	}
	return exit.With(exit.NoBaseline, fmt.Errorf("%w; %s is a proposal: look at it and copy it to %s", why, path, baseline.Path(baselineDir, b.Class)))
}

// reportComparison prints a comparison and, with --out, writes it in the original's forms.
func reportComparison(c *cli.Context, k *baseline.Comparison) error {
	if dir := c.String("out"); dir != "" {
		err := errors.Join(
			atomicfile.WriteFile(filepath.Join(dir, "compare.json"), 0o644, func(w io.Writer) error { return baseline.WriteCompareSummary(w, k) }),
			atomicfile.WriteFile(filepath.Join(dir, "trend.json"), 0o644, func(w io.Writer) error { return baseline.WriteTrendArtifact(w, k, time.Now()) }),
		)
		if err != nil {
			return err
		}
	}
	if err := k.WriteText(c.App.Writer); err != nil {
		return err
	}
	return comparisonExit(k)
}
