package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/source"
)

func calibrateCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "`FILE` for the ranges"},
		&cli.StringFlag{Name: "cases", Value: "builtin", Usage: "`DIR` of pictures and safetensors files, or builtin: eight scenes, with the budgets that matrix gives its built-in cases"},
		&cli.StringFlag{Name: "method", Value: calibrate.Max.String(), Usage: "how a range is chosen, `NAME`: entropy, max or percentile:P; or by TensorRT's own calibrator, tensorrt:entropy or tensorrt:max"},
		&cli.StringFlag{Name: "profile", Value: calibrate.Quality.Name, Usage: "precision profile `NAME`: quality, balanced or edge, which keep fewer layers in float32, and lose more detections"},
		&cli.StringFlag{Name: "table", Usage: "take the ranges of a calibration table of TensorRT, `FILE`, instead of running cases; with tensorrt:METHOD, where its table is kept"},
		&cli.StringFlag{Name: "data-version", Usage: "`NAME` of the version of the cases (default: a digest of them, or of the table)"},
		&cli.StringFlag{Name: "backend", Value: "reference", Usage: "backend `NAME` that computes the values", DefaultText: "reference; tensorrt for its own methods"},
		&cli.IntFlag{Name: "threads", Usage: "threads of a session, `N` from 1 to 1024", DefaultText: "all processors"},
	}
	return &cli.Command{
		Name:  "calibrate",
		Usage: "find the ranges of values that int8 and fp8 need",
		Description: "The model runs in fp32 on every case, and the magnitudes of each value that int8 and fp8 round are counted. A range is where\n" +
			"they end (max), where P percent of them end (percentile:P), or where cutting them off loses the least information (entropy).\n\n" +
			"The file is for this model alone: its key has the digests of configuration, weights and export, the version of the operators,\n" +
			"the profile, the method, the version of the cases, and the environment variables that change numbers. Where the file is there with\n" +
			"the same key, nothing is done. Other commands take it with --calibration, and refuse it, with exit code 2, where it belongs to\n" +
			"another model, or was found with faults injected.\n\n" +
			"A table of TensorRT is read with --table alone. One that tells its key has to be this model's; a legacy one, which does not, is\n" +
			"believed. It needs a scale for every value that the profile rounds, under the names of the exported file.\n\n" +
			"--method tensorrt:entropy and tensorrt:max have the calibrator of TensorRT 10 run the cases, all of one shape, in a build that ends\n" +
			"when it has the ranges. --table FILE keeps its table with the key: one that is there and fits is taken instead, a stale or legacy\n" +
			"one is replaced. Engines of every backend are built from the ranges: apexx engine build --precision int8 --calibration FILE.",
		Flags:       append(flags, sourceFlags()...),
		Action:      chooseRanges,
		Subcommands: []*cli.Command{calibrateShowCommand()},
	}
}

func chooseRanges(c *cli.Context) error {
	path := c.String("out")
	if path == "" {
		return usagef("--out FILE is missing")
	}
	calibrator, theirs, err := calibrate.ParseCalibrator(c.String("method"))
	if theirs && err != nil {
		return exit.With(exit.Usage, err)
	}
	var method calibrate.Method
	if !theirs {
		if method, err = calibrate.ParseMethod(c.String("method")); err != nil {
			return exit.With(exit.Usage, err)
		}
	}
	profile, err := calibrate.ParseProfile(c.String("profile"))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	switch {
	case theirs:
		return calibrateByTensorRT(c, path, profile, calibrator)
	case c.IsSet("table"):
		return takeTable(c, path, profile)
	}
	return calibrateModel(c, path, profile, method)
}

func calibrateModel(c *cli.Context, path string, profile calibrate.Profile, method calibrate.Method) error {
	threads, err := threadsOf(c)
	if err != nil {
		return err
	}
	name, err := knownBackend(c, c.String("backend"))
	if err != nil {
		return err
	}
	backend, err := openBackend(c, name, execute.Options{})
	if err != nil {
		return err
	}
	if err := available(c.Context, backend, name); err != nil {
		return err
	}
	return writeRanges(c, backend, path, profile, method, func(r rangesRequest) (*calibrate.File, error) {
		return execute.Calibrate(c.Context, backend, r.model, r.cases, r.key, threads, caseProgress(c, len(r.cases)))
	})
}

