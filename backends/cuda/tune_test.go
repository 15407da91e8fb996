//go:build cgo && linux

package cuda_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// clocked is a device whose kernels take what cost says, and which executes nothing while it is timed step by step.
type clocked struct {
	cuda.Driver
	cost func(cuda.Launch) time.Duration
}

func (c clocked) Open() (cuda.Device, error) {
	d, err := c.Driver.Open()
	return clockedDevice{d, c.cost}, err
}

type clockedDevice struct {
	cuda.Device
	cost func(cuda.Launch) time.Duration
}

func (d clockedDevice) Prepare(s cuda.Schedule) (cuda.Executable, error) {
	e, err := d.Device.Prepare(s)
	return clockedExecutable{e, s, d.cost}, err
}

type clockedExecutable struct {
	cuda.Executable
	schedule cuda.Schedule
	cost     func(cuda.Launch) time.Duration
}

func (e clockedExecutable) RunSteps(times []time.Duration) error {
	for i, step := range e.schedule.Steps {
		times[i] = 0
		for _, l := range step {
			times[i] += e.cost(l)
		}
	}
	return nil
}

// narrowFirst makes tasks of 32 channels ten times as fast as others.
func narrowFirst(l cuda.Launch) time.Duration {
	if strings.HasSuffix(l.Kernel, "_n32") {
		return time.Microsecond
	}
	return 10 * time.Microsecond
}

func autotuned(t *testing.T, b backends.Backend, g *graph.Graph, p backends.Precision, extra map[string]string) (backends.Session, *backends.Autotune) {
	t.Helper()
	s := backendtest.Open(t, b, g, backends.Options{Precision: p, Extra: extra})
	a := s.Plan().Autotune
	if a == nil {
		t.Fatal("the plan does not tell what was tuned")
	}
	launches := 0
	for _, e := range a.Entries {
		launches += e.Launches
		if e.CacheHits+e.CacheMisses != e.Launches || e.Launches == 0 || len(e.Config) == 0 || e.Kernel == "" {
			t.Errorf("%+v", e)
		}
	}
	if a.Summary.Launches != launches || a.Summary.CacheEntries != len(a.Entries) || launches == 0 {
		t.Errorf("%+v of %d launches", a.Summary, launches)
	}
	return s, a
}

func count(a *backends.Autotune, source backends.AutotuneSource) (n int) {
	for _, e := range a.Entries {
		if e.Source == source {
			n++
		}
	}
	return n
}

// TestAutotune measures, keeps and finds again. With the same bits asked for, the outputs are those of the rule; with other roundings allowed the fastest
// kernel is launched everywhere, and the cache alone decides the bits.
func TestAutotune(t *testing.T) {
	g, inputs := small(t)
	d := clocked{driver(t).As(hopper), narrowFirst}
	want := backendtest.Outputs(t, backendtest.Open(t, cuda.New(d.Driver), g, backends.Options{Precision: backends.FP16}), inputs)
	same := map[string]string{"autotune": filepath.Join(t.TempDir(), "same.json")}
	s, first := autotuned(t, cuda.New(d), g, backends.FP16, same)
	requireSame(t, "with the same bits", backendtest.Outputs(t, s, inputs), want)
	if n := count(first, backends.AutotuneMeasured); n == 0 || n == len(first.Entries) || first.Cache != "" {
		t.Errorf("%d of %d keys were measured: %s", n, len(first.Entries), first.Cache)
	}
	kept, err := os.ReadFile(same["autotune"])
	if err != nil {
		t.Fatal(err)
	}
	_, again := autotuned(t, cuda.New(d), g, backends.FP16, same)
	now, _ := os.ReadFile(same["autotune"])
	if count(again, backends.AutotuneMeasured) != 0 || count(again, backends.AutotuneRegistry) != count(first, backends.AutotuneMeasured) || string(now) != string(kept) {
		t.Errorf("a second session measures anew: %+v", again.Summary)
	}

	other := map[string]string{"autotune": filepath.Join(t.TempDir(), "other.json"), "autotune-rounding": "on"}
	s, rounded := autotuned(t, cuda.New(d), g, backends.FP16, other)
	for _, e := range rounded.Entries {
		if !strings.HasSuffix(e.Kernel, "_n32") || e.Source != backends.AutotuneMeasured || len(e.Times) < 2 {
			t.Errorf("%s %s takes %s, by %s", e.Op, e.Bucket, e.Kernel, e.Source)
		}
	}
	out := backendtest.Outputs(t, s, inputs)
	twin, found := autotuned(t, cuda.New(clocked{d.Driver, func(cuda.Launch) time.Duration { return 1 }}), g, backends.FP16, other)
	requireSame(t, "a second process with one cache", backendtest.Outputs(t, twin, inputs), out)
	if found.Summary.CacheMisses != 0 || *found.Summary.HitRate != 1 || count(found, backends.AutotuneRegistry) != len(found.Entries) {
		t.Errorf("%+v", found.Summary)
	}
}

