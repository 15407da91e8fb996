package tensorrt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// Name is the backend's name.
const Name = "tensorrt"

type backend struct{ driver Driver }

// New returns the backend on the library and device of a driver.
func New(driver Driver) backends.Backend { return backend{driver} }

// Name implements backends.Backend.
func (backend) Name() string { return Name }

// Probe implements backends.Backend. Facts: version and path of the library, the device, the other libraries that are opened, the plugins, and what
// is missing to build engines.
func (b backend) Probe(context.Context) backends.Availability {
	lib, err := b.driver.Open()
	if missing := (*backends.Unavailable)(nil); errors.As(err, &missing) {
		return backends.Availability{Reason: missing.Reason, Detail: missing.Detail}
	} else if err != nil {
		return backends.Availability{Reason: backends.LibraryLoadFailed, Detail: err.Error()}
	}
	f := lib.Facts()
	a := backends.Availability{Available: true, Precisions: f.precisions()}
	for _, fact := range []backends.Fact{
		{Key: "version", Value: f.Version}, {Key: "library", Value: f.Library}, {Key: "device", Value: f.Device}, {Key: "compute_capability", Value: f.Capability},
		{Key: "cuda", Value: f.CUDA}, {Key: "memory_bytes", Value: fmt.Sprint(f.Memory)}, {Key: "parser_library", Value: f.Parser}, {Key: "builder_library", Value: f.Builder},
		{Key: "plugin_library", Value: f.PluginLibrary}, {Key: "plugins", Value: f.pluginsText()}, {Key: "plugins_sha256", Value: f.PluginDigest},
		{Key: "no_builder", Value: f.NoBuilder}, {Key: "calibrators", Value: f.calibratorsText()},
	} {
		if fact.Value != "" {
			a.Facts = append(a.Facts, fact)
		}
	}
	return a
}