// rangesRequest says of what ranges are to be found, and under which key they are kept.
type rangesRequest struct {
	model *source.Model
	cases []source.Case
	key   calibrate.Key
}

// writeRanges writes the file of ranges that find returns of what a backend computes, unless it is there.
func writeRanges(c *cli.Context, backend backends.Backend, path string, profile calibrate.Profile, method fmt.Stringer, find func(rangesRequest) (*calibrate.File, error)) error {
	m, err := openModel(c)
	if err != nil {
		return err
	}
	m, cases, err := calibrationCases(c, m)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	key, err := execute.CalibrationKey(m, cases, profile, method, c.String("data-version"), execute.Variables(c.Context, backend))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if current, why := upToDate(path, key); current {
		_, err := fmt.Fprintf(c.App.Writer, "%s is up to date\n", printable.Line(path))
		return err
	} else if why != "" {
		sayReplaced(c, path, why)
	}
	f, err := find(rangesRequest{m, cases, key})
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(path, 0o644, f.Write); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s  %d ranges by %s over %d cases, %d products in float32  key %.12s\n",
		printable.Line(path), len(f.Ranges), method, len(cases), len(f.Key.Wide), f.Cache)
	return err
}

func sayReplaced(c *cli.Context, path, why string) {
	fmt.Fprintf(c.App.ErrWriter, "apexx: %s: %s; it is replaced\n", printable.Line(path), printable.Line(why))
}

// takeTable writes the ranges of a calibration table of TensorRT.
func takeTable(c *cli.Context, path string, profile calibrate.Profile) error {
	for _, flag := range []string{"cases", "method", "backend", "threads"} {
		if c.IsSet(flag) {
			return usagef("--%s is of ranges that are found, and --table has them", flag)
		}
	}
	m, err := openModel(c)
	if err != nil {
		return err
	}
	f, version, err := m.CalibrationTable(c.String("table"), profile, c.String("data-version"))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if err := atomicfile.WriteFile(path, 0o644, f.Write); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s  %d ranges of a table of %s, %d products in float32  key %.12s\n",
		printable.Line(path), len(f.Ranges), printable.Line(version), len(f.Key.Wide), f.Cache)
	return err
}

// calibrationCases reads the cases of --cases, which are all of one model: the one returned.
func calibrationCases(c *cli.Context, m *source.Model) (*source.Model, []source.Case, error) {
	d := model.DefaultDecode()
	if dir := c.String("cases"); dir != "builtin" {
		folder, err := source.LoadCases(dir, m, d)
		if err != nil {
			return nil, nil, err
		}
		for _, one := range folder.Cases {
			if one.Model.ConfigDigest != m.ConfigDigest {
				return nil, nil, fmt.Errorf("case %s has a configuration of its own; a calibration is of one model", one.Name)
			}
		}
		return m, folder.Cases, nil
	}
	m, err := withBuiltinBudgets(c, m)
	if err != nil {
		return nil, nil, err
	}
	var cases []source.Case
	for _, im := range fixtures.BuiltinScenes() {
		one, err := m.PictureCase(im.Name, im.Data, d)
		if err != nil {
			return nil, nil, err
		}
		cases = append(cases, one)
	}
	return m, cases, nil
}

// upToDate tells whether a file has a key, and else why it is not the one wanted; "" where there is none.
func upToDate(path string, key calibrate.Key) (current bool, why string) {
	text, err := input.Read(path, input.Calibration)
	if errors.Is(err, fs.ErrNotExist) {
		return false, ""
	}
	var f *calibrate.File
	if err == nil {
		f, err = calibrate.Parse(text)
	}
	if err != nil {
		return false, err.Error()
	}
	if parts := f.Key.Differences(key); len(parts) > 0 {
		return false, "it is stale, by " + strings.Join(parts, ", ")
	}
	return true, ""
}

// caseProgress tells a terminal how many cases are done.
func caseProgress(c *cli.Context, total int) func(done int) {
	if !isTerminal(c.App.ErrWriter) {
		return func(int) {}
	}
	return func(done int) {
		fmt.Fprintf(c.App.ErrWriter, "\r\x1b[K[%d/%d]", done, total)
		if done == total {
			fmt.Fprint(c.App.ErrWriter, "\r\x1b[K")
		}
	}
}