// TestAutotuneKeepsTheRule: without a clear gain the rule's choice stays.
func TestAutotuneKeepsTheRule(t *testing.T) {
	g, inputs := small(t)
	d := driver(t).As(hopper)
	want := backendtest.Outputs(t, backendtest.Open(t, cuda.New(d), g, backends.Options{Precision: backends.FP16}), inputs)
	even := clocked{d, func(l cuda.Launch) time.Duration {
		if strings.HasSuffix(l.Kernel, "_n32") {
			return 985 * time.Microsecond // 1.5 % faster
		}
		return time.Millisecond
	}}
	s, _ := autotuned(t, cuda.New(even), g, backends.FP16, map[string]string{"autotune": filepath.Join(t.TempDir(), "c.json"), "autotune-rounding": "on"})
	requireSame(t, "the rule's choices", backendtest.Outputs(t, s, inputs), want)
}

// TestAutotuneCache goes through caches that cannot be used: each is told, and measured anew.
func TestAutotuneCache(t *testing.T) {
	g, _ := small(t)
	d := clocked{driver(t).As(hopper), narrowFirst}
	path := filepath.Join(t.TempDir(), "c.json")
	extra := map[string]string{"autotune": path, "autotune-rounding": "on"}
	_, first := autotuned(t, cuda.New(d), g, backends.FP16, extra)
	measured := count(first, backends.AutotuneMeasured)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(m map[string]any)) string {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		text, _ := json.Marshal(m)
		return string(text)
	}
	for name, c := range map[string]struct{ text, note string }{
		"half a file":     {string(good[:len(good)/2]), "is damaged ("},
		"something else":  {"[1, 2]", "is damaged ("},
		"a later version": {edit(func(m map[string]any) { m["schema"] = "apexx.autotune/9" }), `has the schema "apexx.autotune/9", want "apexx.autotune/1": measured anew`},
		"another device":  {edit(func(m map[string]any) { m["identity"] = "device NVIDIA L4" }), "is of device NVIDIA L4; this is "},
		"another kernel": {edit(func(m map[string]any) {
			for _, e := range m["entries"].([]any) {
				e.(map[string]any)["configuration"] = "conv_f16_fast/9"
			}
		}), ""},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, a := autotuned(t, cuda.New(d), g, backends.FP16, extra)
		if count(a, backends.AutotuneMeasured) != measured || !strings.Contains(a.Cache, c.note) || (c.note == "") != (a.Cache == "") {
			t.Errorf("%s: %d of %d keys measured, %q", name, count(a, backends.AutotuneMeasured), measured, a.Cache)
		}
		if now, _ := os.ReadFile(path); string(now) != string(good) {
			t.Errorf("%s: the cache is not what it was", name)
		}
	}
	nowhere := map[string]string{"autotune": filepath.Join(t.TempDir(), "none", "c.json"), "autotune-rounding": "on"}
	if _, a := autotuned(t, cuda.New(d), g, backends.FP16, nowhere); count(a, backends.AutotuneMeasured) != measured || !strings.HasPrefix(a.Cache, "not kept: ") {
		t.Errorf("an unwritable place: %q", a.Cache)
	}
}

// TestAutotuneOptions refuses what cannot be meant.
func TestAutotuneOptions(t *testing.T) {
	g, _ := small(t)
	for want, extra := range map[string]map[string]string{
		`backend cuda has no option "speed"`:          {"speed": "high"},
		`option autotune="" (want a file`:             {"autotune": ""},
		`option autotune-rounding="yes" (want a file`: {"autotune": "f", "autotune-rounding": "yes"},
		`option autotune-rounding needs autotune`:     {"autotune-rounding": "on"},
	} {
		if _, err := cuda.New(driver(t)).Compile(t.Context(), g, backends.Options{Extra: extra}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", extra, err)
		}
	}
}

// TestCandidatesOfSameBits forces every candidate that is said to give the same bits, and finds them; and one that is said to round otherwise gives
// other bits within what the format allows, so that the difference is one.
func TestCandidatesOfSameBits(t *testing.T) {
	g, inputs := small(t)
	d := driver(t).As(hopper)
	for _, p := range []backends.Precision{backends.FP16, backends.FP32} {
		want := backendtest.Outputs(t, backendtest.Open(t, cuda.New(d), g, backends.Options{Precision: p, Taps: []string{"all"}}), inputs)
		for number := range 6 {
			requireSame(t, string(p), backendtest.Outputs(t, backendtest.Open(t, cuda.NewForced(d, number, false), g, backends.Options{Precision: p, Taps: []string{"all"}}), inputs), want)
		}
	}
	want := backendtest.Outputs(t, backendtest.Open(t, cuda.New(d), g, backends.Options{Precision: backends.FP16}), inputs)
	got := backendtest.Outputs(t, backendtest.Open(t, cuda.NewForced(d, 2, true), g, backends.Options{Precision: backends.FP16}), inputs)
	if slices.EqualFunc(got, want, func(a, b tensor.Named) bool { return tensor.Identical(a.Tensor, b.Tensor) }) {
		t.Error("other moments gave the same bits: the candidates are not what they are said to be")
	}
	for i, v := range got.Get("semantic_logits").Float64s() {
		if w := want.Get("semantic_logits").Float64s()[i]; math.Abs(v-w) > 0.05*max(1, math.Abs(w)) {
			t.Fatalf("semantic_logits %d: %v, want %v", i, v, w)
		}
	}
}
