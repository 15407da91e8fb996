package attest

// Status is what a release has shown of one item.
type Status string

// The statuses of spec/perf.md 14. Pending is no pass: nothing was shown, or what was shown does not decide.
const (
	Pass    Status = "PASS"
	Fail    Status = "FAIL"
	Pending Status = "PENDING"
	NA      Status = "N/A" // not required, and nothing was given
)

// severity orders statuses; of several the last speaks for all.
var severity = map[Status]int{NA: 0, Pass: 1, Pending: 2, Fail: 3}

func worst(a, b Status) Status {
	if severity[b] > severity[a] {
		return b
	}
	return a
}

// Item is something that a release can have to show.
type Item struct {
	Key      string
	Label    string
	Producer string // the command, for people
}

// The keys of items that this package knows evidence for.
const (
	ExportManifest    = "export_manifest"
	ONNXGraph         = "onnx_graph"
	ParityReport      = "parity_report"
	PerformanceReport = "performance_report"
	CapsSnapshot      = "runtime_capability_snapshot"
	EvalReport        = "eval_report"
	ReplayManifest    = "replay_manifest"

	LintTests        = "lint_type_tests"
	CPUGate          = "cpu_perf_regression"
	GPUGate          = "gpu_perf_regression"
	BackendParity    = "runtime_backend_parity"
	CapsTransparency = "runtime_capability_transparency"
)

// Artifacts, Gates and SignOffs list all items in the order of the original's attestation, to which the replay manifest is added. A
// missing artifact that is required fails; a missing gate is pending.
var (
	Artifacts = []Item{
		{ExportManifest, "Export manifest", "apexx export"},
		{ONNXGraph, "ONNX graph", "apexx export"},
		{"trt_engine", "TensorRT engine", "trtexec"},
		{"trt_plugin_versions", "TensorRT plugin versions", "apexx-tensorrt"},
		{ParityReport, "Parity report", "apexx matrix"},
		{PerformanceReport, "Performance report", "apexx sweep"},
		{CapsSnapshot, "Runtime capability snapshot", "apexx caps --json"},
		{EvalReport, "Evaluation report", "apexx eval"},
		{ReplayManifest, "Replay manifest", "apexx replay create"},
	}
	Gates = []Item{
		{LintTests, "Lint, types and tests", ".ci/checks"},
		{CPUGate, "CPU performance regression", "apexx gate"},
		{GPUGate, "GPU performance regression", "apexx gate"},
		{BackendParity, "Runtime backend parity", "apexx matrix"},
		{CapsTransparency, "Runtime capability transparency", "apexx caps --json"},
		{"security_review", "Security review", "a sign-off"},
		{"documentation_sync", "Documentation in step", "a sign-off"},
	}
	SignOffs = []Item{
		{"sign_off_engineering", "Engineering", "a sign-off"},
		{"sign_off_runtime_infra", "Runtime and infrastructure", "a sign-off"},
		{"sign_off_qa", "QA", "a sign-off"},
		{"sign_off_product", "Product", "a sign-off"},
	}
)

// signed are the items that people answer for.
var signed = append([]Item{Gates[5], Gates[6]}, SignOffs...)

// itemOf returns the item of a key, nil for an unknown one.
func itemOf(key string) *Item {
	for _, list := range [][]Item{Artifacts, Gates, SignOffs} {
		for i := range list {
			if list[i].Key == key {
				return &list[i]
			}
		}
	}
	return nil
}
