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
}
