package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/perf/baseline"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
)

// baselineDir is where a repository keeps its baselines.
const baselineDir = "baselines"

func baselineCommand() *cli.Command {
	from := &cli.StringFlag{Name: "from", Usage: "the JSON `FILE` of a sweep"}
	return &cli.Command{
		Name:  "baseline",
		Usage: "record, show and compare what a class of machines is expected to reach",
		Subcommands: []*cli.Command{{
			Name:  "record",
			Usage: "propose the baseline of a sweep's class of machines",
			Description: "Every cell of the sweep must be measured in all replicates, with parity and within its budgets. An existing file is\n" +
				"replaced only with --replace, which keeps its notes and noise model.",
			Flags: []cli.Flag{from,
				&cli.StringFlag{Name: "out", Usage: "`FILE` to write (default: baselines/CLASS.json)"},
				&cli.StringFlag{Name: "noise", Usage: "take the noise model from the selfcheck.json `FILE` of a self-check on that class"},
				&cli.BoolFlag{Name: "replace", Usage: "replace an existing file"},
				&cli.BoolFlag{Name: "allow-dirty", Usage: "accept a build with changes that no commit holds"},
				&cli.Float64Flag{Name: "max-regression-ratio", Usage: "tolerance `RATIO` of every metric", DefaultText: "by class and metric"},
				&cli.Float64Flag{Name: "max-regression-abs-ms", Usage: "tolerance of every metric in `MS`, added to the ratio's", DefaultText: "by class and metric"},
				maxMapDropFlag(),
			},
			Action: recordBaseline,
		}, {
			Name:      "show",
			Usage:     "print a baseline",
			ArgsUsage: "FILE",
			Action: func(c *cli.Context) error {
				if c.NArg() != 1 {
					return usagef("want one file: apexx baseline show FILE")
				}
				b, err := baseline.ReadFile(c.Args().First())
				if err != nil {
					return exit.With(exit.Usage, err)
				}
				return b.WriteText(c.App.Writer)
			},
		}, {
			Name:      "diff",
			Usage:     "print what changed between two baselines, or judge a sweep by one",
			ArgsUsage: "[FILE FILE]",
			Description: "With --from the exit code is 0 when every metric is within its tolerance, 1 when not, and 4 when the baseline is of\n" +
				"another class of machines or of other settings.",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "baseline", Usage: "`FILE` to judge by (default: that of the sweep's class in baselines/)"}, from,
				&cli.StringFlag{Name: "summary", Usage: "write the comparison to `FILE`, as the original's compare summary"},
				&cli.StringFlag{Name: "trend-output", Usage: "write the comparison to `FILE`, as the original's trend artifact"},
			},
			Action: diffBaseline,
		}},
	}
}

// readSweep reads the result of a sweep and the digest of its file.
func readSweep(path string) (*sweep.Result, string, error) {
	if path == "" {
		return nil, "", usagef("--from is missing: the JSON file of a sweep")
	}
	data, err := input.Read(path, input.Record)
	if err != nil {
		return nil, "", exit.With(exit.Usage, err)
	}
	r, err := sweep.Read(bytes.NewReader(data))
	if err != nil {
		return nil, "", exit.With(exit.Usage, fmt.Errorf("%s: %w", path, err))
	}
	sum := sha256.Sum256(data)
	return r, hex.EncodeToString(sum[:]), nil
}

