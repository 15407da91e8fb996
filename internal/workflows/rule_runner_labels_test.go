package workflows

import "testing"

func TestRunnerLabels(t *testing.T) {
	testRule(t, "runner-labels", "on: push\njobs: {a: {runs-on: PART, steps: [{run: make}]}}\n", map[string]ruleCase{
		"hosted":          {"ubuntu-24.04", ""},
		"hosted for arm":  {"ubuntu-24.04-arm", ""},
		"complete":        {"[self-hosted, linux, x64, gpu]", ""},
		"complete, case":  {"[self-hosted, Linux, ARM64, h200]", ""},
		"latest":          {"ubuntu-latest", "version changes"},
		"alone":           {"self-hosted", "linux or windows or macos, x64 or arm64 or arm, its purpose"},
		"no purpose":      {"[self-hosted, linux, x64]", "its purpose"},
		"no processor":    {"[self-hosted, linux, gpu]", "x64"},
		"no system":       {"[self-hosted, x64, gpu]", "linux"},
		"purpose alone":   {"gpu", "self-hosted, linux"},
		"expression":      {"'${{ vars.RUNNER }}'", "expression"},
		"label by matrix": {"[self-hosted, linux, x64, '${{ matrix.gpu }}']", "expression"},
		"group":           {"{group: big}", "self-hosted"},
	})
}
