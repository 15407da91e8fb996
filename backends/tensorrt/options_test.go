package tensorrt

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

func TestOptions(t *testing.T) {
	extra := func(key, value string) backends.Options {
		return backends.Options{Extra: map[string]string{key: value}}
	}
	t.Setenv("XDG_CACHE_HOME", "/caches")
	for _, c := range []struct {
		opts backends.Options
		want settings
		err  string
	}{
		{backends.Options{}, settings{precision: backends.FP32, level: 3, cache: "/caches/apexx/tensorrt"}, ""},
		{extra(CacheOption, NoCache), settings{precision: backends.FP32, level: 3}, ""},
		{extra(CacheOption, "/x"), settings{precision: backends.FP32, level: 3, cache: "/x"}, ""},
		{extra(EngineOption, "/e"), settings{precision: backends.FP32, level: 3, cache: "/caches/apexx/tensorrt", engine: "/e"}, ""},
		{extra(LevelOption, "0"), settings{precision: backends.FP32, cache: "/caches/apexx/tensorrt"}, ""},
		{extra(BatchesOption, "1:4:8"), settings{precision: backends.FP32, level: 3, cache: "/caches/apexx/tensorrt", batches: Batches{1, 4, 8}}, ""},
		{extra(BatchesOption, "4"), settings{}, `batches "4": want MIN:OPT:MAX`},
		{extra(LevelOption, "6"), settings{}, `unknown level "6" (want 0 to 5)`},
		{extra(LevelOption, "high"), settings{}, `unknown level "high"`},
		{extra(CacheOption, ""), settings{}, "cache names no folder"},
		{extra("workspace", "1"), settings{}, `unknown option "workspace" of the backend tensorrt (known: batches, cache, engine, level)`},
		{backends.Options{Threads: -1}, settings{}, "-1 threads"},
		{backends.Options{Precision: "fp12"}, settings{}, "unknown precision"},
	} {
		got, err := parse(c.opts)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: %v, want %s", c.opts, err, c.err)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%+v: %+v, %v, want %+v", c.opts, got, err, c.want)
		}
	}
	var missing *backends.Unavailable
	if _, err := parse(backends.Options{Precision: backends.FP64}); !errors.As(err, &missing) || missing.Reason != backends.PrecisionUnsupported {
		t.Errorf("fp64: %v", err)
	}
}

func TestCompileDeadline(t *testing.T) {
	for request, want := range map[time.Duration]time.Duration{0: 0, time.Second: 15 * time.Minute, time.Hour: time.Hour} {
		if got := CompileDeadline(request); got != want {
			t.Errorf("%v: %v, want %v", request, got, want)
		}
	}
}

// TestCapabilities: a device without a precision does not offer it, and refuses it before minutes of building.
func TestCapabilities(t *testing.T) {
	t.Setenv(backends.TF32Variable, "")
	for _, c := range []struct {
		capability string
		want       []backends.Precision
	}{
		{"7.5", []backends.Precision{backends.FP32, backends.FP16, backends.INT8}},
		{"8.9", []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16, backends.INT8}},
		{"9.0", Precisions}, {"12.0", Precisions},
	} {
		lib := newEmulated()
		lib.facts.Capability = c.capability
		if got := New(lib).Probe(t.Context()).Precisions; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.capability, got, c.want)
		}
	}
	for p, want := range map[backends.Precision]backends.Unavailable{
		backends.TF32: {Reason: backends.PrecisionUnsupported, Detail: "tf32 needs compute capability 8.0, Emulated GPU has 7.5"},
		backends.FP8:  {Reason: backends.CapabilityBelowSM90, Detail: "fp8 needs compute capability 9.0, Emulated GPU has 7.5"},
	} {
		lib := newEmulated()
		lib.facts.Capability = "7.5"
		o := options(CacheOption, NoCache)
		o.Precision = p
		g, _ := tiles(t)
		g.Calibration = &graph.Calibration{}
		var missing *backends.Unavailable
		if _, err := New(lib).Compile(t.Context(), g, o); !errors.As(err, &missing) || missing.Reason != want.Reason || missing.Detail != want.Detail || len(lib.builds) > 0 {
			t.Errorf("%s: %v after %d builds, want %s: %s", p, err, len(lib.builds), want.Reason, want.Detail)
		}
	}
}

// TestTF32Override: a precision whose arithmetic the environment changes is not offered, and engines of the cache are not built under it.
func TestTF32Override(t *testing.T) {
	for value, want := range map[string][]backends.Precision{
		"":  Precisions,
		"0": {backends.FP32, backends.FP16, backends.BF16, backends.INT8, backends.FP8},
		"1": {backends.TF32},
	} {
		t.Setenv(backends.TF32Variable, value)
		lib := newEmulated()
		if got := New(lib).Probe(t.Context()).Precisions; !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
		for _, p := range []backends.Precision{backends.FP32, backends.TF32} {
			o := options(CacheOption, NoCache)
			o.Precision = p
			err := compile(t, lib, o)
			var missing *backends.Unavailable
			refused := errors.As(err, &missing) && missing.Reason == backends.PrecisionUnsupported && strings.HasPrefix(missing.Detail, "NVIDIA_TF32_OVERRIDE="+value)
			if offered := slices.Contains(want, p); offered && err != nil || !offered && !refused {
				t.Errorf("%s under %q: %v", p, value, err)
			}
		}
	}
}
