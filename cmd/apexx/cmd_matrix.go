package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/reports"
)

func matrixCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "backends", Value: "available", Usage: "comma-separated `LIST` of backends, or available"},
		&cli.StringFlag{Name: "require", Usage: "comma-separated `LIST` of backends that have to be compared, beside those of --backends: 5 where one cannot be"},
		&cli.IntFlag{Name: "min-cases", Usage: "refuse to run with fewer than `N` cases, such as of a folder that was emptied"},
		&cli.StringFlag{Name: "model", Usage: "compare an ONNX model of your own, `FILE` with static shapes, instead of Apex-X"},
		&cli.StringSliceFlag{Name: "dim", Usage: "size of a symbolic dimension of --model, `NAME=N`; may be repeated"},
		&cli.StringFlag{Name: "cases", Value: "builtin", Usage: "`DIR` of pictures and safetensors files, or builtin: four photographs and eight scenes, of --model three drawn inputs"},
		&cli.StringFlag{Name: "precisions", Usage: "comma-separated `LIST` of fp64, fp32, tf32, fp16, bf16, int8 and fp8 (default: fp32, and fp64 of the reference as the oracle)"},
		&cli.StringFlag{Name: "profiles", Aliases: []string{"profile"}, Value: "balanced", Usage: "comma-separated `LIST` of tolerance profiles: quality, balanced and edge; each judges what was executed once in cells of its own"},
		&cli.StringFlag{Name: "report", Usage: "write index.html, matrix.json, .jsonl, .csv, .sqlite and .md, and junit.xml to the folder `DIR`"},
		&cli.StringFlag{Name: "json", Usage: "write the result to `FILE`, or - for standard output"},
		&cli.StringFlag{Name: "replay", Usage: "judge the record `FILE` of an earlier matrix again, a matrix.json, gzip-compressed or not, without executing anything; with --report and --json alone"},
		&cli.IntFlag{Name: "jobs", Value: 1, Usage: "`N` executions at a time; every one uses --threads threads"},
		&cli.DurationFlag{Name: "deadline", Value: 5 * time.Minute, Usage: "bound on compiling and on running one cell, a `DURATION` such as 90s or 5m"},
		&cli.StringFlag{Name: "certify", Usage: "take a certificate of the same cases, as apexx certify does, and write it to `FILE`"},
		&cli.BoolFlag{Name: "taps", Usage: "compare every intermediate as well"},
	}
	flags = append(flags, qualityFlags()...)
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:  "matrix",
		Usage: "compare backends with each other over many cases",
		Description: "Every execution runs in a worker process of its own, and twice in its session, the float64 oracle once. A cell ends as pass,\n" +
			"explained (decisions differ, and the scores of the items concerned account for it), unverified (nothing wrong was found,\n" +
			"and an output was left out of the comparison), fail, unsupported, not-run, error, crashed, hung or cancelled. A backend\n" +
			"that decided otherwise runs once more under the other's decisions, and everything after them is compared. In low\n" +
			"precisions the detections of all cases are compared as sets too, and count like a cell; name fp64 as well, as the oracle.\n" +
			"The percentage of a cell is its largest error over what rounding may leave of that element, derived from the arithmetic of the\n" +
			"run (not in int8 and fp8): decisions are held to it, and other errors to --profiles alone; a cell within them and beyond 100 %\n" +
			"is marked (!), and apexx locate looks for the step.\n" +
			"Several profiles judge the same executions, each in a row of its own, and the matrix passes where it does under all of them.\n\n" +
			"With --quality columns of low precision are also evaluated on a data set, against fp32 of the same backend, since tolerances\n" +
			"say little of what a format costs.\n\n" +
			"With --model nothing is known of the outputs: floats may be off by 1e-4 of the largest element, all together by a noise of\n" +
			"1e-5 (balanced), or by what the model's own arithmetic leaves where it amplifies rounding, integers by nothing. ONNX Runtime executes any operator; a backend that lacks one has cells that name it. A\n" +
			"case is a safetensors file with every input by its name, and expected outputs as out.NAME, or a picture for one [1,3,H,W].\n\n" +
			"Exit codes: 130 interrupted, else 1 with a failing cell, else 6 with one that crashed, hung or ended in an error, else 3\n" +
			"with an unverified one, else 5 where a backend, a precision or a case has no cell that could be compared, else 0. PASS is\n" +
			"printed and stored with 0 alone. Only --backends available leaves out what is not here. A certificate counts as a cell.\n\n" +
			"A column that cannot be had in any case is told once, with its reason: its cells are counted, and have no line.\n\n" +
			"With --replay the verdict is derived again from a record, which is refused where it contradicts itself, and everything is written as\n" +
			"it was made, without the pictures, which no record has.\n\n" +
			"An interrupted matrix is INCOMPLETE. With --report its finished cases are kept in DIR, and the same command goes on with it, under the\n" +
			"same cases, settings, libraries and program.",
		Flags:  append(flags, decodeFlags()...),
		Action: runMatrix,
	}
}

