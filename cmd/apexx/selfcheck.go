package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/journal"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports"
	"github.com/apex-x/apexx/reports/plots"
)

func selfcheckFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "trials", Value: 24, Usage: "trials `N` of this invocation of --selfcheck; they add up in --out"},
		&cli.DurationFlag{Name: "for", Usage: "begin no trial of --selfcheck after this `DURATION`", DefaultText: "no limit"},
		&cli.IntFlag{Name: "simulate", Value: 100000, Usage: "simulated runs `N` of each slowdown, after the trials of --selfcheck"},
	}
}

// selfcheckTime bounds the samples of a cell in a trial.
const selfcheckTime = 200 * time.Millisecond

// selfcheckDefaults names the cells of a self-check whose flags name none: small ones, so that many trials fit an hour, and of
// every backend that is here, so that the right one has to be found.
func selfcheckDefaults(c *cli.Context) error {
	if !c.IsSet("time") {
		if err := c.Set("time", selfcheckTime.String()); err != nil {
			return err
		}
	}
	if choosesCells(c) {
		return nil
	}
	names, err := chosenBackends(c, "available")
	if err != nil {
		return err
	}
	var cells []string
	for i, name := range names {
		cell := perf.Cell{Backend: name, Profile: "nano", Precision: backends.FP32, Height: 128, Width: 128, Batch: 1, Scope: perf.Network}
		cells = append(cells, cell.String())
		if i == 0 {
			cell.Scope = perf.Complete
			cells = append(cells, cell.String())
		}
	}
	return c.Set("cells", strings.Join(cells, ","))
}

const trialFile = "trials.jsonl"

// selfcheck runs trials, adds them to those in the folder, and writes what all of them say.
func selfcheck(c *cli.Context, w *workloadsOf) (err error) {
	dir := c.String("out")
	if dir == "" {
		return usagef("--selfcheck needs --out DIR for its trials")
	}
	if err := w.checkInjections(); err != nil {
		return err
	}
	policy, err := policyOf(c, w)
	if err != nil {
		return err
	}
	header := gate.SelfcheckHeader{Schema: gate.SelfcheckSchemaID, Class: w.class(c), Policy: policy, Cells: w.cells}
	log, lines, err := journal.Open(dir, trialFile)
	if err != nil {
		return exit.With(exit.Usage, fmt.Errorf("self-check: %w", err))
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	trials, err := readTrials(lines, header)
	if err != nil {
		return exit.With(exit.Usage, fmt.Errorf("self-check in %s: %w", dir, err))
	}
	if len(lines) == 0 {
		if err := log.Append(header); err != nil {
			return err
		}
	}
	own, err := ownProgram(c)
	if err != nil {
		return err
	}
	setup, end := gateSetup(c, w, policy, own, own)
	defer end()
	start := time.Now()
	for n := range c.Int("trials") {
		if limit := c.Duration("for"); limit > 0 && time.Since(start) >= limit {
			break
		}
		t, err := setup.Trial(c.Context, len(trials))
		if err != nil {
			return err
		}
		if err := log.Append(t); err != nil {
			return err
		}
		trials = append(trials, t)
		fmt.Fprintf(c.App.ErrWriter, "[%d/%d] trial %d: slowdown %.3g %% of %q: %s %v in %.0f s\n", n+1, c.Int("trials"), t.Index, 100*t.Slowdown, t.Cell, t.Outcome, t.Reasons, t.Seconds)
	}
	return writeSelfcheck(c, dir, gate.NewSelfcheck(header, trials, time.Now(), c.Int("simulate")))
}

// readTrials takes over the trials of earlier invocations.
func readTrials(lines [][]byte, want gate.SelfcheckHeader) ([]gate.Trial, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	expected, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	var found gate.SelfcheckHeader
	if err := json.Unmarshal(lines[0], &found); err != nil || found.Schema != gate.SelfcheckSchemaID {
		return nil, fmt.Errorf("%s is not the log of a self-check; choose another folder", trialFile)
	}
	if got, err := json.Marshal(found); err != nil || !bytes.Equal(got, expected) {
		return nil, fmt.Errorf("its trials have other cells, another policy or another machine (%s); choose another folder", found.Class.ID)
	}
	var trials []gate.Trial
	for i, line := range lines[1:] {
		var t gate.Trial
		err := json.Unmarshal(line, &t)
		if err == nil {
			err = t.Check(i, want.Cells)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of %s is damaged: %w", i+2, trialFile, err)
		}
		trials = append(trials, t)
	}
	return trials, nil
}

// writeSelfcheck writes and prints what the trials say.
func writeSelfcheck(c *cli.Context, dir string, s *gate.Selfcheck) error {
	var text bytes.Buffer
	if err := s.WriteMarkdown(&text); err != nil {
		return err
	}
	err := errors.Join(
		writePower(dir, s),
		atomicfile.WriteFile(filepath.Join(dir, "selfcheck.json"), 0o644, func(w io.Writer) error { return reports.IndentedJSON(w, s) }),
		atomicfile.WriteBytes(filepath.Join(dir, "selfcheck.md"), 0o644, text.Bytes()),
	)
	if err != nil {
		return err
	}
	_, err = text.WriteTo(c.App.Writer)
	return err
}

// writePower draws what share of the trials found each slowdown.
func writePower(dir string, s *gate.Selfcheck) error {
	var points []plots.PowerPoint
	for _, t := range s.Tallies {
		if t.Trials > 0 {
			points = append(points, plots.PowerPoint{Slowdown: t.Slowdown, Runs: t.Trials, Detected: t.Alarms, Named: t.Right, Inconclusive: t.Inconclusive})
		}
	}
	figure, err := plots.Power(s.Class.ID, points)
	if err != nil || figure == nil {
		return err
	}
	return writeFigure(filepath.Join(dir, "power"), figure)
}
