package main

import (
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/reports"
)

func runCommand() *cli.Command {
	flags := append(choiceFlags(),
		&cli.StringSliceFlag{Name: "image", Usage: "PNG or JPEG `FILE...`, one run each"},
		&cli.StringFlag{Name: "tensors", Usage: "safetensors `FILE` with the tensor image, B×3×H×W float32"},
		&cli.StringFlag{Name: "out", Usage: "write every output to a safetensors `FILE` (a folder for several images)"},
		&cli.StringFlag{Name: "json", Usage: "write the report to `FILE`, or - for standard output"},
		&cli.StringFlag{Name: "overlay", Usage: "write the picture with what was found to a PNG `FILE` (a folder for several images)"},
		&cli.BoolFlag{Name: "taps", Usage: "add every intermediate to --out, as tap.NAME"},
		&cli.BoolFlag{Name: "isolate", Usage: "run the backend in a worker process"},
	)
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:   "run",
		Usage:  "run one backend on pictures or tensors",
		Flags:  append(flags, decodeFlags()...),
		Action: runModel,
	}
}

// runModel checks everything that can be checked before it reads an input, then runs the inputs one by one.
func runModel(c *cli.Context) error {
	choice, err := chosenBackend(c)
	if err != nil {
		return err
	}
	threads, err := threadsOf(c)
	if err != nil {
		return err
	}
	decode, err := decodeOf(c)
	if err != nil {
		return err
	}
	images := c.StringSlice("image")
	if (len(images) == 0) == (c.String("tensors") == "") {
		return usagef("want either --image or --tensors")
	}
	if err := choice.selectBackend(c); err != nil {
		return err
	}
	m, err := choice.openModel(c)
	if err != nil {
		return err
	}
	inputs, err := openInputs(m, images, c.String("tensors"))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	r := runner{c: c, choice: choice, model: m, decode: decode, many: len(images) > 1,
		options: backends.Options{Precision: choice.precision, Threads: threads, Extra: choice.extra}}
	if c.Bool("taps") {
		r.options.Taps = []string{"all"}
	}
	return r.all(inputs)
}

// openInputs reads all inputs before the first run, so that a bad file costs no work.
func openInputs(m *source.Model, images []string, tensors string) ([]source.Input, error) {
	if tensors != "" {
		in, err := source.LoadTensors(tensors)
		return []source.Input{in}, err
	}
	var inputs []source.Input
	seen := map[string]string{}
	for _, path := range images {
		in, err := m.LoadPicture(path)
		if err != nil {
			return nil, err
		}
		if other, dup := seen[in.Name]; dup {
			return nil, fmt.Errorf("%s and %s would write the same output files", other, path)
		}
		seen[in.Name] = path
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// runner carries one command through its inputs.
type runner struct {
	c       *cli.Context
	choice  *choice
	model   *source.Model
	decode  model.Decode
	options backends.Options
	many    bool
}

func (r runner) all(inputs []source.Input) error {
	var list []*reports.Run
	for _, in := range inputs {
		res, err := execute.Once(r.c.Context, r.choice.backend, r.model, in, r.decode, r.options)
		if err != nil { // the input is at fault
			return exit.With(exit.Usage, fmt.Errorf("%s: %w", in.Name, err))
		}
		if res.Err != nil {
			return exit.With(evidence.ExitCode([]evidence.State{res.State}, false), fmt.Errorf("%s: %w", in.Name, res.Err))
		}
		report, err := reports.DescribeRun(reports.Executed{Selection: r.choice.selection, Precision: r.options.Precision, Model: r.model, Input: in, Decode: r.decode}, res)
		if err != nil {
			return exit.With(exit.Internal, fmt.Errorf("%s: %w", in.Name, err))
		}
		list = append(list, report)
		if err := errors.Join(r.writeOut(in, res), r.writeOverlay(in, report)); err != nil {
			return err
		}
	}
	return r.writeReports(list)
}

// target returns where the file of one input goes: the path itself, or NAME.ext in the folder it names.
func (r runner) target(path, name, ext string) (string, error) {
	if !r.many {
		return path, nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", err
	}
	return filepath.Join(path, name+ext), nil
}

func (r runner) writeOut(in source.Input, res *evidence.Run) error {
	if r.c.String("out") == "" {
		return nil
	}
	path, err := r.target(r.c.String("out"), in.Name, ".safetensors")
	if err != nil {
		return err
	}
	return source.WriteTensors(path, map[string]string{"backend": r.choice.backend.Name(), "precision": string(r.options.Precision),
		"config_sha256": r.model.ConfigDigest, "weights_sha256": r.model.WeightsDigest}, res.Outputs)
}

// writeOverlay draws the first sample, and with a batch from --tensors every sample into a folder.
func (r runner) writeOverlay(in source.Input, report *reports.Run) error {
	if r.c.String("overlay") == "" {
		return nil
	}
	r.many = r.many || len(report.Images) > 1
	for i := range report.Images {
		name := in.Name
		if len(report.Images) > 1 {
			name = fmt.Sprintf("%s-%d", in.Name, i)
		}
		path, err := r.target(r.c.String("overlay"), name, ".png")
		if err != nil {
			return err
		}
		img := reports.Overlay(reports.SubjectOf(r.model, in).SceneOf(report.Images[i], in.Image, i))
		if err := atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return png.Encode(w, img) }); err != nil {
			return err
		}
	}
	return nil
}

// writeReports writes the JSON (one object, or a list for several images) and, unless that goes to standard output, a line
// per run for people.
func (r runner) writeReports(list []*reports.Run) error {
	if r.c.String("json") != "" {
		caps := execute.DetectCaps(r.c.Context)
		for _, rep := range list {
			rep.RuntimeCaps = caps
		}
	}
	var value any = list
	if !r.many {
		value = list[0]
	}
	switch path := r.c.String("json"); path {
	case "-":
		return reports.IndentedJSON(r.c.App.Writer, value)
	case "":
	default:
		if err := atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return reports.IndentedJSON(w, value) }); err != nil {
			return err
		}
	}
	for _, rep := range list {
		if _, err := io.WriteString(r.c.App.Writer, summaryLine(rep)); err != nil {
			return err
		}
	}
	return nil
}

// summaryLine says in one line what a run found.
func summaryLine(r *reports.Run) string {
	var parts []string
	for _, im := range r.Images {
		counts, order := map[string]int{}, []string{}
		for _, d := range im.Detections {
			if d.Score < reports.OverlayMinScore {
				continue
			}
			if counts[d.Class] == 0 {
				order = append(order, d.Class)
			}
			counts[d.Class]++
		}
		text := fmt.Sprintf("%d detections", len(im.Detections))
		for i, class := range order {
			sep := ", "
			if i == 0 {
				sep = fmt.Sprintf(", with score ≥ %.2f: ", reports.OverlayMinScore)
			}
			text += fmt.Sprintf("%s%d %s", sep, counts[class], class)
		}
		parts = append(parts, text)
	}
	return fmt.Sprintf("%s  %s %s  %.1f ms  %s\n", r.Input.Name, r.ExecutionName, r.EffectiveDType, r.Latency.BackendExecute, strings.Join(parts, " | "))
}
