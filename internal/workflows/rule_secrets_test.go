package workflows

import "testing"

func TestSecrets(t *testing.T) {
	testRule(t, "secrets", "on: workflow_dispatch\njobs: {a: {PART}}\n", map[string]ruleCase{
		"none":           {"runs-on: ubuntu-24.04, steps: [{run: make}]", ""},
		"token":          {"runs-on: ubuntu-24.04, steps: [{run: make, env: {T: '${{ secrets.GITHUB_TOKEN }}'}}]", ""},
		"approved":       {"runs-on: ubuntu-24.04, environment: e, steps: [{run: make, env: {K: '${{ secrets.KEY }}'}}]", ""},
		"unapproved":     {"runs-on: ubuntu-24.04, steps: [{run: make, env: {K: '${{ secrets.KEY }}'}}]", "without an environment"},
		"in a function":  {"runs-on: ubuntu-24.04, steps: [{run: make, env: {K: '${{ format(secrets.KEY) }}'}}]", "without an environment"},
		"all of them":    {"runs-on: ubuntu-24.04, steps: [{run: make, env: {K: '${{ toJSON(secrets) }}'}}]", "without an environment"},
		"of an action":   {"runs-on: ubuntu-24.04, steps: [{uses: a/b@c, with: {key: '${{ secrets.KEY }}'}}]", "without an environment"},
		"self-hosted":    {"runs-on: [self-hosted, linux, x64, gpu], environment: e, steps: [{run: make, env: {K: '${{ secrets.KEY }}'}}]", "self-hosted"},
		"for every step": {"runs-on: ubuntu-24.04, environment: e, env: {K: '${{ secrets.KEY }}'}, steps: [{run: make}]", "every step"},
	})
	testRule(t, "secrets", "on: PART\njobs: {a: {runs-on: ubuntu-24.04, environment: e, steps: [{run: make, env: {K: '${{ secrets.KEY }}'}}]}}\n", map[string]ruleCase{
		"by hand":         {"workflow_dispatch", ""},
		"pull request":    {"pull_request", "pull_request can start it"},
		"also by a push":  {"[workflow_dispatch, push]", "push can start it"},
		"also every week": {"{workflow_dispatch: , schedule: [{cron: '0 4 * * 1'}]}", "schedule can start it"},
	})
}
