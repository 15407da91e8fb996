package cuda

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

// Launches of convolutions have configurations to choose from (kernels.Candidates). By default a rule chooses; a session that is compiled with the option
// "autotune" takes what was measured on this device.
//
//  1. A launch is looked up by its tuneKey: operator, shape and whether other roundings are allowed. What the cache (tune_cache.go) knows is used.
//  2. For the rest the whole model is compiled once for each candidate, the n-th of every unknown key at a time, and its steps are timed one by one:
//     real addresses, real neighbours in the caches, and no harness that could be kinder to a kernel than the model is.
//  3. The fastest configuration is kept unless the rule's choice is within tuneMargin of it, and written to the cache.
//
// Without the option "autotune-rounding", candidates give the very bits of the rule's choice, so that tuning changes no output. With it, what a session
// gives depends on the cache: two processes with one cache give the same bits.
const (
	optionTune     = "autotune"
	optionRounding = "autotune-rounding"
)

const (
	tuneMargin  = 0.02 // a configuration has to be faster than the rule's by this
	tuneWarmUp  = 3    // executions before those that are timed
	tuneSamples = 15   // of which each step's median counts
)

// tuneKey names what a configuration is chosen for.
type tuneKey struct{ op, bucket string }

// tuning is what the compilations of one session share.
type tuning struct {
	rounding bool               // candidates may round otherwise
	known    map[tuneKey]string // names of configurations
	round    int                // which candidate keys that are not known take; 0: the rule's
	uses     map[tuneKey]*use   // of the compilation at hand
}

// use is what a compilation did with a key.
type use struct {
	candidates []kernels.Configuration
	chosen     kernels.Configuration
	found      bool     // the key was known
	steps      []string // that launch it
}

// parseTuning reads the options of tuning; nil where a session is not to be tuned. The other options are refused.
func parseTuning(extra map[string]string) (path string, t *tuning, err error) {
	for key, value := range extra {
		switch {
		case key == optionTune && value != "":
			path = value
		case key == optionRounding && (value == "on" || value == "off"):
		case key == optionTune || key == optionRounding:
			return "", nil, fmt.Errorf("backend %s: option %s=%q (want a file for %s, on or off for %s)", Name, key, value, optionTune, optionRounding)
		default:
			return "", nil, fmt.Errorf("backend %s has no option %q", Name, key)
		}
	}
	if path == "" {
		if extra[optionRounding] == "on" {
			return "", nil, fmt.Errorf("backend %s: option %s needs %s", Name, optionRounding, optionTune)
		}
		return "", nil, nil
	}
	return path, &tuning{rounding: extra[optionRounding] == "on", known: map[tuneKey]string{}, uses: map[tuneKey]*use{}}, nil
}

// configure chooses how a launch of convolutions is made.
func (c *compiler) configure(s *step, w kernels.Work, images int, moments bool) (kernels.Configuration, bool) {
	t := c.tuning
	candidates := kernels.Candidates(c.properties, w, moments, t == nil || !t.rounding)
	if len(candidates) == 0 {
		return kernels.Configuration{}, false
	}
	if t == nil {
		return candidates[0], true
	}
	k := t.keyOf(w, images, moments)
	u := t.uses[k]
	if u == nil {
		u = &use{candidates: candidates}
		u.chosen, u.found = t.choose(k, candidates)
		t.uses[k] = u
	}
	u.steps = append(u.steps, s.Node.Name)
	return u.chosen, true
}

// keyOf names a launch.
func (t *tuning) keyOf(w kernels.Work, images int, moments bool) tuneKey {
	op := fmt.Sprintf("conv_%dx%d", side(w.Geometry), side(w.Geometry))
	if w.Stride > 1 {
		op += fmt.Sprintf("_by_%d", w.Stride)
	}
	if w.Image {
		op = "conv_image"
	}
	fields := []string{
		fmt.Sprintf("batch=%d", images), fmt.Sprintf("channels=%d", w.Channels), fmt.Sprintf("dtype=%s", w.Format), fmt.Sprintf("moments=%t", moments),
		fmt.Sprintf("normalises=%t", w.Normalises), fmt.Sprintf("out=%d", w.Out), fmt.Sprintf("plain=%t", w.Plain), fmt.Sprintf("rounding=%t", t.rounding),
		fmt.Sprintf("tiles=%d", w.Tiles),
	}
	slices.Sort(fields)
	return tuneKey{op, strings.Join(fields, "|")}
}

func side(g kernels.Geometry) int {
	if g.Taps == 9 {
		return 3
	}
	return 1
}

// choose returns the configuration of a key, and whether it was known. A name that is no candidate here, as in a cache that was edited, is not.
func (t *tuning) choose(k tuneKey, candidates []kernels.Configuration) (kernels.Configuration, bool) {
	if at := slices.IndexFunc(candidates, func(c kernels.Configuration) bool { return c.String() == t.known[k] }); at >= 0 {
		return candidates[at], true
	}
	if t.round < len(candidates) {
		return candidates[t.round], false
	}
	return candidates[0], false
}