func runMatrix(c *cli.Context) error {
	if c.IsSet("replay") {
		return replayMatrix(c)
	}
	r, err := newMatrixRun(c)
	if err != nil {
		return err
	}
	if c.IsSet("model") {
		return networkMatrix(c, r.runner, r.spec)
	}
	return r.apexX()
}

// matrixRun is what the flags say of a matrix, whichever model it is of.
type matrixRun struct {
	c      *cli.Context
	decode model.Decode
	runner *execute.MatrixRunner
	spec   parity.MatrixSpec
}

func newMatrixRun(c *cli.Context) (*matrixRun, error) {
	profiles, err := profilesOf(c.String("profiles"))
	if err != nil {
		return nil, err
	}
	decode, err := decodeOf(c)
	if err != nil {
		return nil, err
	}
	threads, err := threadsOf(c)
	if err != nil {
		return nil, err
	}
	extras, err := extraOfAll(c)
	if err != nil {
		return nil, err
	}
	if c.Int("jobs") < 1 || c.Duration("deadline") <= 0 {
		return nil, usagef("--jobs and --deadline must be positive")
	}
	columns, err := chosenColumns(c)
	if err != nil {
		return nil, err
	}
	if err := checkModelFlags(c); err != nil {
		return nil, err
	}
	runner := &execute.MatrixRunner{Cases: map[string]execute.Subject{}, Threads: threads, Taps: c.Bool("taps"), Extra: extras,
		Open: func(name string) (backends.Backend, error) {
			return openBackend(c, name, execute.Options{Isolate: true, Deadline: c.Duration("deadline")})
		}}
	spec := parity.MatrixSpec{Name: matrixName(c), Columns: columns, Runner: runner, Replayer: runner, Budgets: runner, Jobs: c.Int("jobs")}
	for _, p := range profiles {
		if c.IsSet("model") {
			spec.Policies = append(spec.Policies, p.AnyModel())
		} else {
			spec.Policies = append(spec.Policies, p.Policy(parity.EndToEnd))
		}
	}
	return &matrixRun{c, decode, runner, spec}, nil
}

// checkModelFlags refuses flags of a model of one's own without one, and those of Apex-X with it.
func checkModelFlags(c *cli.Context) error {
	switch own := c.IsSet("model"); {
	case !own && c.IsSet("dim"):
		return usagef("--dim is of a model of your own: name it with --model")
	case own && c.IsSet("quality"):
		return usagef("--quality is of Apex-X and does not go with --model")
	case own && c.IsSet("certify"):
		return usagef("--certify is of Apex-X and does not go with --model")
	}
	return nil
}

