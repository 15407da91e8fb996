package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/panoptic"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/reports"
)

func runCommand() *cli.Command {
	flags := append(choiceFlags(),
		&cli.StringSliceFlag{Name: "image", Usage: "PNG or JPEG `FILE...`, one run each"},
		&cli.StringFlag{Name: "tensors", Usage: "safetensors `FILE` with the tensor image, B×3×H×W float32"},
		&cli.StringFlag{Name: "video", Usage: "`DIR` with the frames of a sequence, PNG or JPEG of one size, in natural order: frame2 before frame10"},
		&cli.StringFlag{Name: "out", Usage: "write every output to a safetensors `FILE` (a folder for several images)"},
		&cli.StringFlag{Name: "json", Usage: "write the report to `FILE`, or - for standard output; of a sequence a line for each frame"},
		&cli.StringFlag{Name: "overlay", Usage: "write the picture with what was found to a PNG `FILE` (a folder for several images)"},
		&cli.StringFlag{Name: "panoptic", Usage: "write panoptic segmentations as COCO has them: a PNG for each picture to `DIR`, and DIR.json beside it"},
		&cli.BoolFlag{Name: "taps", Usage: "add every intermediate to --out, as tap.NAME"},
		&cli.BoolFlag{Name: "isolate", Usage: "run the backend in a worker process"},
	)
	flags = append(flags, sequenceFlags()...)
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:   "run",
		Usage:  "run one backend on pictures, tensors or the frames of a sequence",
		Flags:  append(flags, decodeFlags()...),
		Action: runModel,
	}
}

// runModel checks everything that can be checked before it reads an input, then runs the inputs one by one.
func runModel(c *cli.Context) error {
	x, err := chosenExecution(c)
	if err != nil {
		return err
	}
	images := c.StringSlice("image")
	if err := checkInputFlags(c); err != nil {
		return err
	}
	sequence, err := sequenceOf(c)
	if err != nil {
		return err
	}
	m, err := x.open(c)
	if err != nil {
		return err
	}
	r := runner{c: c, choice: x.choice, model: m, decode: x.decode, many: len(images) > 1 || sequence != nil, options: x.options()}
	if c.Bool("taps") {
		r.options.Taps = []string{"all"}
	}
	if c.String("panoptic") != "" {
		r.panoptic = panoptic.NewDocument(m.Classes)
	}
	if sequence != nil {
		return r.sequence(*sequence)
	}
	inputs, err := openInputs(m, images, c.String("tensors"))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	return r.all(inputs)
}

// checkInputFlags wants one kind of input.
func checkInputFlags(c *cli.Context) error {
	given := 0
	for _, flag := range []string{"image", "tensors", "video"} {
		if c.IsSet(flag) {
			given++
		}
	}
	if given != 1 {
		return usagef("want one of --image, --tensors and --video")
	}
	return nil
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
	c        *cli.Context
	choice   *choice
	model    *source.Model
	decode   model.Decode
	options  backends.Options
	many     bool
	panoptic *panoptic.Document // nil where none is asked for
}

func (r runner) all(inputs []source.Input) error {
	var list []*reports.Run
	for _, in := range inputs {
		var res *evidence.Run
		err := metered(r.c, func(tell func(backends.Stage)) (err error) {
			r.options.Progress = tell
			res, err = execute.Once(r.c.Context, r.choice.backend, r.model, in, r.decode, r.options)
			return err
		})
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
		if err := errors.Join(r.writeOut(in, res.Outputs), r.writeOverlay(in, report), r.writePanoptic(in, report.Images, res.Outputs)); err != nil {
			return err
		}
	}
	if err := r.writePanopticDocument(); err != nil {
		return err
	}
	return r.writeReports(list)
}

// summaryLine says in one line what a run found.
func summaryLine(r *reports.Run) string {
	var parts []string
	for _, im := range r.Images {
		parts = append(parts, foundText(im))
	}
	return fmt.Sprintf("%s  %s %s  %.1f ms  %s\n", r.Input.Name, r.ExecutionName, r.EffectiveDType, r.Latency.BackendExecute, strings.Join(parts, " | "))
}

// foundText counts the detections of an image, and the strong ones by class.
func foundText(im reports.Image) string {
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
	return text
}