// tuned compiles a session with what the cache knows. Where there is more to choose from, it measures that, keeps it, and compiles anew.
func (b backend) tuned(ctx context.Context, g *graph.Graph, set settings, path string) (*session, error) {
	t := set.tuning
	cache, note := readTuneCache(path, b.identity())
	for _, e := range cache.Entries {
		t.known[tuneKey{e.Op, e.Bucket}] = e.Configuration
	}
	s, err := b.open(ctx, g, set)
	if err != nil {
		return nil, err
	}
	rounds := 0
	for _, u := range t.uses {
		if n := len(u.candidates); !u.found && n > 1 {
			rounds = max(rounds, n)
		}
	}
	if rounds == 0 {
		s.plan.Autotune = t.report(nil, note)
		return s, nil
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	fresh, err := b.measured(ctx, g, set, rounds)
	if err != nil {
		return nil, fmt.Errorf("autotune: %w", err)
	}
	if err := cache.add(path, fresh); err != nil {
		note = strings.TrimPrefix(note+"; not kept: "+err.Error(), "; ")
	}
	t.round, t.uses = 0, map[tuneKey]*use{}
	if s, err = b.open(ctx, g, set); err == nil {
		s.plan.Autotune = t.report(fresh, note)
	}
	return s, err
}

// measured times every candidate of the keys that are not known, and lets the fastest be known.
func (b backend) measured(ctx context.Context, g *graph.Graph, set settings, rounds int) (fresh []tuneEntry, err error) {
	t := set.tuning
	times := map[tuneKey][]time.Duration{}
	for t.round = range rounds {
		if err := b.measure(ctx, g, set, times); err != nil {
			return nil, err
		}
	}
	for k, list := range times {
		candidates := t.uses[k].candidates
		t.known[k] = candidates[fastest(list)].String()
		e := tuneEntry{Op: k.op, Bucket: k.bucket, Configuration: t.known[k]}
		for i, d := range list {
			e.Times = append(e.Times, backends.AutotuneTime{Configuration: candidates[i].String(), NS: d.Nanoseconds()})
		}
		fresh = append(fresh, e)
	}
	return fresh, nil
}

// fastest returns the index of the least time, that of the rule's choice unless another is faster by the margin.
func fastest(times []time.Duration) int {
	best := 0
	for i, d := range times {
		if d < times[best] {
			best = i
		}
	}
	if float64(times[best]) > (1-tuneMargin)*float64(times[0]) {
		return 0
	}
	return best
}

// measure compiles the model with the candidates of a round and adds what the launches of each key took that has so many.
func (b backend) measure(ctx context.Context, g *graph.Graph, set settings, times map[tuneKey][]time.Duration) (err error) {
	t := set.tuning
	t.uses, set.stepTimes = map[tuneKey]*use{}, true
	s, err := b.open(ctx, g, set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	took, err := s.stepMedians(ctx)
	if err != nil {
		return err
	}
	for k, u := range t.uses {
		if u.found || len(u.candidates) < 2 || t.round >= len(u.candidates) {
			continue
		}
		sum := time.Duration(0)
		for _, name := range u.steps {
			sum += took[name]
		}
		times[k] = append(times[k], sum)
	}
	return nil
}

// stepMedians executes on grey inputs and returns the median time of every step, by name.
func (s *session) stepMedians(ctx context.Context) (map[string]time.Duration, error) {
	var inputs tensor.List
	for _, v := range s.graph.Inputs {
		x := tensor.New(v.DType, v.Shape...)
		if x.DType() == tensor.Float32 {
			for i := range tensor.Data[float32](x) {
				tensor.Data[float32](x)[i] = 0.5
			}
		}
		inputs = append(inputs, tensor.Named{Name: v.Name, Tensor: x})
	}
	if err := s.Upload(ctx, inputs); err != nil {
		return nil, err
	}
	samples := map[string][]time.Duration{}
	for i := range tuneWarmUp + tuneSamples {
		if err := s.Execute(ctx); err != nil {
			return nil, err
		}
		for k, d := range s.timing.Steps {
			if name := s.plan.Steps[k].Name; i >= tuneWarmUp {
				samples[name] = append(samples[name], d)
			}
		}
	}
	out := map[string]time.Duration{}
	for name, list := range samples {
		slices.Sort(list)
		out[name] = list[len(list)/2]
	}
	return out, nil
}

// report tells what the session launches. Fresh is what was measured for it.
func (t *tuning) report(fresh []tuneEntry, note string) *backends.Autotune {
	var entries []backends.AutotuneEntry
	for k, u := range t.uses {
		c := u.chosen
		e := backends.AutotuneEntry{Op: k.op, Kernel: c.Name, Bucket: k.bucket, Launches: len(u.steps), Source: backends.AutotuneHeuristic,
			Config: map[string]int{"blocks_per_multiprocessor": c.PerMultiprocessor, "output_channels": c.N, "shared_bytes": c.SharedBytes(), "threads": c.Threads()}}
		switch at := slices.IndexFunc(fresh, func(f tuneEntry) bool { return f.Op == k.op && f.Bucket == k.bucket }); {
		case at >= 0:
			e.Source, e.Times = backends.AutotuneMeasured, fresh[at].Times
		case u.found:
			e.Source = backends.AutotuneRegistry
		}
		if e.Source == backends.AutotuneRegistry {
			e.CacheHits = e.Launches
		} else { // the first launch of a key is the one that it is looked up for in vain
			e.CacheMisses, e.CacheHits = 1, e.Launches-1
		}
		entries = append(entries, e)
	}
	return backends.NewAutotune(entries, note)
}

// identity names what measured times hold for: device, driver and kernels.
func (b backend) identity() string {
	var parts []string
	for _, f := range b.driver.Probe().Facts {
		if f.Key != "memory_bytes" {
			parts = append(parts, f.Key+" "+f.Value)
		}
	}
	return strings.Join(parts, ", ")
}

// open compiles a session on a device of its own.
func (b backend) open(ctx context.Context, g *graph.Graph, set settings) (*session, error) {
	d, err := b.driver.Open()
	if err != nil {
		return nil, err
	}
	return compile(ctx, d, g, set)
}
