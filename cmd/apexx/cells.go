package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// cellFlags choose what is measured, in every command that measures.
func cellFlags(shapes, scopes string) []cli.Flag {
	names := make([]string, len(perf.Scopes))
	for i, s := range perf.Scopes {
		names[i] = string(s)
	}
	return []cli.Flag{
		&cli.StringFlag{Name: "backends", Value: "available", Usage: "comma-separated `LIST` of backends, or available"},
		&cli.StringFlag{Name: "profiles", Value: "nano", Usage: "`LIST` of model profiles: nano, small, base, large; nano has trained weights, the others " + execute.HashedDefault + " unless --weights says otherwise"},
		&cli.StringFlag{Name: "shapes", Value: shapes, Usage: "`LIST` of image sizes, HEIGHTxWIDTH"},
		&cli.StringFlag{Name: "batches", Value: "1", Usage: "`LIST` of batch sizes"},
		&cli.StringFlag{Name: "precisions", Value: "fp32", Usage: "`LIST` of precisions: fp64, fp32, tf32, fp16, bf16, int8, fp8"},
		&cli.StringFlag{Name: "scopes", Value: scopes, Usage: "`LIST` of " + strings.Join(names, ", ") + ", or all"},
		&cli.StringFlag{Name: "cells", Usage: "`LIST` of cells by name, BACKEND/PROFILE/PRECISION/HxW/bN/SCOPE, instead of the lists above"},
		&cli.StringFlag{Name: "model", Usage: "measure an ONNX model of your own, `FILE` with static shapes, instead of Apex-X: a cell of each backend, BACKEND/NAME/PRECISION/model"},
		&cli.StringSliceFlag{Name: "dim", Usage: "size of a symbolic dimension of --model, `NAME=N`; may be repeated"},
		&cli.StringFlag{Name: "tensors", Usage: "inputs of --model, a safetensors `FILE` or a picture (default: drawn from --seed)"},
		&cli.IntFlag{Name: "iterations", Value: measure.DefaultIterations, Usage: "samples of a cell in a replicate, `N` at most"},
		&cli.DurationFlag{Name: "time", Value: measure.DefaultBound, Usage: "bound on the samples of a cell in a replicate, a `DURATION`"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of the order of cells, and of drawn inputs"},
		&cli.DurationFlag{Name: "deadline", Value: 5 * time.Minute, Usage: "bound on compiling and on measuring one cell, a `DURATION`"},
	}
}

// workloadsOf is what cellFlags, modelFlags, decodeFlags and backendFlags say.
type workloadsOf struct {
	cells   []perf.Cell
	models  *execute.OwnModels    // nil with --model
	network *execute.NetworkModel // of --model, else nil
	options measure.Options
	seed    uint64
	where   *env.Environment // nil until it was asked for
}

// specOf tells how a build of apexx starts the worker of a backend.
type specOf func(backend string) worker.Spec

// ownWorker is the specOf of this build.
func ownWorker(c *cli.Context) specOf {
	return func(backend string) worker.Spec { return execute.WorkerSpec(backend, c.Duration("deadline")) }
}

// chosenWorkloads checks the flags and opens every model that they name. A backend that --backends names must be there in the first of
// the builds that are going to be measured, and "available" are the backends that any of them has: what the others lost is measured
// all the same, so that the loss is seen.
func chosenWorkloads(c *cli.Context, builds ...specOf) (*workloadsOf, error) {
	if c.IsSet("model") {
		return networkWorkloads(c, builds)
	}
	if c.IsSet("dim") || c.IsSet("tensors") {
		return nil, usagef("--dim and --tensors are of a model of your own: name it with --model")
	}
	cells, err := chosenCells(c, builds)
	if err != nil {
		return nil, err
	}
	w := &workloadsOf{cells: cells, seed: c.Uint64("seed")}
	if w.options, err = measureOptions(c); err != nil {
		return nil, err
	}
	decode, err := decodeOf(c)
	if err != nil {
		return nil, err
	}
	w.models = &execute.OwnModels{Decode: decode, Request: modelRequest(c)}
	for _, cell := range cells {
		w.models.Precisions = append(w.models.Precisions, cell.Precision)
	}
	for _, scene := range fixtures.BuiltinScenes() {
		w.models.Pictures = append(w.models.Pictures, scene.Data)
	}
	for _, cell := range cells {
		if err := w.check(cell); err != nil {
			return nil, exit.With(exit.Usage, err)
		}
	}
	return w, w.locate(c.Context)
}

// measureOptions checks how long, and with what, each cell is measured.
func measureOptions(c *cli.Context) (o measure.Options, err error) {
	threads, err := threadsOf(c)
	if err != nil {
		return o, err
	}
	if procs := runtime.GOMAXPROCS(0); threads > procs {
		return o, usagef("--threads %d is more than GOMAXPROCS, which is %d: the class of machines would tell fewer processors than are at work", threads, procs)
	}
	extras, err := extraOfAll(c)
	if err != nil {
		return o, err
	}
	if n := c.Int("iterations"); n > worker.MaxSamples {
		return o, usagef("--iterations: %d samples are too many (at most %d)", n, worker.MaxSamples)
	}
	if c.Int("iterations") < 1 || c.Duration("time") <= 0 || c.Duration("deadline") <= 0 {
		return o, usagef("--iterations, --time and --deadline must be positive")
	}
	return measure.Options{Iterations: c.Int("iterations"), Bound: c.Duration("time"), Threads: threads, Extra: extras}, nil
}

// source makes what the cells execute.
func (w *workloadsOf) source() measure.ModelSource {
	if w.network != nil {
		return w.network
	}
	return w.models
}

// checkInjections refuses faults for workers that no cell would have: a gate that is tried with them would seem blind.
func (w *workloadsOf) checkInjections() error {
	var names []string
	for _, cell := range w.cells {
		names = append(names, cell.String())
	}
	return exit.With(exit.Usage, worker.CheckInjections(os.Getenv(worker.InjectVariable), names))
}

// check finds what keeps a cell from being measured or recorded, before anything is measured: its model, its shape, and numbers that
// no name of a cell holds.
func (w *workloadsOf) check(cell perf.Cell) error {
	switch of := cell.Scope == perf.AnyModel; {
	case of && w.network == nil:
		return fmt.Errorf("cell %s is of a model of your own: name it with --model", cell)
	case w.network != nil && (!of || cell.Profile != w.network.Network.Name):
		return fmt.Errorf("cell %s is not of the model %s that --model names", cell, w.network.Network.Name)
	case of:
		return nil
	}
	m, err := w.models.Open(cell.Profile)
	if err != nil {
		return err
	}
	if side := model.SideMultiple(m.Config); cell.Height%side != 0 || cell.Width%side != 0 {
		return fmt.Errorf("--shapes: the sides of %s are no multiples of %d, which profile %s asks for", cell.Shape(), side, cell.Profile)
	}
	shape := model.Options{Batch: cell.Batch, Height: cell.Height, Width: cell.Width, Decode: w.models.Decode}
	if err := shape.Check(m.Config); err != nil {
		return fmt.Errorf("--shapes or --batches of cell %s: %w", cell, err)
	}
	if _, err := perf.ParseCell(cell.String()); err != nil {
		return fmt.Errorf("--shapes or --batches: the numbers of cell %s are too large", cell)
	}
	return nil
}

// probe tells why a build cannot use a backend here, nil if it can. The process that says so is gone when something is timed, or it is the error.
func probe(c *cli.Context, name string, spec specOf) (err error) {
	client := worker.New(spec(name))
	defer func() { err = cmp.Or(measure.Beside(client.Close()), err) }()
	return available(c.Context, client, name)
}

// present fails for the first backend that the first of the builds does not have here, and where nothing can be measured, whatever the build.
func present(c *cli.Context, names []string, builds []specOf) error {
	for _, name := range names {
		for i, spec := range builds {
			if err := probe(c, name, spec); i == 0 && err != nil || ofAll(err) {
				return ofBuild(err, spec(name), builds)
			}
		}
	}
	return nil
}

// ofAll tells an error that concerns all that is going to be measured. A worker that speaks another major version of the protocol is neither there nor
// lost, since it cannot be talked to; beside one that does not go away nothing can be timed.
func ofAll(err error) bool {
	var u *backends.Unavailable
	return errors.As(err, &u) && u.Reason == backends.WorkerVersionMismatch || measure.Beside(err) != nil
}

// ofBuild says which of several builds an error is of.
func ofBuild(err error, s worker.Spec, builds []specOf) error {
	if len(builds) > 1 && len(s.Command) > 0 {
		return fmt.Errorf("%s: %w", s.Command[0], err)
	}
	return err
}

// backendsOf resolves --backends.
func backendsOf(c *cli.Context, builds []specOf) ([]string, error) {
	if list := c.String("backends"); list != "available" {
		names, err := chosenBackends(c, list)
		if err != nil {
			return nil, err
		}
		return names, present(c, names, builds)
	}
	var names []string
	for _, name := range backends.Known {
		there := false
		for _, spec := range builds {
			err := probe(c, name, spec)
			if ofAll(err) {
				return nil, ofBuild(err, spec(name), builds)
			}
			there = there || err == nil
		}
		if there {
			names = append(names, name)
		}
	}
	return names, nil
}

// chosenCells multiplies the lists out, backend by backend.
func chosenCells(c *cli.Context, builds []specOf) ([]perf.Cell, error) {
	if c.IsSet("cells") {
		return namedCells(c, builds)
	}
	precisions, err := parsePrecisions(c.String("precisions"))
	if err != nil {
		return nil, err
	}
	sizes, err := listOf(c, "shapes", perf.ParseSize)
	if err != nil {
		return nil, err
	}
	batches, err := listOf(c, "batches", perf.ParseBatch)
	if err != nil {
		return nil, err
	}
	scopes := perf.Scopes
	if c.String("scopes") != "all" {
		if scopes, err = listOf(c, "scopes", perf.ParseScope); err != nil {
			return nil, err
		}
	}
	profiles, err := listOf(c, "profiles", func(s string) (string, error) { return s, nil })
	if err != nil {
		return nil, err
	}
	names, err := backendsOf(c, builds)
	if err != nil {
		return nil, err
	}
	cells := perf.Grid{Backends: names, Profiles: profiles, Precisions: precisions, Sizes: sizes, Batches: batches, Scopes: scopes}.Cells()
	if len(cells) == 0 {
		return nil, noBackend(c)
	}
	return cells, nil
}

func noBackend(c *cli.Context) error {
	return &backends.Unavailable{Backend: c.String("backends"), Reason: backends.WorkerNotFound, Detail: "no backend is available here; see apexx caps"}
}

// namedCells reads --cells. What the names say of a backend is said explicitly: it must be there.
func namedCells(c *cli.Context, builds []specOf) ([]perf.Cell, error) {
	for _, flag := range cellLists {
		if c.IsSet(flag) {
			return nil, usagef("--cells names whole cells; leave out --%s", flag)
		}
	}
	cells, err := listOf(c, "cells", perf.ParseCell)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range cells {
		cell := &cells[i]
		if cell.Backend, err = knownBackend(c, cell.Backend); err != nil {
			return nil, err
		}
		if !slices.Contains(names, cell.Backend) {
			names = append(names, cell.Backend)
		}
	}
	return cells, present(c, names, builds)
}

// cellLists are the flags that multiply out to cells.
var cellLists = []string{"backends", "profiles", "shapes", "batches", "precisions", "scopes"}

// listOf reads a comma-separated flag; an entry that comes twice counts once.
func listOf[T comparable](c *cli.Context, flag string, parse func(string) (T, error)) ([]T, error) {
	var list []T
	for _, s := range strings.Split(c.String(flag), ",") {
		v, err := parse(strings.TrimSpace(s))
		if err != nil {
			return nil, usagef("--%s: %w", flag, err)
		}
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list, nil
}
