package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/locate"
	"github.com/apex-x/apexx/reports"
	"github.com/apex-x/apexx/reports/plots"
)

func locateCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "backends", Usage: "two backends, `A,B`: B is held to exact arithmetic, step by step, on the values of A"},
		&cli.StringFlag{Name: "precision", Value: "fp32", Usage: "of both, `NAME`: fp32, tf32, fp16 or bf16"},
		&cli.StringFlag{Name: "cases", Value: "builtin", Usage: "`DIR` of the case, or builtin, as for apexx matrix"},
		&cli.StringFlag{Name: "model", Usage: "an ONNX model of your own, `FILE` with static shapes, instead of a case"},
		&cli.StringSliceFlag{Name: "dim", Usage: "size of a symbolic dimension of --model, `NAME=N`; may be repeated"},
		&cli.StringFlag{Name: "tensors", Usage: "inputs of --model, a safetensors `FILE` or a picture (default: drawn from seed 1)"},
		&cli.StringFlag{Name: "profile", Value: "balanced", Usage: "tolerance profile `NAME`: quality, balanced or edge allow 4, 6 or 8 times the error that rounding leaves"},
		&cli.BoolFlag{Name: "minimize", Usage: "look for the smallest set of switches that removes what was found: options of the backend, fusions, roundings"},
		&cli.StringFlag{Name: "out", Usage: "write locate.json, plots of the error along the graph, and the first step beyond its budget by itself to the folder `DIR`"},
		&cli.StringFlag{Name: "json", Usage: "write the result to `FILE`, or - for standard output"},
		&cli.DurationFlag{Name: "deadline", Value: 5 * time.Minute, Usage: "bound on compiling and on running once, a `DURATION`"},
	}
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:      "locate",
		Usage:     "find the step of a graph at which two backends part",
		ArgsUsage: "CASE",
		Description: "CASE is the name of a case, as apexx matrix prints it. A runs once. Every step of B's plan is then fed what A computed, and B's result is held to\n" +
			"what float64 computes of the same values and what rounding may leave there, element by element (parity/budget/TOLERANCES.md): the\n" +
			"local error. B also runs as a whole, under A's decisions: the accumulated error. The first step beyond its budget is taken apart.\n" +
			"With --minimize that step, or where it is right by itself the whole run, is executed again under sets of switches, by delta debugging\n" +
			"(ddmin), until none can be left out: threads, Winograd's algorithm, provider and optimisation level, tuned configurations, single\n" +
			"fusions of reference and ort, and of a low precision the roundings. TensorRT builds an engine for every pass, four and more, and\n" +
			"takes no --minimize.\n\n" +
			"Exit codes: 0 every step is within its budget, 1 one is not, 3 a step could not be judged, A is beyond the budget itself, or the\n" +
			"whole run is off by more than its steps explain.\n\n" +
			"Environment: APEXX_INJECT plants a fault, to try this command: wrong#NODE@locate/b/*/* lets the node NODE of B read its first\n" +
			"constant of floats 1 % larger (locate/a/… for A; then come backend and precision), and wrong#NODE unless OPTION=VALUE,…@locate/b/*/*\n" +
			"but in sessions of all of these options, as --minimize tries them: threads, precision, tap, or those of the backend.",
		Flags:  append(flags, decodeFlags()...),
		Action: runLocate,
	}
}

func runLocate(c *cli.Context) error {
	spec, err := locateSpec(c)
	if err != nil {
		return err
	}
	name := ""
	if spec.Graph, spec.Inputs, name, err = locateSubject(c); err != nil {
		return err
	}
	if err := worker.CheckInjectedNodes(os.Getenv(worker.InjectVariable), spec.Graph); err != nil {
		return exit.With(exit.Usage, err)
	}
	if isTerminal(c.App.ErrWriter) {
		spec.OnPass = func(p locate.Pass) { fmt.Fprintf(c.App.ErrWriter, "%s: %v\n", p.Name, p.Time.Round(time.Millisecond)) }
		spec.OnFirst = func(s *locate.Step, by string) {
			fmt.Fprintf(c.App.ErrWriter, "first step beyond its budget: %s (%s)\n", s.Name, by)
		}
	}
	trace, err := locate.Run(c.Context, *spec)
	if err != nil {
		return exit.With(evidence.ExitCode([]evidence.State{evidence.Of(c.Context, err).State}, false), fmt.Errorf("locate: %w", err))
	}
	variables := execute.Variables(c.Context, spec.Reference.Backend, spec.Candidate.Backend, spec.Oracle)
	return writeLocate(c, &reports.Locate{Schema: reports.LocateSchemaID, Case: name, Variables: variables, Trace: trace})
}

// locateSpec checks what is asked of which backends.
func locateSpec(c *cli.Context) (*locate.Spec, error) {
	profile, err := parity.ParseProfile(c.String("profile"))
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	precision, err := steppedPrecision(c)
	if err != nil {
		return nil, err
	}
	threads, err := threadsOf(c)
	if err != nil {
		return nil, err
	}
	if c.Duration("deadline") <= 0 {
		return nil, usagef("--deadline must be positive")
	}
	names := strings.Split(c.String("backends"), ",")
	if len(names) != 2 {
		return nil, usagef("--backends: want two backends, A,B, such as reference,ort")
	}
	sides, cells := make([]locate.Side, 2), make([]string, 2)
	for i := range names {
		if names[i], err = knownBackend(c, strings.TrimSpace(names[i])); err != nil {
			return nil, err
		}
		if c.Bool("minimize") && backends.BuildsEngines(names[i]) {
			return nil, usagef("--minimize: %s would build an engine for every set of switches; without it the step is named all the same", names[i])
		}
		extra, err := extraOptions(c, names[i])
		if err != nil {
			return nil, err
		}
		sides[i].Options = backends.Options{Precision: precision, Threads: threads, Extra: extra}
		b, err := locateBackend(c, names[i])
		if err != nil {
			return nil, err
		}
		cells[i] = fmt.Sprintf("locate/%c/%s/%s", 'a'+i, names[i], precision)
		sides[i].Backend = worker.Named(b, cells[i])
	}
	if err := worker.CheckInjections(os.Getenv(worker.InjectVariable), cells); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	oracle, err := locateBackend(c, "reference")
	return &locate.Spec{Reference: sides[0], Candidate: sides[1], Oracle: oracle, Profile: profile.Name(), Minimize: c.Bool("minimize")}, err
}

