package workflows

import "testing"

func TestForkRunner(t *testing.T) {
	const job = "\njobs: {a: {PART, steps: [{run: make}]}}\n"
	const gpu = "runs-on: [self-hosted, linux, x64, gpu], environment: gpu"
	testRule(t, "fork-runner", "on: [pull_request, push]"+job, map[string]ruleCase{
		"hosted":               {"runs-on: ubuntu-24.04", ""},
		"no condition":         {gpu, "from a fork"},
		"push only":            {gpu + `, if: "github.event_name == 'push'"`, ""},
		"own branches":         {gpu + `, if: github.event.pull_request.head.repo.full_name == github.repository`, ""},
		"in braces":            {gpu + `, if: "${{ github.event.pull_request.head.repo.full_name == github.repository }}"`, ""},
		"other way round":      {gpu + `, if: "!(github.repository != github.event.pull_request.head.repo.full_name)"`, ""},
		"by the flag":          {gpu + `, if: "!github.event.pull_request.head.repo.fork"`, ""},
		"by index":             {gpu + `, if: "github.event['pull_request']['head']['repo'].full_name == github.repository"`, ""},
		"with always":          {gpu + `, if: "always() && github.event_name != 'pull_request'"`, ""},
		"inverted":             {gpu + `, if: github.event.pull_request.head.repo.full_name != github.repository`, "from a fork"},
		"forks only":           {gpu + `, if: github.event.pull_request.head.repo.fork`, "from a fork"},
		"the base":             {gpu + `, if: github.event.pull_request.base.repo.full_name == github.repository`, "from a fork"},
		"or a label":           {gpu + `, if: "github.event_name == 'push' || contains(github.event.pull_request.labels.*.name, 'ok')"`, "from a fork"},
		"and a label":          {gpu + `, if: "github.event_name == 'push' && contains(github.event.pull_request.labels.*.name, 'ok')"`, ""},
		"by the actor":         {gpu + `, if: "github.actor == 'somebody'"`, "from a fork"},
		"always true":          {gpu + `, if: "${{ github.event_name == 'push' }} && true"`, "from a fork"}, // a text that is not empty
		"no environment":       {"runs-on: [self-hosted, linux, x64, gpu], if: github.event_name == 'push'", "without approval"},
		"a label of one's own": {"runs-on: gpu-box, environment: gpu", "from a fork"},
		"group":                {"runs-on: {group: gpu}, environment: gpu", "from a fork"},
		"expression":           {"runs-on: '${{ vars.RUNNER }}', environment: gpu", "from a fork"},
	})
	testRule(t, "fork-runner", "on: PART\njobs: {a: {"+gpu+", steps: [{run: make}]}}\n", map[string]ruleCase{
		"own events": {"{push: , workflow_dispatch: , merge_group: , schedule: [{cron: '0 4 * * *'}]}", ""},
		"comments":   {"issue_comment", "issue_comment"},
		"reviews":    {"pull_request_review", "pull_request_review"},
		"called":     {"workflow_call", "workflow_call"},
	})
	testRule(t, "fork-runner", "on: pull_request\njobs:\n  a:\n    PART\n", map[string]ruleCase{
		"called workflow": {"uses: ./.github/workflows/x.yml\n    if: github.event_name == 'push'", "without approval"},
	})
}