func recordBaseline(c *cli.Context) error {
	options := baseline.Options{AllowDirty: c.Bool("allow-dirty")}
	for name, to := range map[string]**float64{"max-regression-ratio": &options.Ratio, "max-regression-abs-ms": &options.AbsMS} {
		if !c.IsSet(name) {
			continue
		}
		v := c.Float64(name)
		if !(v >= 0) || math.IsInf(v, 1) {
			return usagef("--%s %g: want a finite number that is not negative", name, v)
		}
		*to = &v
	}
	var err error
	if options.MaxMapDrop, err = budgetsOf(c); err != nil {
		return err
	}
	r, sum, err := readSweep(c.String("from"))
	if err != nil {
		return err
	}
	if options.MaxMapDrop != nil && r.Plan.Quality == nil {
		return usagef("--max-map-drop is of a sweep with --quality, and %s has none", c.String("from"))
	}
	b, err := baseline.New(r, sum, options)
	if err != nil {
		return exit.With(exit.Usage, fmt.Errorf("%s cannot become a baseline: %w", c.String("from"), err))
	}
	path := c.String("out")
	if path == "" {
		path = baseline.Path(baselineDir, b.Class)
	}
	if err := keepOld(b, path, c.Bool("replace")); err != nil {
		return exit.With(exit.Usage, err)
	}
	if file := c.String("noise"); file != "" {
		if b.Noise, err = readNoise(file, b.Class.ID); err != nil {
			return exit.With(exit.Usage, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return exit.With(exit.Usage, err)
	}
	if err := b.WriteFile(path); err != nil {
		return exit.With(exit.Usage, err)
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %d metrics of %d cells on %s\n", path, len(b.Metrics), len(b.Cells()), b.Class.ID)
	return err
}

// readNoise takes the noise model of a self-check on a class of machines.
func readNoise(path, class string) (*baseline.Noise, error) {
	data, err := input.Read(path, input.Record)
	if err != nil {
		return nil, err
	}
	var s gate.Selfcheck
	switch err := json.Unmarshal(data, &s); {
	case err != nil || s.Schema != gate.SelfcheckSchemaID:
		return nil, fmt.Errorf("%s is not the result of a self-check (want the schema %s)", path, gate.SelfcheckSchemaID)
	case s.Class.ID != class:
		return nil, fmt.Errorf("%s is of class %s, the sweep is of %s", path, s.Class.ID, class)
	case s.Noise.Blocks == 0:
		return nil, fmt.Errorf("%s has no trials", path)
	}
	return &baseline.Noise{Noise: s.Noise, Measured: s.Until}, nil
}

// keepOld refuses to replace an existing file unless told to, and then takes over what no sweep can give: notes and noise.
func keepOld(b *baseline.Baseline, path string, replace bool) error {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.Mode().IsRegular(): // a device or pipe holds nothing
		return nil
	case err != nil:
		return err
	}
	if !replace {
		return fmt.Errorf("%s exists; compare with apexx baseline diff --baseline %s --from RESULT, then say --replace, or another --out", path, path)
	}
	old, err := baseline.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w (remove the file to start anew)", err)
	}
	if old.Class.ID != b.Class.ID {
		return fmt.Errorf("%s is of class %s, the sweep is of %s; name another --out", path, old.Class.ID, b.Class.ID)
	}
	b.Notes, b.Noise = old.Notes, old.Noise
	return nil
}

func diffBaseline(c *cli.Context) error {
	judged := c.String("from") != "" || c.String("baseline") != ""
	switch {
	case judged && c.NArg() > 0:
		return usagef("want either two files or --from, not both")
	case judged:
		return judgeSweep(c)
	case c.NArg() != 2:
		return usagef("want two files, or --from: apexx baseline diff FILE FILE, apexx baseline diff [--baseline FILE] --from FILE")
	case c.String("summary") != "" || c.String("trend-output") != "":
		return usagef("--summary and --trend-output belong to --from")
	}
	from, err := baseline.ReadFile(c.Args().Get(0))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	to, err := baseline.ReadFile(c.Args().Get(1))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	return baseline.WriteDiff(c.App.Writer, from, to)
}

func judgeSweep(c *cli.Context) error {
	r, _, err := readSweep(c.String("from"))
	if err != nil {
		return err
	}
	var b *baseline.Baseline
	if path := c.String("baseline"); path != "" {
		b, err = baseline.ReadFile(path)
	} else {
		b, err = baseline.Find(baselineDir, r.Class)
	}
	if err != nil {
		return baselineError(err)
	}
	comparison, err := baseline.Compare(b, r)
	if err != nil {
		return baselineError(err)
	}
	if err := writeComparison(c, comparison); err != nil {
		return err
	}
	return comparisonExit(comparison)
}

// comparisonExit gives a comparison its exit code.
func comparisonExit(k *baseline.Comparison) error {
	switch k.Status {
	case baseline.CheckPass:
		return nil
	case baseline.CheckUndecided:
		return exit.Silent(exit.Inconclusive)
	}
	return exit.Silent(exit.Failed)
}

// baselineError tells a machine without a baseline from a bad file.
func baselineError(err error) error {
	if errors.Is(err, baseline.ErrNoBaseline) {
		return exit.With(exit.NoBaseline, err)
	}
	return exit.With(exit.Usage, err)
}

func writeComparison(c *cli.Context, comparison *baseline.Comparison) error {
	now := time.Now()
	for _, f := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{c.String("summary"), func(w io.Writer) error { return baseline.WriteCompareSummary(w, comparison) }},
		{c.String("trend-output"), func(w io.Writer) error { return baseline.WriteTrendArtifact(w, comparison, now) }},
	} {
		if f.path == "" {
			continue
		}
		if err := atomicfile.WriteFile(f.path, 0o644, f.write); err != nil {
			return exit.With(exit.Usage, err)
		}
	}
	return comparison.WriteText(c.App.Writer)
}
