package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/quality"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/reports"
)

func evalCommand() *cli.Command {
	flags := append(choiceFlags(), &cli.StringFlag{Name: "results", Usage: "evaluate the COCO results in `FILE` instead of running a backend"})
	flags = append(append(flags, datasetFlags()...),
		&cli.StringFlag{Name: "against", Usage: "compare with another execution, `BACKEND:PRECISION` such as reference:fp32"},
		&cli.StringFlag{Name: "against-results", Usage: "compare with the COCO results in `FILE`"},
		&cli.StringFlag{Name: "panoptic", Usage: "panoptic truth in `FILE`, with its pictures in the folder of the same name without .json"},
		&cli.StringFlag{Name: "panoptic-results", Usage: "panoptic results in `FILE`, with its pictures beside it in the same way"},
		&cli.Float64Flag{Name: "max-map-drop", Usage: "greatest loss of AP of boxes against the other execution, `X` from 0 to 1; the interval's end decides"},
		&cli.IntFlag{Name: "replicates", Value: 2000, Usage: "`N` bootstrap replicates of the differences, from 100 to 100000"},
		&cli.Float64Flag{Name: "confidence", Value: 0.99, Usage: "of the intervals, `X` between 0.5 and 1"},
		&cli.Uint64Flag{Name: "seed", Usage: "`N` of the bootstrap"},
		&cli.DurationFlag{Name: "deadline", Value: 5 * time.Minute, Usage: "bound on compiling and on running once, a `DURATION`"},
		&cli.StringFlag{Name: "json", Usage: "write the report to `FILE`, or - for standard output"},
		&cli.StringFlag{Name: "report", Usage: "write index.html, eval.md and pictures to a `FOLDER`"},
		&cli.StringFlag{Name: "write-results", Usage: "write what was found to `FILE`, in the form of COCO results"},
	)
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:  "eval",
		Usage: "how good detections and masks are on a data set, and what a precision costs",
		Description: `Runs a backend, in a worker process, on every picture of a data set, or reads what another tool found, and compares it with the annotations: COCO's twelve numbers for boxes and
masks, as pycocotools computes them, and the overlap of the labels of pixels. With --against the same pictures are evaluated twice, and the differences have intervals of a
paired bootstrap over the images.

With --max-map-drop the exit code is 1 if more than that was lost for certain, 3 if the interval holds it, and else 0.`,
		Flags:  append(flags, decodeFlags()...),
		Action: evaluateModel,
	}
}

// evaluation carries one command through its data set.
type evaluation struct {
	c       *cli.Context
	options coco.Options
	assess  quality.Options
	set     *quality.Set
	model   *source.Model // nil until an execution needs it
	decode  model.Decode

	executed []backends.Backend // what was run, not read from a file
}

// evaluationSide is what --backend, --results or --against, --against-results name: an execution or a file.
type evaluationSide struct {
	file      string
	backend   backends.Backend
	precision backends.Precision
	extra     map[string]string
}

// evaluateModel checks everything that can be checked before it reads the data set, and reads that before it runs anything.
func evaluateModel(c *cli.Context) error {
	e := &evaluation{c: c, options: coco.Options{Strict: c.Bool("strict")}}
	if err := e.readOptions(); err != nil {
		return err
	}
	candidate, err := e.candidate()
	if err != nil {
		return err
	}
	base, err := e.base()
	if err != nil {
		return err
	}
	if e.set, err = openDataset(c); err != nil {
		return err
	}
	found, err := e.find(candidate)
	if err != nil {
		return err
	}
	if path := c.String("write-results"); path != "" {
		if err := atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return coco.WriteDetections(w, found.Detections) }); err != nil {
			return err
		}
	}
	var against *quality.Found
	if base != nil {
		if against, err = e.find(base); err != nil {
			return err
		}
	}
	if e.executed != nil {
		e.assess.Variables = execute.Variables(c.Context, e.executed...)
	}
	doc, err := quality.Assess(e.set, found, against, e.assess)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if truth := c.String("panoptic"); truth != "" {
		var problems coco.Problems
		if doc.Summary.Panoptic, problems, err = quality.Panoptic(truth, c.String("panoptic-results"), e.options); err != nil {
			return exit.With(exit.Usage, err)
		}
		tellProblems(c, "panoptic", problems)
	}
	return e.report(doc, found, against)
}

// readOptions reads the flags of numbers.
func (e *evaluation) readOptions() (err error) {
	c := e.c
	if n := c.Int("replicates"); n < 100 || n > 100000 {
		return usagef("--replicates %d is outside [100, 100000]", n)
	}
	if v := c.Float64("confidence"); !(v > 0.5 && v < 1) {
		return usagef("--confidence %v is not between 0.5 and 1", v)
	}
	e.assess.Bootstrap = evaluate.BootstrapOptions{Replicates: c.Int("replicates"), Confidence: c.Float64("confidence"), Seed: c.Uint64("seed")}
	if c.Duration("deadline") <= 0 {
		return usagef("--deadline must be positive")
	}
	if c.IsSet("max-map-drop") {
		v := c.Float64("max-map-drop")
		if !(v >= 0 && v <= 1) {
			return usagef("--max-map-drop %v is outside [0, 1]", v)
		}
		if c.String("against") == "" && c.String("against-results") == "" {
			return usagef("--max-map-drop needs something to compare with: --against or --against-results")
		}
		e.assess.MaxMapDrop = &v
	}
	if (c.String("panoptic") == "") != (c.String("panoptic-results") == "") {
		return usagef("want --panoptic and --panoptic-results together")
	}
	e.decode, err = decodeOf(c)
	return err
}

