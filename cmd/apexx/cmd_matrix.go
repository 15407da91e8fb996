package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

func matrixCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "backends", Value: "available", Usage: "comma-separated `LIST` of backends, or available"},
		&cli.StringFlag{Name: "cases", Value: "builtin", Usage: "`DIR` of pictures and safetensors files, or builtin: four photographs and eight scenes"},
		&cli.StringFlag{Name: "precisions", Usage: "comma-separated `LIST` of fp64, fp32, tf32, fp16 and bf16 (default: fp32, and fp64 of the reference as the oracle)"},
		&cli.StringFlag{Name: "profile", Value: "balanced", Usage: "tolerance profile `NAME`: quality, balanced or edge"},
		&cli.StringFlag{Name: "report", Usage: "write matrix.json, matrix.md and index.html to the folder `DIR`"},
		&cli.StringFlag{Name: "json", Usage: "write the result to `FILE`, or - for standard output"},
		&cli.IntFlag{Name: "jobs", Value: 1, Usage: "`N` executions at a time; every one uses --threads threads"},
		&cli.DurationFlag{Name: "deadline", Value: 5 * time.Minute, Usage: "bound on compiling and on running one cell, a `DURATION` such as 90s or 5m"},
		&cli.BoolFlag{Name: "taps", Usage: "compare every intermediate as well"},
	}
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:  "matrix",
		Usage: "compare backends with each other over many cases",
		Description: "Every execution runs in a worker process of its own, and twice in its session, the float64 oracle once. A cell ends as pass,\n" +
			"explained (decisions differ, and the scores of the items concerned account for it), unverified (nothing wrong was found,\n" +
			"and an output was left out of the comparison), fail, unsupported, not-run, error, crashed, hung or cancelled. A backend\n" +
			"that decided otherwise runs once more under the other's decisions, and everything after them is compared. In tf32, fp16\n" +
			"and bf16 the detections of all cases are compared as sets too, and count like a cell; name fp64 as well, as the oracle.\n\n" +
			"Exit codes: 130 interrupted, else 1 with a failing cell, else 6 with one that crashed, hung or ended in an error, else 3\n" +
			"with an unverified one, else 5 where a backend, a precision or a case has no cell that could be compared, else 0. PASS is\n" +
			"printed and stored with 0 alone. Only --backends available leaves out what is not here.",
		Flags:  append(flags, decodeFlags()...),
		Action: runMatrix,
	}
}

func runMatrix(c *cli.Context) error {
	profile, err := parity.ParseProfile(c.String("profile"))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	decode, err := decodeOf(c)
	if err != nil {
		return err
	}
	threads, err := threadsOf(c)
	if err != nil {
		return err
	}
	extras, err := extraOfAll(c)
	if err != nil {
		return err
	}
	if c.Int("jobs") < 1 || c.Duration("deadline") <= 0 {
		return usagef("--jobs and --deadline must be positive")
	}
	columns, err := chosenColumns(c)
	if err != nil {
		return err
	}
	m, err := openModel(c)
	if err != nil {
		return err
	}
	cases, err := openCases(c, m, decode)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	runner := &execute.MatrixRunner{Cases: map[string]*source.Case{}, Threads: threads, Taps: c.Bool("taps"),
		Extra: extras,
		Open: func(name string) (backends.Backend, error) {
			return execute.Open(name, execute.Options{Isolate: true, Deadline: c.Duration("deadline"), Extra: extras[name]})
		}}
	spec := parity.MatrixSpec{Name: matrixName(c), Columns: columns, Runner: runner, Replayer: runner, Policy: profile.Policy(parity.EndToEnd), Jobs: c.Int("jobs")}
	for i := range cases {
		runner.Cases[cases[i].Name] = &cases[i]
		spec.Cases = append(spec.Cases, execute.ParityCase(&cases[i]))
	}
	if dir := c.String("report"); dir != "" { // an unwritable place costs nothing but this line
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return exit.With(exit.Usage, err)
		}
	}
	return matrixReport(c, m, cases, spec)
}

func matrixName(c *cli.Context) string {
	if cases := c.String("cases"); cases != "builtin" {
		return printable.Line(filepath.Base(cases))
	}
	return "builtin"
}

// chosenColumns lists backend and precision of every execution. Without --precisions the reference runs in float64 too, as
// the oracle.
func chosenColumns(c *cli.Context) ([]parity.Column, error) {
	names, err := chosenBackends(c.Context, c.String("backends"))
	if err != nil {
		return nil, err
	}
	var precisions []backends.Precision
	if c.IsSet("precisions") {
		if precisions, err = parsePrecisions(c.String("precisions")); err != nil {
			return nil, err
		}
	}
	var columns []parity.Column
	for _, name := range names {
		list := precisions
		switch {
		case list == nil && name == "reference":
			list = []backends.Precision{backends.FP64, backends.FP32}
		case list == nil:
			list = []backends.Precision{backends.FP32}
		}
		for _, p := range list {
			columns = append(columns, parity.Column{Backend: name, Precision: p})
		}
	}
	return columns, nil
}

// chosenBackends resolves --backends. Named backends that are absent stay in the list: their cells say why they did not run.
func chosenBackends(ctx context.Context, list string) ([]string, error) {
	if list == "available" {
		return execute.DetectCaps(ctx).Available(), nil
	}
	var names []string
	for _, s := range strings.Split(list, ",") {
		name, err := knownBackend(strings.TrimSpace(s))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// openCases reads the cases of --cases.
func openCases(c *cli.Context, m *source.Model, d model.Decode) ([]source.Case, error) {
	if dir := c.String("cases"); dir != "builtin" {
		folder, err := source.LoadCases(dir, m, d)
		if remark := folder.Remark(); remark != "" {
			fmt.Fprintf(c.App.ErrWriter, "apexx: %s: %s\n", printable.Line(dir), remark)
		}
		return folder.Cases, err
	}
	if c.String("config") == "" {
		var err error
		if m, err = m.WithDefaults(source.BuiltinOverrides); err != nil {
			return nil, err
		}
	}
	var cases []source.Case
	add := func(prefix string, images []fixtures.Image) error {
		for _, im := range images {
			name := strings.TrimSuffix(im.Name, filepath.Ext(im.Name))
			one, err := m.PictureCase(prefix+name, im.Data, d)
			if err != nil {
				return err
			}
			cases = append(cases, one)
		}
		return nil
	}
	if err := add("", fixtures.Photos()); err != nil {
		return nil, err
	}
	return cases, add("scene-", fixtures.BuiltinScenes())
}

// progress tells a terminal how far a matrix is.
func progress(c *cli.Context, total int) func(*parity.Case, parity.Column, *evidence.Run) {
	if !isTerminal(c.App.ErrWriter) {
		return func(*parity.Case, parity.Column, *evidence.Run) {}
	}
	done, start := 0, time.Now()
	return func(cs *parity.Case, col parity.Column, e *evidence.Run) {
		done++
		left := time.Duration(float64(time.Since(start)) / float64(done) * float64(total-done)).Round(time.Second)
		fmt.Fprintf(c.App.ErrWriter, "\r\x1b[K[%d/%d] %s %s %s, %v left", done, total, cs.Name, col, e.State, left)
		if done == total {
			fmt.Fprint(c.App.ErrWriter, "\r\x1b[K")
		}
	}
}
