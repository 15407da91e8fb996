package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/apex-x/apexx/parity"
)

// PolicySchema names the version of a policy file.
const PolicySchema = "apexx.release-policy/1"

// Policy says what a release has to show. It is a committed file, so that whoever releases does not choose what is asked of them.
type Policy struct {
	Schema        string              `json:"schema"`
	Name          string              `json:"name"`
	Expires       time.Time           `json:"expires"`        // from then on nothing is attested or verified by it
	RuntimeTarget string              `json:"runtime_target"` // cpu, torch, triton or tensorrt, as in spec/perf.md 14.1
	Required      []string            `json:"required"`       // keys of Artifacts, Gates and SignOffs
	Checks        []string            `json:"checks"`         // names of the checks that lint_type_tests consists of
	Matrix        MatrixRule          `json:"matrix"`
	Gates         map[string]GateRule `json:"gates"` // by key of the item: cpu_perf_regression, gpu_perf_regression
	Sweep         SweepRule           `json:"sweep"`
	Evaluation    EvaluationRule      `json:"evaluation"`
	Notes         []string            `json:"notes,omitempty"` // for people

	digest string
}

// MatrixRule is what a parity matrix has to cover, so that an easy one does not pass for a hard one.
type MatrixRule struct {
	Policies []string        `json:"policies"` // tolerances by which it may be judged, such as "balanced e2e"
	Cases    []string        `json:"cases"`    // each compared in each of the columns
	Columns  []parity.Column `json:"columns"`
}

// GateRule bounds what a gate may have let pass, and names the cells that it has to have measured.
type GateRule struct {
	Cells           []string `json:"cells"`
	MaxDelta        float64  `json:"max_delta"`                  // of the time
	MaxResolution   float64  `json:"max_resolution"`             // of the verdict: a greater slowdown may not have been missed
	MaxAlpha        float64  `json:"max_alpha"`                  // greatest p of a regression; a smaller α would overlook more
	MinAlpha        float64  `json:"min_alpha"`                  // as MaxAlpha, from below
	AcceptedChanges []string `json:"accepted_changes,omitempty"` // reasons of --accept-change that reviewers of this file have agreed to
}

// SweepRule names the cells that the performance report has to have measured.
type SweepRule struct {
	Cells []string `json:"cells"`
}

// EvaluationRule says what an evaluation has to be of, and what it has to show.
type EvaluationRule struct {
	Dataset       string   `json:"annotations_sha256"` // of the annotation file
	Executions    []string `json:"executions"`         // that may be evaluated, such as "ort fp32"
	Base          string   `json:"base"`               // the execution that it is compared with
	MinMap        float64  `json:"min_map"`            // AP of boxes, in [0,1]
	MaxMapDrop    float64  `json:"max_map_drop"`       // greatest loss of AP of boxes against the base, in (0,1]
	MinConfidence float64  `json:"min_confidence"`     // of the intervals
}

// ParsePolicy reads a policy strictly: an unknown key, an unknown item, a missing bound or an empty list where one is needed is an error.
// The bytes are remembered by their digest.
func ParsePolicy(text []byte) (*Policy, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var p Policy
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("not a release policy: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a release policy: something follows the object")
	}
	sum := sha256.Sum256(text)
	p.digest = hex.EncodeToString(sum[:])
	return &p, p.check()
}

func (p *Policy) check() error {
	switch {
	case p.Schema != PolicySchema:
		return fmt.Errorf("the schema is %q, want %q", p.Schema, PolicySchema)
	case p.Name == "" || p.Expires.IsZero():
		return errors.New("a policy needs a name, and a time at which it expires")
	case !slices.Contains([]string{"cpu", "torch", "triton", "tensorrt"}, p.RuntimeTarget):
		return fmt.Errorf("the runtime target %q is unknown (known: cpu, torch, triton, tensorrt)", p.RuntimeTarget)
	case len(p.Required) == 0:
		return errors.New("a policy that requires nothing attests nothing")
	}
	for i, key := range p.Required {
		if itemOf(key) == nil {
			return fmt.Errorf("the required item %q is unknown", key)
		}
		if slices.Contains(p.Required[:i], key) {
			return fmt.Errorf("the item %q is required twice", key)
		}
	}
	return p.checkRules()
}

// checkRules finds a rule for everything that is required and has one.
func (p *Policy) checkRules() error {
	if p.requires(ParityReport) || p.requires(BackendParity) {
		if len(p.Matrix.Policies) == 0 || len(p.Matrix.Cases) == 0 || len(p.Matrix.Columns) < 2 {
			return errors.New("a matrix is required: matrix has to name policies, cases, and two columns or more")
		}
	}
	if p.requires(LintTests) && len(p.Checks) == 0 {
		return fmt.Errorf("%s is required, and checks names none", LintTests)
	}
	if p.requires(PerformanceReport) && len(p.Sweep.Cells) == 0 {
		return fmt.Errorf("%s is required, and sweep names no cells", PerformanceReport)
	}
	if e := p.Evaluation; p.requires(EvalReport) && (e.Dataset == "" || len(e.Executions) == 0 || e.Base == "" || !(e.MinMap > 0 && e.MaxMapDrop > 0 && e.MinConfidence > 0.5)) {
		return fmt.Errorf("%s is required: evaluation has to name annotations_sha256, executions, base, min_map, max_map_drop, and a min_confidence above 0.5", EvalReport)
	}
	for _, key := range []string{CPUGate, GPUGate} {
		if _, ok := p.Gates[key]; p.requires(key) && !ok {
			return fmt.Errorf("%s is required, and gates has no rule for it", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Gates)) {
		r := p.Gates[key]
		switch {
		case key != CPUGate && key != GPUGate:
			return fmt.Errorf("gates: %q is no gate (known: %s, %s)", key, CPUGate, GPUGate)
		case len(r.Cells) == 0:
			return fmt.Errorf("gates: %s names no cells", key)
		case !(r.MaxDelta > 0 && r.MaxResolution > 0 && r.MinAlpha > 0 && r.MaxAlpha >= r.MinAlpha):
			return fmt.Errorf("gates: %s needs max_delta, max_resolution, min_alpha and max_alpha, all greater than 0", key)
		}
	}
	return nil
}

func (p *Policy) requires(key string) bool { return slices.Contains(p.Required, key) }

// Digest is the SHA-256 of the file that the policy was read from.
func (p *Policy) Digest() string { return p.digest }