func (f Facts) pluginsText() string {
	if f.PluginLibrary == "" {
		return "none: " + f.WithoutPlugin
	}
	names := make([]string, len(f.Plugins))
	for i, p := range f.Plugins {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// Compile implements backends.Backend.
func (b backend) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	set, err := parse(opts)
	if err != nil {
		return nil, err
	}
	applied, err := opts.Apply(g)
	if err != nil {
		return nil, err
	}
	lib, err := b.driver.Open()
	if err != nil {
		return nil, err
	}
	if err := lib.Facts().refuses(set.precision); err != nil {
		return nil, err
	}
	if err := checkPlugins(applied, lib.Facts()); err != nil {
		return nil, err
	}
	c := compilation{library: lib, settings: set, graph: applied, options: opts}
	if err := c.write(); err != nil {
		return nil, err
	}
	s, err := c.session(ctx)
	if err != nil { // not a nil *session in a backends.Session
		return nil, err
	}
	return s, nil
}

// compilation is one Compile.
type compilation struct {
	library  Library
	settings settings
	graph    *graph.Graph // with taps and under replay, lowered
	export   *export
	options  backends.Options
	batch    int // of the session, if the engine is one of several; else 0
}

func (c *compilation) session(ctx context.Context) (*session, error) {
	run, err := c.loaded(ctx)
	if err != nil {
		return nil, err
	}
	layers, _, err := c.describe(run)
	if err != nil {
		return nil, errors.Join(err, run.Close())
	}
	s, err := newSession(c.graph, run)
	if err != nil {
		return nil, errors.Join(err, run.Close())
	}
	var untold []string
	s.plan, s.stepOf, untold = planOf(c.graph, layers, c.settings.precision)
	s.plan.Split = c.export.split
	s.plan.Library = c.executor(untold, run.Captured())
	s.plan.Arena = s.memory.Device
	if c.options.StepTimes && len(s.stepOf) > 0 {
		s.timing.Steps = make([]time.Duration, len(s.plan.Steps))
	}
	return s, nil
}

// loaded finds the engine, or builds it, and makes it executable.
func (c *compilation) loaded(ctx context.Context) (Execution, error) {
	key := keyOf(c.export, c.settings, c.library.Facts())
	for {
		engine, from, err := c.settings.obtain(ctx, key, c.waiting, func(timings []byte) (Record, Built, error) { return c.build(ctx, timings) })
		if err != nil {
			return nil, err
		}
		run, err := c.library.Load(engine, LoadOptions{LayerTimes: c.options.StepTimes, Batch: c.batch})
		if err == nil {
			return run, nil
		}
		if again, err := c.settings.mended(from, key, err); !again || err != nil {
			return nil, err
		}
	}
}

// executor names what executes a plan, with what is missing: plugins, what the engine tells of nodes, the CUDA graph.
func (c *compilation) executor(untold []string, uncaptured string) string {
	text := "TensorRT " + c.library.Facts().Version
	if lacking := c.library.Facts().without(); len(lacking) > 0 {
		text += ", without the plugins " + strings.Join(lacking, ", ")
	}
	if len(untold) > 0 {
		text += fmt.Sprintf(", which does not tell of %d nodes, such as %s", len(untold), untold[0])
	}
	if uncaptured != "" {
		text += ", not as one CUDA graph (" + uncaptured + ")"
	}
	return text
}

// waiting tells that another process builds the engine.
func (c *compilation) waiting() {
	if c.options.Progress != nil {
		c.options.Progress(backends.Stage{Name: "waiting for another process that builds this engine", Done: 0, Total: 1})
	}
}

// build makes the engine, and loads it once to see what became of it.
func (c *compilation) build(ctx context.Context, timings []byte) (Record, Built, error) {
	rec := Record{Key: keyOf(c.export, c.settings, c.library.Facts())}
	if why := c.library.Facts().NoBuilder; why != "" {
		return rec, Built{}, unavailable(backends.BuilderUnavailable, "%s", why)
	}
	built, err := c.library.Build(ctx, Build{Model: c.export.model, TF32: c.settings.precision == backends.TF32, Level: c.settings.level, Timings: timings,
		Batches: c.settings.batches, Progress: c.options.Progress})
	if err != nil {
		return rec, built, err
	}
	run, err := c.library.Load(built.Engine, LoadOptions{Batch: c.batch})
	if err != nil {
		return rec, built, err
	}
	rec.Layers, rec.Held, err = c.describe(run)
	return rec, built, errors.Join(err, run.Close())
}

// describe asks an engine what its layers are, whatever a file says of it, and what became in them of the nodes that are held. It refuses one whose layers are not
// of its precision, or that does not hold them.
func (c *compilation) describe(run Execution) ([]Layer, []Held, error) {
	layers, err := parseLayers(run.Layers())
	if err != nil {
		return nil, nil, err
	}
	unfuse(layers, c.export.fusions)
	held := evidence(c.graph, c.export.holds, layers)
	if err := checkLayers(layers, c.settings.precision); err != nil {
		return nil, nil, err
	}
	return layers, held, checkHeld(held)
}

// checkHeld refuses an engine in which a result that was to be float32 is not, and one that tells nothing of any of them.
func checkHeld(list []Held) error {
	var failed []string
	told := false
	for _, h := range list {
		told = told || h.Told()
		if h.Failed {
			failed = append(failed, fmt.Sprintf("%s is %s", h.Node, h.Result))
		}
	}
	switch {
	case len(list) > 0 && !told:
		return unavailable(backends.PrecisionNotHeld, "the engine does not tell which layers compute the %d nodes that are to be float32, such as %s", len(list), list[0].Node)
	case len(failed) == 0:
		return nil
	}
	return unavailable(backends.PrecisionNotHeld, "%d of %d nodes that compute in float32 do not: %s", len(failed), len(list), strings.Join(failed[:min(len(failed), 3)], ", "))
}
