package workflows

import "testing"

func TestPathFilter(t *testing.T) {
	testRule(t, "path-filter", "on: {PART}\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: make}]}}\n", map[string]ruleCase{
		"none":             {"pull_request: ", ""},
		"filtered push":    {"push: {paths: ['**.go'], branches: [main]}, pull_request: ", ""},
		"more types":       {"pull_request: {types: [opened, reopened, synchronize, labeled]}", ""},
		"paths":            {"pull_request: {paths: ['**.go']}", "paths leaves"},
		"paths ignored":    {"pull_request: {paths-ignore: ['**.md']}", "paths-ignore leaves"},
		"branches":         {"pull_request: {branches: [main]}", "branches leaves"},
		"branches ignored": {"pull_request: {branches-ignore: [wip]}", "branches-ignore leaves"},
		"first push only":  {"pull_request: {types: [opened, reopened]}", "lack synchronize"},
	})
}