// stepped are the precisions in which a step can be fed by itself: int8 and fp8 round by ranges that belong to the whole graph.
var stepped = []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16}

// steppedPrecision reads --precision of the commands that go step by step.
func steppedPrecision(c *cli.Context) (backends.Precision, error) {
	precision, err := backends.ParsePrecision(c.String("precision"))
	switch {
	case err != nil:
		return "", exit.With(exit.Usage, err)
	case precision == backends.FP64:
		return "", usagef("--precision fp64: float64 is what the others are held to; want %s", backends.ChoiceOf(stepped))
	case !slices.Contains(stepped, precision):
		return "", usagef("--precision %s: steps are compared in %s", precision, backends.ChoiceOf(stepped))
	}
	return precision, nil
}

// locateBackend opens a backend in a worker and makes sure that it is here.
func locateBackend(c *cli.Context, name string) (backends.Backend, error) {
	b, err := openBackend(c, name, execute.Options{Isolate: true, Deadline: c.Duration("deadline")})
	if err != nil {
		return nil, err
	}
	return b, available(c.Context, b, name)
}

// locateSubject opens the case, or the graph of --model.
func locateSubject(c *cli.Context) (*graph.Graph, tensor.List, string, error) {
	model, tensors := c.String("model"), c.String("tensors")
	switch {
	case model == "" && (tensors != "" || c.IsSet("dim")):
		return nil, nil, "", usagef("--tensors and --dim are for --model")
	case model != "" && c.NArg() > 0 || model == "" && c.NArg() != 1:
		return nil, nil, "", usagef("want either one CASE, such as apexx locate astronaut --backends reference,ort, or --model")
	case model != "":
		one, err := locateNetwork(c, model, tensors)
		if err != nil {
			return nil, nil, "", exit.With(exit.Usage, err)
		}
		return one.Network.Graph, one.Inputs, printable.Line(filepath.Base(model)), nil
	}
	decode, err := decodeOf(c)
	if err != nil {
		return nil, nil, "", err
	}
	m, err := openModel(c)
	if err != nil {
		return nil, nil, "", err
	}
	cases, err := openCases(c, m, decode)
	if err != nil {
		return nil, nil, "", exit.With(exit.Usage, err)
	}
	at := slices.IndexFunc(cases, func(x source.Case) bool { return x.Name == c.Args().First() })
	if at < 0 {
		var known []string
		for _, x := range cases {
			known = append(known, x.Name)
		}
		return nil, nil, "", usagef("no case %q in %s (it has %s)", c.Args().First(), printable.Line(c.String("cases")), strings.Join(known, ", "))
	}
	one := &cases[at]
	g, err := one.Model.Graph(one.Options(one.Decode))
	return g, one.Tensors(), one.Name, exit.With(exit.Usage, err)
}

// locateNetwork opens a model of anybody's, and its inputs.
func locateNetwork(c *cli.Context, model, inputs string) (source.NetworkCase, error) {
	dims, err := dimsOf(c)
	if err != nil {
		return source.NetworkCase{}, err
	}
	network, err := source.OpenNetwork(model, dims)
	switch {
	case err != nil:
		return source.NetworkCase{}, err
	case inputs == "":
		return network.Seeded(1)[0], nil
	}
	return network.OpenCase(inputs)
}

// writeLocate writes the folder, the JSON and, unless that goes to standard output, the table, and turns the state into an exit code.
func writeLocate(c *cli.Context, l *reports.Locate) error {
	write := func(w io.Writer) error { return reports.IndentedJSON(w, l) }
	if dir := c.String("out"); dir != "" {
		if err := writeLocateDir(dir, l, write); err != nil {
			return exit.With(exit.Usage, err)
		}
	}
	path := c.String("json")
	if path != "" && path != "-" {
		if err := atomicfile.WriteFile(path, 0o644, write); err != nil {
			return err
		}
	}
	table := func(w io.Writer) error { return reports.LocateTable(w, l) }
	if path == "-" {
		table = write
	}
	if err := table(c.App.Writer); err != nil {
		return err
	}
	if code := evidence.ExitCode([]evidence.State{l.State}, false); code != exit.OK {
		return exit.Silent(code)
	}
	return nil
}

func writeLocateDir(dir string, l *reports.Locate, write func(io.Writer) error) error {
	folder := filepath.Join(dir, "step")
	if err := execute.RemoveReproducer(folder); err != nil { // of an earlier run
		return err
	}
	if r := l.Reproducer(); r != nil {
		other := l.Reference.Backend
		if l.Finding.By == "reference" {
			other = l.Candidate.Backend
		}
		command, err := execute.WriteReproducer(folder, r, other, l.Profile)
		if err != nil {
			return err
		}
		l.Reproduce = fmt.Sprintf("cd %s && %s", printable.Line(folder), command)
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if figure := plots.Locate(l.Case, l.Trace); figure != nil {
		if err := writeFigure(filepath.Join(dir, "locate"), figure); err != nil {
			return err
		}
	}
	return atomicfile.WriteFile(filepath.Join(dir, "locate.json"), 0o644, write)
}
