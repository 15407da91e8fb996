package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
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
		&cli.StringFlag{Name: "precisions", Value: "fp32", Usage: "`LIST` of precisions: fp64, fp32, tf32, fp16, bf16"},
		&cli.StringFlag{Name: "scopes", Value: scopes, Usage: "`LIST` of " + strings.Join(names, ", ") + ", or all"},
		&cli.StringFlag{Name: "cells", Usage: "`LIST` of cells by name, BACKEND/PROFILE/PRECISION/HxW/bN/SCOPE, instead of the lists above"},
		&cli.IntFlag{Name: "iterations", Value: measure.DefaultIterations, Usage: "samples of a cell in a replicate, `N` at most"},
		&cli.DurationFlag{Name: "time", Value: measure.DefaultBound, Usage: "bound on the samples of a cell in a replicate, a `DURATION`"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed `N` of the order of cells"},
		&cli.DurationFlag{Name: "deadline", Value: 5 * time.Minute, Usage: "bound on compiling and on measuring one cell, a `DURATION`"},
	}
}

// workloadsOf is what cellFlags, modelFlags, decodeFlags and backendFlags say.
type workloadsOf struct {
	cells   []perf.Cell
	models  *execute.Models
	options measure.Options
	seed    uint64
	where   *env.Environment // nil until it was asked for
}

// specOf tells how a build of apexx starts the worker of a backend.
type specOf func(backend string, deadline time.Duration) worker.Spec

// chosenWorkloads checks the flags and opens every model that they name. A backend that --backends names must be there in every
// build that is going to be measured.
func chosenWorkloads(c *cli.Context, builds ...specOf) (*workloadsOf, error) {
	cells, err := chosenCells(c, builds)
	if err != nil {
		return nil, err
	}
	threads, err := threadsOf(c)
	if err != nil {
		return nil, err
	}
	extra, err := extraOptions(c, "ort")
	if err != nil {
		return nil, err
	}
	decode, err := decodeOf(c)
	if err != nil {
		return nil, err
	}
	if n := c.Int("iterations"); n > worker.MaxSamples {
		return nil, usagef("--iterations: %d samples are too many (at most %d)", n, worker.MaxSamples)
	}
	if c.Int("iterations") < 1 || c.Duration("time") <= 0 || c.Duration("deadline") <= 0 {
		return nil, usagef("--iterations, --time and --deadline must be positive")
	}
	w := &workloadsOf{cells: cells, seed: c.Uint64("seed")}
	w.options = measure.Options{Iterations: c.Int("iterations"), Bound: c.Duration("time"), Threads: threads, Extra: map[string]map[string]string{"ort": extra}}
	w.models = &execute.Models{Decode: decode, Request: source.ModelRequest{
		Weights: c.String("weights"), Config: c.String("config"), Set: c.StringSlice("set"), Embedded: fixtures.NanoWeights(),
	}}
	for _, scene := range fixtures.BuiltinScenes() {
		w.models.Pictures = append(w.models.Pictures, scene.Data)
	}
	for _, cell := range cells {
		if err := w.check(cell); err != nil {
			return nil, exit.With(exit.Usage, err)
		}
	}
	return w, nil
}

// check finds what keeps a cell from being measured or recorded, before anything is measured: its model, its shape, and numbers that
// no name of a cell holds.
func (w *workloadsOf) check(cell perf.Cell) error {
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

// present fails for the first backend that a build does not have here.
func present(c *cli.Context, names []string, builds []specOf) error {
	for _, name := range names {
		for _, spec := range builds {
			s := spec(name, c.Duration("deadline"))
			client := worker.New(s)
			err := client.Probe(c.Context).Err(name)
			client.Close() // it has answered, or is gone
			switch {
			case err != nil && len(builds) > 1 && len(s.Command) > 0:
				return fmt.Errorf("%s: %w", s.Command[0], err)
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// chosenCells multiplies the lists out, backend by backend.
func chosenCells(c *cli.Context, builds []specOf) ([]perf.Cell, error) {
	if c.IsSet("cells") {
		return namedCells(c, builds)
	}
	names, err := chosenBackends(c.Context, c.String("backends"))
	if err != nil {
		return nil, err
	}
	precisions, err := parsePrecisions(c.String("precisions"))
	if err != nil {
		return nil, err
	}
	shapes, err := listOf(c, "shapes", parseSize)
	if err != nil {
		return nil, err
	}
	batches, err := listOf(c, "batches", parseBatch)
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
	if c.String("backends") != "available" {
		if err := present(c, names, builds); err != nil {
			return nil, err
		}
	}
	var cells []perf.Cell
	for _, b := range names {
		for _, p := range profiles {
			for _, precision := range precisions {
				for _, s := range shapes {
					for _, n := range batches {
						for _, scope := range scopes {
							cells = append(cells, perf.Cell{Backend: b, Profile: p, Precision: precision, Height: s[0], Width: s[1], Batch: n, Scope: scope})
						}
					}
				}
			}
		}
	}
	if len(cells) == 0 {
		return nil, &backends.Unavailable{Backend: c.String("backends"), Reason: backends.WorkerNotFound, Detail: "no backend is available here; see apexx caps"}
	}
	return cells, nil
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
	for _, cell := range cells {
		if _, err := knownBackend(cell.Backend); err != nil {
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

func parseSize(s string) (size [2]int, err error) {
	h, w, ok := strings.Cut(s, "x")
	height, err1 := strconv.Atoi(h)
	width, err2 := strconv.Atoi(w)
	if !ok || err1 != nil || err2 != nil || height < 1 || width < 1 {
		return size, fmt.Errorf("%q is not a size (want HEIGHTxWIDTH, such as 512x512)", s)
	}
	return [2]int{height, width}, nil
}

func parseBatch(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a batch size of 1 or more", s)
	}
	return n, nil
}
