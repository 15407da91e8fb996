package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/caps"
)

// validate checks a value's JSON against one of the package's schemas.
func validate(t *testing.T, schema []byte, value any) error {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	ids := map[string]string{}
	for _, source := range [][]byte{RunSchema, ManifestSchema, CapsSchema, EnvironmentSchema, PerfSchema, SweepSchema, GateSchema, BaselineSchema,
		SelfcheckSchema, SuitesSchema, CompareSchema, TrendArtifactSchema, PlanSchema, FrameSchema, SequenceSchema, LocateSchema, CertificateSchema, EvaluationSchema} {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
		if err != nil {
			t.Fatal(err)
		}
		id := document.(map[string]any)["$id"].(string)
		ids[string(source)] = id
		if err := compiler.AddResource(id, document); err != nil {
			t.Fatal(err)
		}
	}
	compiled, err := compiler.Compile(ids[string(schema)])
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Validate(decoded)
}

// edit returns a value's JSON object with one entry replaced or, for nil, removed; path is separated by slashes.
func edit(t *testing.T, value any, path string, to any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	at := root
	keys := strings.Split(path, "/")
	for _, k := range keys[:len(keys)-1] {
		next := at[k]
		if list, ok := next.([]any); ok {
			next = list[0]
		}
		at = next.(map[string]any)
	}
	last := keys[len(keys)-1]
	if to == nil {
		delete(at, last)
	} else {
		at[last] = to
	}
	return root
}

// sampleRun is a report with everything set.
func sampleRun(t *testing.T) *Run {
	t.Helper()
	images, err := Describe(sampleSubject(), sampleOutputs())
	if err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("0a", 32)
	digests := map[string]string{}
	for _, name := range strings.Fields("boxes scores class_ids valid_counts mask_logits mask_scores embeddings semantic_logits utilities split_utilities tiles_l0 tiles_l1 valid_l0 valid_l1") {
		digests[name] = sum
	}
	return &Run{
		SchemaVersion: RunSchemaVersion, Input: Input{"scene", []int{2, 3, 128, 256}, sum}, Model: Model{"nano", []string{"disk"}, sum, sum},
		RequestedName: "reference", SelectedName: "reference", ExecutionName: "reference", FallbackPolicy: "strict", FallbackChain: []caps.Attempt{}, PrecisionTarget: "balanced",
		RequestedDType: "fp32", EffectiveDType: "fp32", Latency: Latency{3, 2, 1}, Memory: Memory{100, 0}, Images: images,
		Budgets:    map[string]Budget{"b1": NewBudget(1, 2), "b2": NewBudget(1, 2), "b3": NewBudget(0, 0), "total": NewBudget(2, 4)},
		Digests:    digests,
		Thresholds: Thresholds{0.05, 0.6, 1000, 100},
		RuntimeCaps: map[string]any{"any_gpu_runtime": false, "cpu": map[string]any{"architecture": "amd64", "threads": 2},
			"backends": []any{map[string]any{"name": "reference", "available": true, "optional": []any{}, "chain": []any{"reference"},
				"required": []any{map[string]any{"name": "instruction_set", "state": "met", "reason": nil}}}},
			"cuda": map[string]any{"available": false, "device_count": 0, "device_name": nil, "compute_capability": nil, "reason": "cuda_unavailable", "devices": []any{}},
			"tensorrt": map[string]any{"available": false, "version": nil, "reason": "worker_not_found", "headers_available": false, "header_path": nil,
				"int8_available": false, "int8_reason": "worker_not_found"},
			"fp8": map[string]any{"available": false, "dtype_available": false, "supported_dtypes": []any{}, "reason": "fp8_requires_cuda"}},
	}
}

