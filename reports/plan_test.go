package reports

import (
	"io"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/goldenfile"
)

// somePlan has a step of every kind.
func somePlan() *Plan {
	fp16 := backends.FP16
	return &Plan{Schema: PlanSchemaID, Backend: "cuda", Precision: fp16, Profile: "nano", Shape: []int{1, 3, 128, 128}, Taps: []string{"stem.norm", "p3.sum"}, HostBytes: 1, DevBytes: 4096,
		Plan: backends.Plan{Arena: 2048, Folded: []string{"decay"}, Views: []string{"flat", "half"}, Split: []backends.Split{{Node: "p3", Step: "AddRelu", Value: "p3.sum"}}, Steps: []backends.Step{
			{Name: "stem", Op: "ConvGroupNormSiLU", Nodes: []string{"stem.conv", "stem.norm", "stem.sigmoid", "stem"}, Inputs: []string{"image", "stem.weight"}, Outputs: []string{"stem", "stem.norm"},
				Aside: []string{"stem.norm"}, Level: backends.Native, Precision: fp16, Workspace: 64},
			{Name: "p3.sum", Op: "Add", Nodes: []string{"p3.sum"}, Level: backends.Emulated, Reason: backends.PrecisionEmulated, Precision: fp16},
			{Name: "scan", Op: "TileSSMScan", Nodes: []string{"scan"}, Level: backends.Emulated, Reason: backends.FunctionBody, Precision: fp16},
			{Name: "sort", Op: "GreedySelect", Nodes: []string{"sort"}, Level: backends.Fallback, Reason: backends.OperatorUnsupported, Precision: fp16},
		}},
		Times: &PlanTimes{Executions: 20, Execute: 1500 * time.Microsecond, Device: 1400 * time.Microsecond, Steps: []time.Duration{1e6, 0, 5e4, 2e5}}}
}

// tuned is how a plan tells of its launch configurations.
func tuned() *backends.Autotune {
	entry := func(op string, source backends.AutotuneSource, hits, misses int, times ...backends.AutotuneTime) backends.AutotuneEntry {
		return backends.AutotuneEntry{Op: op, Kernel: "conv_f16_3x3_n32", Bucket: "batch=1|channels=96|dtype=f16", Config: map[string]int{"threads": 256, "output_channels": 32},
			Source: source, Launches: hits + misses, CacheHits: hits, CacheMisses: misses, Times: times}
	}
	return backends.NewAutotune([]backends.AutotuneEntry{
		entry("conv_3x3", backends.AutotuneMeasured, 2, 1, backends.AutotuneTime{Configuration: "conv_f16_3x3_n64/2", NS: 9100}, backends.AutotuneTime{Configuration: "conv_f16_3x3_n32/2", NS: 8200}),
		entry("conv_1x1", backends.AutotuneRegistry, 5, 0), entry("conv_image", backends.AutotuneHeuristic, 0, 1),
	}, "tune.json is damaged (unexpected EOF): measured anew")
}

// TestPlanTable compares the tables of a plan with times and without, of a library's plan and of an empty one with golden texts.
func TestPlanTable(t *testing.T) {
	timed, compiled, library, empty := somePlan(), somePlan(), somePlan(), somePlan()
	compiled.Times = nil
	compiled.Plan.Autotune = tuned()
	library.Backend, library.Plan.Library, library.Plan.Split = "ort", "ONNX Runtime,\x1b provider cpu", nil
	library.Times.Steps, library.Times.Device = nil, 0
	empty.Plan, empty.Times = backends.Plan{}, &PlanTimes{Executions: 1}
	for name, p := range map[string]*Plan{"plan-timed.txt": timed, "plan.txt": compiled, "plan-library.txt": library, "plan-empty.txt": empty} {
		goldenfile.Check(t, name, written(t, PlanTable, p))
	}
}

func TestPlanSchema(t *testing.T) {
	p := somePlan()
	plan := func() any { return encoded(t, func(w io.Writer) error { return IndentedJSON(w, p) }) }
	if err := validate(t, PlanSchema, plan()); err != nil {
		t.Error(err)
	}
	refuses(t, PlanSchema, plan(), map[string]any{"schema": "apexx.plan/2", "precision": "fp12", "plan/steps/level": "unsupported", "plan/arena_bytes": -1, "times/executions": 0})
	p.Plan.Autotune = tuned()
	if err := validate(t, PlanSchema, plan()); err != nil {
		t.Error(err)
	}
	refuses(t, PlanSchema, plan(), map[string]any{"plan/autotune/entries/selection_source": "luck", "plan/autotune/entries/shape_bucket": "", "plan/autotune/summary/launches": -1,
		"plan/autotune/summary/cache_hit_rate": 2})
	p.Times, p.Plan.Steps = nil, []backends.Step{}
	if err := validate(t, PlanSchema, plan()); err != nil {
		t.Errorf("a plan without steps and times: %v", err)
	}
}

func TestPlanSummary(t *testing.T) {
	s := somePlan().Plan.Summary()
	if n := s.Nodes; s.Steps != 4 || n[backends.Native] != 4 || n[backends.Emulated] != 2 || n[backends.Fallback] != 1 || s.Folded != 1 || s.Views != 2 || len(s.Split) != 1 {
		t.Errorf("%+v", s)
	}
}
