package main

import (
	"encoding/json"
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
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/atomicfile"
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
		&cli.StringFlag{Name: "panoptic", Usage: "write panoptic segmentations to `DIR` as COCO has them: a PNG for each picture and panoptic.json"},
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
	name, precision, m, err := chosenBackend(c)
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
	extra, err := extraOptions(c, name)
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
	backend, err := execute.Open(name, execute.Options{Isolate: c.Bool("isolate"), Extra: extra})
	if err != nil {
		return err
	}
	if err := backend.Probe(c.Context).Err(name); err != nil {
		return err
	}
	if m == nil {
		if m, err = openModel(c); err != nil {
			return err
		}
	}
	if err := namedCalibration(c, m, precision); err != nil {
		return err
	}
	r := runner{c: c, backend: backend, model: m, decode: decode, many: len(images) > 1 || sequence != nil,
		options: backends.Options{Precision: precision, Threads: threads, Extra: extra}}
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

// choiceFlags are what chosenBackend resolves.
func choiceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "backend", Usage: "backend `NAME`: " + strings.Join(backends.Known, ", ") + " (default: runtime.backend of the configuration)"},
		&cli.StringFlag{Name: "precision", Value: "fp32", Usage: "`NAME`: fp64, fp32, tf32, fp16, bf16, int8 or fp8, as far as the backend has it (caps tells)"},
	}
}

// chosenBackend resolves --backend, or runtime.backend of the configuration; the model is then open already, and otherwise
// nil, since a backend that is not there is told before anything is read.
func chosenBackend(c *cli.Context) (name string, precision backends.Precision, m *source.Model, err error) {
	if precision, err = backends.ParsePrecision(c.String("precision")); err != nil {
		return "", "", nil, exit.With(exit.Usage, err)
	}
	name = c.String("backend")
	if !c.IsSet("backend") {
		if m, err = openModel(c); err != nil {
			return "", "", nil, err
		}
		name = m.Config.Runtime.Backend
	}
	name, err = knownBackend(name)
	return name, precision, m, err
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
	backend  backends.Backend
	model    *source.Model
	decode   model.Decode
	options  backends.Options
	many     bool
	panoptic *panoptic.Document // nil where none is asked for
}

func (r runner) all(inputs []source.Input) error {
	var list []*reports.Run
	for _, in := range inputs {
		res, err := execute.Once(r.c.Context, r.backend, r.model, in, r.decode, r.options)
		if err != nil { // the input is at fault
			return exit.With(exit.Usage, fmt.Errorf("%s: %w", in.Name, err))
		}
		if res.Err != nil {
			return exit.With(evidence.ExitCode([]evidence.State{res.State}, false), fmt.Errorf("%s: %w", in.Name, res.Err))
		}
		report, err := reports.DescribeRun(reports.Executed{Backend: r.backend.Name(), Precision: r.options.Precision, Model: r.model, Input: in, Decode: r.decode}, res)
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

func (r runner) writeOut(in source.Input, outputs tensor.List) error {
	if r.c.String("out") == "" {
		return nil
	}
	path, err := r.target(r.c.String("out"), in.Name, ".safetensors")
	if err != nil {
		return err
	}
	return source.WriteTensors(path, map[string]string{"backend": r.backend.Name(), "precision": string(r.options.Precision),
		"config_sha256": r.model.ConfigDigest, "weights_sha256": r.model.WeightsDigest}, outputs)
}

// writeOverlay draws the first sample, and with a batch from --tensors every sample into a folder.
func (r runner) writeOverlay(in source.Input, report *reports.Run) error {
	if r.c.String("overlay") == "" {
		return nil
	}
	r.many = r.many || len(report.Images) > 1
	for i := range report.Images {
		scene := reports.SubjectOf(r.model, in).SceneOf(report.Images[i], in.Image, i)
		if err := r.drawOverlay(scene, sampleName(in, report.Images, i)); err != nil {
			return err
		}
	}
	return nil
}

func (r runner) drawOverlay(scene reports.Scene, name string) error {
	path, err := r.target(r.c.String("overlay"), name, ".png")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return png.Encode(w, reports.Overlay(scene)) })
}

// sampleName names one sample of an input: by its number where there are several.
func sampleName(in source.Input, images []reports.Image, i int) string {
	if len(images) == 1 {
		return in.Name
	}
	return fmt.Sprintf("%s-%d", in.Name, i)
}

// writePanoptic writes the segmentation of every sample and lists it in the document.
func (r runner) writePanoptic(in source.Input, images []reports.Image, outputs tensor.List) error {
	if r.panoptic == nil {
		return nil
	}
	r.many = true // it is a folder
	for i, im := range images {
		m, err := panoptic.OfRun(reports.SubjectOf(r.model, in), im, outputs, i, panoptic.DefaultOptions())
		if err != nil {
			return exit.With(exit.Internal, fmt.Errorf("%s: %w", in.Name, err))
		}
		name := sampleName(in, images, i)
		path, err := r.target(r.c.String("panoptic"), name, ".png")
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(path, 0o644, m.WritePNG); err != nil {
			return err
		}
		tracks := make([]int64, len(im.Detections))
		for j, d := range im.Detections {
			tracks[j] = d.TrackID
		}
		r.panoptic.Add(m, name, name+".png", tracks)
	}
	return nil
}

// panopticDocument is the file beside the segmentations.
const panopticDocument = "panoptic.json"

func (r runner) writePanopticDocument() error {
	if r.panoptic == nil {
		return nil
	}
	path := filepath.Join(r.c.String("panoptic"), panopticDocument)
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return json.NewEncoder(w).Encode(r.panoptic) })
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
