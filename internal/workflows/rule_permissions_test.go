package workflows

import "testing"

func TestPermissions(t *testing.T) {
	testRule(t, "permissions", "on: push\nPART\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: make}]}}\n", map[string]ruleCase{
		"contents":   {"permissions: {contents: read}", ""},
		"none":       {"permissions: {}", ""},
		"undeclared": {"", "no permissions are declared"},
		"all":        {"permissions: read-all", "name the scopes"},
		"write":      {"permissions: {contents: write}", "contents: write"},
		"two":        {"permissions: {contents: read, actions: read}", "declare it in the job"},
	})
	testRule(t, "permissions", "on: push\npermissions: {contents: read}\njobs: {a: {runs-on: ubuntu-24.04, PART steps: [{run: make}]}}\n", map[string]ruleCase{
		"job reads":      {"permissions: {contents: read, actions: read},", ""},
		"job has none":   {"permissions: {},", ""},
		"job writes":     {"permissions: {id-token: write},", "id-token: write"},
		"job writes all": {"permissions: write-all,", "name the scopes"},
	})
	const fetch = "{uses: actions/download-artifact@v8}"
	testRule(t, "permissions", "on: workflow_dispatch\npermissions: {contents: read}\njobs: {a: {permissions: {contents: write}, PART}}\n", map[string]ruleCase{
		"publishes":       {"runs-on: ubuntu-24.04, environment: e, steps: [" + fetch + ", {run: gh release create x y}]", ""},
		"unapproved":      {"runs-on: ubuntu-24.04, steps: [" + fetch + ", {run: gh release create x y}]", "contents: write"},
		"self-hosted":     {"runs-on: [self-hosted, linux, x64, gpu], environment: e, steps: [" + fetch + ", {run: gh release create x y}]", "contents: write"},
		"with a checkout": {"runs-on: ubuntu-24.04, environment: e, steps: [{uses: actions/checkout@v6}, {run: gh release create x y}]", "contents: write"},
		"a second line":   {"runs-on: ubuntu-24.04, environment: e, steps: [" + fetch + ", {run: \"gh release create x y\\nmake\"}]", "contents: write"},
		"more steps":      {"runs-on: ubuntu-24.04, environment: e, steps: [" + fetch + ", {run: make}, {run: gh release create x y}]", "contents: write"},
	})
}
