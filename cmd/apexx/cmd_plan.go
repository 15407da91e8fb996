package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/reports"
)

func planCommand() *cli.Command {
	flags := append(choiceFlags(),
		&cli.StringFlag{Name: "shape", Usage: "shape of the input, `BxCxHxW` (default: the configured input size, else 1x3x512x512)"},
		&cli.StringSliceFlag{Name: "tap", Usage: "`NAME` of an intermediate that the session returns too, or all; may be repeated"},
		&cli.IntFlag{Name: "times", Usage: "time every step over `N` executions on a grey image", DefaultText: "compile only"},
		&cli.StringFlag{Name: "json", Usage: "write the plan to `FILE`, or - for standard output"},
		&cli.BoolFlag{Name: "isolate", Usage: "compile in a worker process"},
	)
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:  "plan",
		Usage: "tell how a backend executes the model, step by step",
		Description: "A step is what a session executes as a whole, with the nodes of the graph that it covers. It is native, emulated (made of\n" +
			"other operators, or rounded float32) or a fallback (executed elsewhere, such as on the host). A chain that a tap split is told.\n" +
			"With --times, a line has the median of its step and the share of all steps; timing them can make a session slower.",
		Flags:  append(flags, decodeFlags()...),
		Action: showPlan,
	}
}

func showPlan(c *cli.Context) error {
	x, err := chosenExecution(c)
	if err != nil {
		return err
	}
	if n := c.Int("times"); n < 0 || n > maxPlanTimes {
		return usagef("--times %d is outside [0, %d]", n, maxPlanTimes)
	}
	m, err := x.open(c)
	if err != nil {
		return err
	}
	shape, err := shapeOf(c, m, x.decode)
	if err != nil {
		return err
	}
	opts := x.options()
	opts.Taps = c.StringSlice("tap")
	plan, err := compiledPlan(c, x.backend, m, shape, opts)
	if err != nil {
		return err
	}
	return writePlan(c, plan)
}

// maxPlanTimes bounds --times.
const maxPlanTimes = 10000

// shapeOf returns what --shape says, or the configured size.
func shapeOf(c *cli.Context, m *source.Model, decode model.Decode) (opts model.Options, err error) {
	opts = model.Options{Batch: 1, Height: 512, Width: 512, Decode: decode}
	if m.SizeGiven {
		opts.Height, opts.Width = m.Config.Model.InputHeight, m.Config.Model.InputWidth
	}
	if c.IsSet("shape") {
		opts.Batch, opts.Height, opts.Width, err = parseShape(c.String("shape"))
	}
	return opts, err
}

// compiledPlan compiles the model and times it on a grey image if asked to.
func compiledPlan(c *cli.Context, backend backends.Backend, m *source.Model, shape model.Options, opts backends.Options) (*reports.Plan, error) {
	g, err := execute.GraphIn(m, backend.Name(), shape, opts.Precision)
	if err == nil {
		_, err = g.WithTaps(opts.Taps) // a name that is none is wrong usage, whatever the backend
	}
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	image := tensor.New(tensor.Float32, shape.Batch, 3, shape.Height, shape.Width)
	for i := range tensor.Data[float32](image) {
		tensor.Data[float32](image)[i] = 0.5
	}
	var p *execute.Planned
	err = metered(c, func(tell func(backends.Stage)) (err error) {
		opts.Progress = tell
		p, err = execute.PlanOf(c.Context, backend, g, tensor.List{{Name: "image", Tensor: image}}, opts, c.Int("times"))
		return err
	})
	if err != nil {
		return nil, exit.With(evidence.ExitCode([]evidence.State{evidence.Of(c.Context, err).State}, false), fmt.Errorf("plan of %s: %w", backend.Name(), err))
	}
	out := &reports.Plan{Schema: reports.PlanSchemaID, Backend: backend.Name(), Precision: opts.Precision, Profile: m.Config.Model.Profile,
		Shape: image.Shape(), Taps: opts.Taps, HostBytes: p.Memory.Host, DevBytes: p.Memory.Device, Plan: p.Plan}
	if p.Executions > 0 {
		out.Times = &reports.PlanTimes{Executions: p.Executions, Execute: p.Execute, Device: p.Device, Steps: p.Steps}
	}
	return out, nil
}

// writePlan writes the JSON and, unless that goes to standard output, the table.
func writePlan(c *cli.Context, plan *reports.Plan) error {
	write := func(w io.Writer) error { return reports.IndentedJSON(w, plan) }
	switch path := c.String("json"); path {
	case "-":
		return write(c.App.Writer)
	case "":
	default:
		if err := atomicfile.WriteFile(path, 0o644, write); err != nil {
			return err
		}
	}
	return reports.PlanTable(c.App.Writer, plan)
}