func TestRunSchema(t *testing.T) {
	run := sampleRun(t)
	if err := validate(t, RunSchema, run); err != nil {
		t.Errorf("one run: %v", err)
	}
	if err := validate(t, RunSchema, []*Run{run, run}); err != nil {
		t.Errorf("a list: %v", err)
	}
	for path, to := range map[string]any{
		"images":                             []any{},
		"images/detections/box":              []any{1, 2, 3},
		"images/detections/score":            "0.5",
		"images/detections/mask/counts":      []any{-1},
		"images/detections/embedding_sha256": "abc",
		"images/detections/colour":           "red",
		"images/tiles/l0":                    []any{1, 1},
		"images/tiles/l3":                    []any{},
		"images/width":                       0,
		"budgets/b1/used":                    "NaN",
		"budgets/b4":                         map[string]any{},
		"thresholds/score":                   1.5,
		"thresholds/pre_nms_topk":            1.5,
		"input/shape":                        []any{3, 128, 128},
		"execution_backend":                  "quantum",
		"latency_ms/total":                   -1,
		"runtime_caps":                       nil,
		"runtime_caps/cuda/reason":           nil,
		"runtime_caps/cuda/device_count":     -1,
		"runtime_caps/cuda/available":        true, // with a reason
		"runtime_caps/fp8/reason":            "fp8_is_fun",
		"runtime_caps/fp8/supported_dtypes":  []any{"fp8"}, // of what is not available
		"runtime_caps/tensorrt/int8_reason":  "none",
		"runtime_caps/backends/reason":       "library_not_found", // of an available backend
		"selection_fallback_reason":          nil,
		"execution_fallback_reason":          "library_not_found",
		"fallback_chain":                     []any{map[string]any{"backend": "cuda", "reason": "bad_weather"}},
		"output_sha256/boxes":                nil,
		"output_sha256/extra":                "zz",
		"schema_version":                     2,
		"model/profile":                      "huge",
		"memory_bytes/device":                nil,
	} {
		if err := validate(t, RunSchema, edit(t, run, path, to)); err == nil {
			t.Errorf("%s = %v is valid", path, to)
		}
	}
}

// TestNonFiniteNumbersAreJSON checks that what a faulty backend returns can be written and read.
func TestNonFiniteNumbersAreJSON(t *testing.T) {
	run := sampleRun(t)
	out := sampleOutputs()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tensor.Data[float32](out.Get("scores"))[0] = nan
	tensor.Data[float32](out.Get("boxes"))[0] = nan
	tensor.Data[float32](out.Get("boxes"))[2] = inf
	tensor.Data[float32](out.Get("mask_scores"))[0] = -inf
	tensor.Data[float32](out.Get("mask_logits"))[0] = nan
	tensor.Data[float32](out.Get("utilities"))[0] = inf
	tensor.Data[float32](out.Get("split_utilities"))[1] = nan
	var err error
	if run.Images, err = Describe(sampleSubject(), out); err != nil {
		t.Fatal(err)
	}
	if err := validate(t, RunSchema, run); err != nil {
		t.Error(err)
	}
	text, _ := json.Marshal(run.Images[0])
	for _, want := range []string{`"box":["NaN",`, `"score":"NaN"`, `"det_score":"NaN"`, `"mask_score":"-Infinity"`, `"utilities":["Infinity",`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing in %s", want, text)
		}
	}
	Overlay(sampleSubject().SceneOf(run.Images[0], sampleInput(), 0)) // must not panic
}

func TestNewBudget(t *testing.T) {
	for _, tt := range []struct{ used, budget, ratio float64 }{{1, 4, 0.25}, {6, 4, 1.5}, {0, 4, 0}, {0, 0, 0}, {2, 0, 0}} {
		if got := NewBudget(tt.used, tt.budget); got != (Budget{tt.used, tt.budget, tt.ratio}) {
			t.Errorf("%+v, want ratio %g", got, tt.ratio)
		}
	}
}

func TestTensorSHA256(t *testing.T) {
	sum := func(b ...byte) string {
		h := sha256.Sum256(b)
		return hex.EncodeToString(h[:])
	}
	for _, tt := range []struct {
		t    *tensor.Tensor
		want string
	}{
		{tensor.Must(tensor.Of([]float32{1, float32(math.Copysign(0, -1))}, 2)), sum(0, 0, 0x80, 0x3f, 0, 0, 0, 0x80)},
		{tensor.Must(tensor.Of([]float64{-2}, 1)), sum(0, 0, 0, 0, 0, 0, 0, 0xc0)},
		{tensor.Must(tensor.Of([]int64{-1, 258}, 1, 2)), sum(255, 255, 255, 255, 255, 255, 255, 255, 2, 1, 0, 0, 0, 0, 0, 0)},
		{tensor.Must(tensor.Of([]int32{258}, 1)), sum(2, 1, 0, 0)},
		{tensor.Must(tensor.Of([]bool{true, false, true}, 3)), sum(1, 0, 1)},
		{tensor.New(tensor.Float32, 0, 4), sum()},
		{tensor.New(tensor.Int64, 70001), sum(make([]byte, 8*70001)...)}, // more than one buffer
	} {
		if got := TensorSHA256(tt.t); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.t, got, tt.want)
		}
	}
}