// candidate is what is evaluated.
func (e *evaluation) candidate() (*evaluationSide, error) {
	if file := e.c.String("results"); file != "" {
		if e.c.IsSet("backend") || e.c.IsSet("precision") {
			return nil, usagef("want either --results or --backend and --precision")
		}
		return &evaluationSide{file: file}, nil
	}
	choice, err := chosenBackend(e.c)
	if err != nil {
		return nil, err
	}
	choice.isolate = true
	if err := choice.selectBackend(e.c); err != nil {
		return nil, err
	}
	e.model = choice.model
	return &evaluationSide{backend: choice.backend, precision: choice.precision, extra: choice.extra}, nil
}

// base is what it is compared with, nil for nothing.
func (e *evaluation) base() (*evaluationSide, error) {
	execution, file := e.c.String("against"), e.c.String("against-results")
	switch {
	case execution != "" && file != "":
		return nil, usagef("want either --against or --against-results")
	case file != "":
		return &evaluationSide{file: file}, nil
	case execution == "":
		return nil, nil
	}
	name, precision, found := strings.Cut(execution, ":")
	if !found {
		return nil, usagef("--against %q: want BACKEND:PRECISION, such as reference:fp32", execution)
	}
	p, err := backends.ParsePrecision(precision)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	if name, err = knownBackend(e.c, name); err != nil {
		return nil, err
	}
	return e.execution(name, p)
}

// execution opens a backend and makes sure that it can be had.
func (e *evaluation) execution(name string, precision backends.Precision) (*evaluationSide, error) {
	extra, err := extraOptions(e.c, name)
	if err != nil {
		return nil, err
	}
	b, err := openBackend(e.c, name, execute.Options{Isolate: true, Deadline: e.c.Duration("deadline")})
	if err != nil {
		return nil, err
	}
	return &evaluationSide{backend: b, precision: precision, extra: extra}, available(e.c.Context, b, name)
}

// find runs or reads a side.
func (e *evaluation) find(s *evaluationSide) (*quality.Found, error) {
	if s.file != "" {
		found, problems, err := quality.FromFile(s.file, e.set, e.options)
		if err != nil {
			return nil, exit.With(exit.Usage, err)
		}
		tellProblems(e.c, found.Name, problems)
		return found, nil
	}
	threads, err := threadsOf(e.c)
	if err != nil {
		return nil, err
	}
	if e.model == nil {
		if e.model, err = openModel(e.c); err != nil {
			return nil, err
		}
	}
	if err := namedCalibration(e.c, e.model, s.precision); err != nil {
		return nil, err
	}
	e.executed = append(e.executed, s.backend)
	found, err := quality.Execute(e.c.Context, e.set, quality.Request{Backend: s.backend, Model: e.model, Decode: e.decode,
		Progress: countImages(e.c, fmt.Sprintf("%s %s", s.backend.Name(), s.precision)),
		Options:  backends.Options{Precision: s.precision, Threads: threads, Extra: s.extra}})
	if errors.Is(err, quality.ErrData) {
		return nil, exit.With(exit.Usage, err)
	}
	if err != nil {
		outcome := evidence.Of(e.c.Context, err)
		return nil, exit.With(evidence.ExitCode([]evidence.State{outcome.State}, false), err)
	}
	return found, nil
}

// countImages counts them on a terminal.
func countImages(c *cli.Context, what string) func(done, of int) {
	if !isTerminal(c.App.ErrWriter) {
		return nil
	}
	return func(done, of int) {
		end := ""
		if done == of {
			end = "\n"
		}
		fmt.Fprintf(c.App.ErrWriter, "\r%s  %d of %d images%s", what, done, of, end)
	}
}

// mostPictures is how many of the images that changed most the page shows.
const mostPictures = 6

// report completes the document and writes it.
func (e *evaluation) report(doc *reports.Evaluation, found, against *quality.Found) error {
	c := e.c
	doc.GeneratedAt, doc.Version, doc.Build, doc.Command = time.Now().UTC().Format(time.RFC3339), readVersion().Version, ownBuild(), "apexx "+strings.Join(os.Args[1:], " ")
	if m := e.model; m != nil && found.Execution != nil {
		doc.Model = &reports.Model{Profile: m.Config.Model.Profile, Classes: m.Classes, ConfigSHA256: m.ConfigDigest, WeightsSHA256: m.WeightsDigest}
		doc.Runtime.PrecisionProfile, doc.ModelEval.PrecisionProfile = m.Config.Runtime.PrecisionProfile, m.Config.Runtime.PrecisionProfile
	}
	if dir := c.String("report"); dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := quality.Pictures(e.set, doc, against, found, mostPictures); err != nil {
			fmt.Fprintf(c.App.ErrWriter, "the page is without pictures: %v\n", err)
		}
		if _, err := reports.WriteEvaluationDir(dir, doc); err != nil {
			return err
		}
	}
	if err := e.write(doc); err != nil {
		return err
	}
	if doc.ExitCode != exit.OK {
		return exit.Silent(doc.ExitCode)
	}
	return nil
}

func (e *evaluation) write(doc *reports.Evaluation) error {
	out := e.c.App.Writer
	switch path := e.c.String("json"); path {
	case "-":
		return reports.EvaluationJSON(out, doc)
	case "":
	default:
		if err := atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return reports.EvaluationJSON(w, doc) }); err != nil {
			return err
		}
	}
	return reports.EvaluationTable(out, doc)
}