// apexX runs the matrix of Apex-X.
func (r *matrixRun) apexX() error {
	c, columns := r.c, r.spec.Columns
	m, err := openModel(c)
	if err != nil {
		return err
	}
	set, err := openQuality(c)
	if err != nil {
		return err
	}
	folder, err := openFolder(c, m, r.decode)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	cases := folder.Cases
	for _, col := range columns {
		if err := namedCalibration(c, cases[0].Model, col.Precision); err != nil {
			return err
		}
	}
	for i := range cases {
		r.runner.Cases[cases[i].Name] = &cases[i]
		r.spec.Cases = append(r.spec.Cases, execute.ParityCase(&cases[i]))
	}
	if err := errors.Join(enoughCases(c, len(cases)), prepareReport(c)); err != nil {
		return err
	}
	digests := &reports.ModelDigests{Config: m.ConfigDigest, Weights: m.WeightsDigest}
	doc := &reports.Document{Model: digests, Subject: subjectFlags(c), LeftOut: folder.Reasons()}
	if set != nil {
		q := &matrixQuality{c: c, set: set, model: m, decode: r.decode, open: r.runner.Open, options: func(backend string, p backends.Precision) backends.Options {
			return backends.Options{Precision: p, Threads: r.runner.Threads, Extra: r.runner.Extra[backend]}
		}}
		if doc.Quality, err = q.columns(columns); err != nil {
			return err
		}
	}
	report := &matrixReport{c: c, doc: doc, gallery: gallery(cases, c.String("report") != ""), runner: r.runner, spec: r.spec}
	if path := c.String("certify"); path != "" {
		report.certify = func() (*reports.MatrixCertificate, error) { return certifyMatrix(c, path, m, columns, cases) }
	}
	return report.run()
}

// profilesOf reads --profiles.
func profilesOf(list string) ([]parity.Profile, error) {
	var profiles []parity.Profile
	for _, s := range strings.Split(list, ",") {
		p, err := parity.ParseProfile(s)
		if strings.TrimSpace(s) == "" {
			err = fmt.Errorf("--profiles %q has an empty name", list)
		}
		if err != nil {
			return nil, exit.With(exit.Usage, err)
		}
		if slices.ContainsFunc(profiles, func(o parity.Profile) bool { return o.Name() == p.Name() }) {
			return nil, usagef("--profiles %q names %s twice", list, p.Name())
		}
		profiles = append(profiles, p)
	}
	return profiles, nil
}

// certifyMatrix takes a certificate of what a matrix compared, writes it, and prints its table. How taking it ended is no error.
func certifyMatrix(c *cli.Context, path string, m *source.Model, columns []parity.Column, cases []source.Case) (*reports.MatrixCertificate, error) {
	cert, err := takeCertificate(c, m, columns, cases)
	taken := &reports.MatrixCertificate{Taken: cert, Outcome: evidence.Of(c.Context, err)}
	if err != nil {
		return taken, nil
	}
	err = atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return reports.IndentedJSON(w, cert) })
	if err != nil || c.String("json") == "-" { // standard output is the object and nothing else
		return taken, err
	}
	if err := cert.Table(c.App.Writer); err != nil {
		return taken, err
	}
	_, err = fmt.Fprintln(c.App.Writer)
	return taken, err
}

// enoughCases holds the number of cases to --min-cases.
func enoughCases(c *cli.Context, n int) error {
	least := c.Int("min-cases")
	if least < 0 {
		return usagef("--min-cases %d: want a number of cases", least)
	}
	if n < least {
		return usagef("%s has %d cases, and --min-cases asks for %d", printable.Line(c.String("cases")), n, least)
	}
	return nil
}

// prepareReport makes the folder of --report: an unwritable place costs nothing but this line.
func prepareReport(c *cli.Context) error {
	dir := c.String("report")
	if dir == "" {
		return nil
	}
	return exit.With(exit.Usage, os.MkdirAll(dir, 0o755))
}

func matrixName(c *cli.Context) string {
	if cases := c.String("cases"); cases != "builtin" {
		return printable.Line(filepath.Base(cases))
	}
	return "builtin"
}

// drawnCases is how many cases --model has without --cases.
const drawnCases = 3

