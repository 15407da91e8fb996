package workflows

import "testing"

func TestPrivilegedTrigger(t *testing.T) {
	testRule(t, "privileged-trigger", "on: PART\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: make}]}}\n", map[string]ruleCase{
		"push":            {"push", ""},
		"pull request":    {"[push, pull_request]", ""},
		"target":          {"pull_request_target", "pull_request_target"},
		"target in list":  {"[push, pull_request_target]", "pull_request_target"},
		"target with key": {"{pull_request_target: {types: [opened]}}", "pull_request_target"},
		"workflow run":    {"{workflow_run: {workflows: [CI]}}", "workflow_run"},
	})
}
