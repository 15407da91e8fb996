package reports

import (
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/locate"
	"github.com/apex-x/apexx/perf/env"
)

// someLocate has a step of every kind; its third is beyond its budget.
func someLocate() *Locate {
	fine := locate.Error{Output: "stem", Elements: 4096, Ratio: 0.31, Index: 17, Got: 1.0000002, Want: 1, Allowed: 6e-7, MaxAbs: 2e-7, Noise: 9e-8}
	exact := locate.Error{Elements: 4096, Index: -1}
	wrong := locate.Error{Output: "p3", Elements: 1000, Unknown: 24, Beyond: 998, Ratio: 512, Index: 3, Got: 0.5, Want: 0.25, Allowed: 5e-4, MaxAbs: 0.25, Noise: 0.1}
	choice := locate.Error{Output: "detections.select", Elements: 100, Beyond: 2, Ratio: parity.Number(math.Inf(1)), Got: 7, Want: 9, Wrong: "sample 0: the pair 7 is kept, whose score is below the threshold 0.05"}
	return &Locate{Schema: LocateSchemaID, Case: "scene-000001", Variables: []env.Software{{Key: "cuda:CUDA_LAUNCH_BLOCKING", Value: "1"}}, Reproduce: "cd out/step && apexx locate --model step.onnx --tensors inputs.safetensors --backends reference,cuda --precision fp32 --profile balanced",
		Trace: &locate.Trace{
			Reference: parity.Column{Backend: "reference", Precision: backends.FP32}, Candidate: parity.Column{Backend: "cuda", Precision: backends.FP32},
			Profile: "balanced", Factor: 6, State: evidence.Fail, First: locate.Answer{Step: 1, Time: 1500 * time.Millisecond},
			Changed: []string{"step p3 (ConvGroupNormSiLU) is executed otherwise when it is tapped"},
			Passes:  []locate.Pass{{Name: "plan", Time: 1e8}, {Name: "reference", Time: 2e8}},
			Steps: []locate.Step{
				{Name: "stem", Op: "ConvGroupNormSiLU", Nodes: []string{"stem.conv", "stem.norm", "stem"}, Local: fine, Reference: fine, Accumulated: fine, Amplified: 1},
				{Name: "flat", Op: "Reshape", Nodes: []string{"flat"}, Local: exact, Reference: exact, Accumulated: fine},
				{Name: "p3", Op: "ConvGroupNormSiLU", Nodes: []string{"p3.conv", "p3.norm", "p3"}, Local: wrong, Reference: fine, Accumulated: wrong, Amplified: 1.2},
				{Name: "detections.select", Op: "SelectDetections", Nodes: []string{"detections.select"}, Local: choice, Reference: exact, Accumulated: exact},
				{Name: "masks", Op: "BoxMask", Nodes: []string{"masks"}, Skipped: "the reference computed a NaN or infinity at element 5 of boxes, which it reads"},
			},
			Finding: &locate.Finding{Step: 2, By: "candidate", Node: "p3.norm", Op: "GroupNormalization", How: "the node computes something else by itself too",
				Inside: []locate.NodeTest{{Node: "p3.conv", Op: "Conv", Tapped: 0.2, Alone: 0.2}, {Node: "p3.norm", Op: "GroupNormalization", Tapped: 600, Alone: 580}, {Node: "p3", Op: "Mul", Tapped: 512, Alone: 0.1}}},
		}}
}

// TestLocateTable compares the tables of a failure, of a fusion that is at fault, of the reference being beyond, and of a pass with golden texts.
func TestLocateTable(t *testing.T) {
	failing, fused, reference, passing := someLocate(), someLocate(), someLocate(), someLocate()
	fused.Library, fused.Reproduce = "ONNX Runtime,\x1b provider cpu", ""
	fused.Finding = &locate.Finding{Step: 2, By: "candidate", How: "every node is right by itself and when it is tapped: what is wrong is how they are fused"}
	reference.State, reference.Steps = evidence.Unverified, reference.Steps[:3]
	reference.Steps[2].Local, reference.Steps[2].Reference = reference.Steps[2].Reference, reference.Steps[2].Local
	reference.Finding = &locate.Finding{Step: 2, By: "reference", Node: "p3", Op: "Mul", How: "the step is this node"}
	strays := someLocate()
	strays.State, strays.Steps, strays.Finding, strays.Reproduce = evidence.Unverified, strays.Steps[:2], nil, ""
	strays.Strays = "from step flat on the whole run is off by 12 times what the errors of its steps explain"
	fused.Minimal = &locate.Minimal{Side: fused.Candidate, Subject: "step p3 by itself", Switches: []string{"one thread", "no tuned configurations", "p3.norm stored", "p3.conv stored", "provider cpu"},
		Smallest: []string{"no tuned configurations", "p3.norm stored"}, Trials: []locate.Trial{
			{Switches: []string{}, Ratio: 512}, {Switches: []string{"one thread", "no tuned configurations", "p3.norm stored", "p3.conv stored", "provider cpu"}, Gone: true, Ratio: 0.2},
			{Switches: []string{"one thread", "provider cpu"}, Ratio: parity.Number(math.Inf(1)), Problem: "the worker ended"}, {Switches: []string{"no tuned configurations", "p3.norm stored"}, Gone: true, Ratio: 0.21}}}
	strays.Minimal = &locate.Minimal{Side: strays.Candidate, Subject: "the whole run", Switches: []string{"one thread"}, Trials: slices.Repeat([]locate.Trial{{Ratio: 12}}, listed+2)}
	reference.Minimal = &locate.Minimal{Side: reference.Reference}
	passing.State, passing.Steps, passing.Finding, passing.Changed, passing.Reproduce = evidence.Pass, passing.Steps[:2], nil, []string{}, ""
	unjudged := someLocate()
	unjudged.State, unjudged.Steps, unjudged.Finding, unjudged.Changed, unjudged.Reproduce = evidence.Unverified, slices.Clone(passing.Steps), nil, []string{}, ""
	unjudged.Steps[0].Local = locate.Error{Elements: 3, Unknown: 5, Unjudged: "quotient", Index: -1}
	for name, l := range map[string]*Locate{"locate-unjudged.txt": unjudged, "locate.txt": failing, "locate-fused.txt": fused, "locate-reference.txt": reference, "locate-pass.txt": passing, "locate-strays.txt": strays} {
		goldenfile.Check(t, name, written(t, LocateTable, l))
	}
}

func TestLocateSchema(t *testing.T) {
	l := someLocate()
	value := func() any { return encoded(t, func(w io.Writer) error { return IndentedJSON(w, l) }) }
	if err := validate(t, LocateSchema, value()); err != nil {
		t.Error(err)
	}
	l.Minimal = &locate.Minimal{Side: l.Candidate, Switches: []string{"one thread"}, Smallest: []string{}, Trials: []locate.Trial{{Switches: []string{}, Ratio: 3}}}
	refuses(t, LocateSchema, value(), map[string]any{"schema": "apexx.locate/1", "state": "explained", "steps/local/beyond": -1, "finding/by": "oracle", "first_answer/time_ns": -5})
	l.Finding, l.Reproduce, l.Library, l.State = nil, "", "ONNX Runtime", evidence.Pass
	if err := validate(t, LocateSchema, value()); err != nil {
		t.Errorf("a pass: %v", err)
	}
}