// networkMatrix is the matrix of --model.
func networkMatrix(c *cli.Context, runner *execute.MatrixRunner, spec parity.MatrixSpec) error {
	var precisions []backends.Precision
	for _, col := range spec.Columns {
		precisions = append(precisions, col.Precision)
	}
	if err := forNetworks(c, precisions); err != nil {
		return err
	}
	dims, err := dimsOf(c)
	if err != nil {
		return err
	}
	network, err := source.OpenNetwork(c.String("model"), dims)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	cases := network.Seeded(drawnCases)
	var left []source.LeftOut
	if dir := c.String("cases"); dir != "builtin" {
		folder, err := network.LoadCases(dir)
		tellLeftOut(c, dir, folder.Remark())
		if err != nil {
			return exit.With(exit.Usage, err)
		}
		cases, left = folder.Cases, folder.Reasons()
	}
	for i := range cases {
		runner.Cases[cases[i].Name] = &cases[i]
		spec.Cases = append(spec.Cases, execute.NetworkParityCase(&cases[i]))
	}
	if err := errors.Join(enoughCases(c, len(cases)), prepareReport(c)); err != nil {
		return err
	}
	title := fmt.Sprintf("Parity of %s (SHA-256 %.12s)", printable.Line(filepath.Base(c.String("model"))), network.Digest)
	r := &matrixReport{c: c, doc: &reports.Document{Title: title, Subject: subjectFlags(c), AnyModel: true, LeftOut: left}, runner: runner, spec: spec}
	return r.run()
}

// subjectFlags are the flags that say what was compared, for a command that looks into one of its cases.
func subjectFlags(c *cli.Context) string {
	var flags []string
	for _, name := range []string{"model", "dim", "cases", "weights", "config", "set"} {
		if !c.IsSet(name) || name == "cases" && c.IsSet("model") {
			continue
		}
		values := []string{c.String(name)}
		if name == "dim" || name == "set" {
			values = c.StringSlice(name)
		}
		for _, v := range values {
			flags = append(flags, "--"+name+" "+shellWord(v))
		}
	}
	return strings.Join(flags, " ")
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// dimsOf reads --dim.
func dimsOf(c *cli.Context) (map[string]int, error) {
	dims := map[string]int{}
	for _, s := range c.StringSlice("dim") {
		name, value, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(value)
		if !ok || name == "" || err != nil || n < 1 {
			return nil, usagef("--dim %q: want NAME=N with N of at least 1, such as batch=1", s)
		}
		dims[name] = n
	}
	return dims, nil
}

// tellLeftOut says which files of a folder are no cases.
func tellLeftOut(c *cli.Context, dir, remark string) {
	if remark != "" {
		fmt.Fprintf(c.App.ErrWriter, "apexx: %s: %s\n", printable.Line(dir), remark)
	}
}

// chosenColumns lists backend and precision of every execution. Without --precisions the reference runs in float64 too, as
// the oracle.
func chosenColumns(c *cli.Context) ([]parity.Column, error) {
	names, err := chosenBackends(c, c.String("backends"))
	if err != nil {
		return nil, err
	}
	if c.IsSet("require") {
		required, err := chosenBackends(c, c.String("require"))
		if err != nil {
			return nil, err
		}
		for _, name := range required {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
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
func chosenBackends(c *cli.Context, list string) ([]string, error) {
	if list == "available" {
		return execute.DetectCaps(c.Context).Available(), nil
	}
	var names []string
	for _, s := range strings.Split(list, ",") {
		name, err := knownBackend(c, strings.TrimSpace(s))
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
	folder, err := openFolder(c, m, d)
	return folder.Cases, err
}

// openFolder reads the cases of --cases, and tells what is none.
func openFolder(c *cli.Context, m *source.Model, d model.Decode) (source.Folder, error) {
	if dir := c.String("cases"); dir != "builtin" {
		folder, err := source.LoadCases(dir, m, d)
		tellLeftOut(c, dir, folder.Remark())
		return folder, err
	}
	cases, err := builtinCases(c, m, d)
	return source.Folder{Cases: cases}, err
}

// builtinCases are the pictures that the program carries.
func builtinCases(c *cli.Context, m *source.Model, d model.Decode) ([]source.Case, error) {
	m, err := withBuiltinBudgets(c, m)
	if err != nil {
		return nil, err
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

// withBuiltinBudgets returns the model as the built-in cases run it: under their budgets, unless a configuration was given.
func withBuiltinBudgets(c *cli.Context, m *source.Model) (*source.Model, error) {
	if c.String("config") != "" {
		return m, nil
	}
	return m.WithDefaults(source.BuiltinOverrides)
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
