package locate_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/parity/faults"
	"github.com/apex-x/apexx/parity/locate"
)

// unless is a backend with a fault that goes away under some options.
type unless struct {
	*faults.Backend
	right func(opts backends.Options) bool
}

func (b *unless) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	if b.right(opts) {
		return b.Backend.Backend.Compile(ctx, g, opts)
	}
	return b.Backend.Compile(ctx, g, opts)
}

// TestMinimize finds the smallest set of switches that removes a planted fault: a pair of which neither does alone, one of a ladder, one
// value that a library must not fuse away, the roundings; and says where none does.
func TestMinimize(t *testing.T) {
	const node = "pv.backbone.stem.1"
	wrong := func(b backends.Backend) *faults.Backend {
		return &faults.Backend{Backend: b, Planted: faultOf(t, "a wrong epsilon of a group norm", node, 1e-1)}
	}
	extra := func(o backends.Options, key, value string) bool {
		return slices.Contains(strings.Split(o.Extra[key], ","), value)
	}
	for _, c := range []struct {
		name      string
		backend   backends.Backend
		precision backends.Precision
		subject   string
		want      []string
	}{
		{"a pair", &unless{wrong(reference.New()), func(o backends.Options) bool { return extra(o, "winograd", "off") && extra(o, "unfused", node) }}, backends.FP32,
			"by itself", []string{"no Winograd", node + " not fused to what comes before"}},
		{"threads", &unless{wrong(reference.New()), func(o backends.Options) bool { return o.Threads == 1 }}, backends.FP32, "by itself", []string{"one thread"}},
		{"nothing", wrong(reference.New()), backends.FP32, "by itself", []string{}},
		{"the whole run", &twoFaced{wrong(reference.New())}, backends.FP32, "the whole run", []string{}},
		{"roundings", &unless{wrong(reference.New()), func(o backends.Options) bool { return o.Precision == backends.FP32 }}, backends.BF16, "by itself", []string{"roundings emulated in fp32"}},
		{"an optimisation level", &unless{wrong(ort.New()), func(o backends.Options) bool { return extra(o, "opt-level", "basic") || extra(o, "opt-level", "none") }}, backends.FP32,
			"by itself", []string{"optimisation level basic"}},
		{"a level and a value", &unless{wrong(ort.New()), func(o backends.Options) bool { return extra(o, "opt-level", "none") && slices.Contains(o.Taps, node) }}, backends.FP32,
			"by itself", []string{"optimisation level none", node + " stored"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := c.backend.Probe(t.Context()); !a.Available {
				t.Skipf("%s: %s", a.Reason, a.Detail)
			}
			g, inputs := scene(t, 0)
			opts := backends.Options{Precision: c.precision}
			trace, err := locate.Run(t.Context(), locate.Spec{Graph: g, Inputs: inputs, Oracle: reference.New(), Profile: "balanced", Minimize: true,
				Reference: locate.Side{Backend: reference.New(), Options: opts}, Candidate: locate.Side{Backend: c.backend, Options: opts}})
			if err != nil {
				t.Fatal(err)
			}
			m := trace.Minimal
			if m == nil || !slices.Equal(m.Smallest, c.want) || !strings.HasSuffix(m.Subject, c.subject) {
				t.Fatalf("%+v, want %q of %s", m, c.want, c.subject)
			}
			for _, trial := range m.Trials {
				if trial.Problem != "" || trial.Gone != (trial.Ratio <= 1) {
					t.Errorf("%+v", trial)
				}
				if trial.Gone != (len(c.want) > 0 && !slices.ContainsFunc(c.want, func(s string) bool { return !implied(trial.Switches, s) })) {
					t.Errorf("%q: gone %t", trial.Switches, trial.Gone)
				}
			}
		})
	}
}

// implied tells whether a set has a switch, or one that does more of the same.
func implied(set []string, name string) bool {
	return slices.ContainsFunc(set, func(s string) bool {
		return s == name || name == "optimisation level basic" && s == "optimisation level none" || name == "roundings emulated in fp32" && strings.HasSuffix(s, " not rounded")
	})
}
