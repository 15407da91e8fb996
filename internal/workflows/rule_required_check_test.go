package workflows

import "testing"

func TestRequiredCheck(t *testing.T) {
	const others = `
jobs:
  test: {runs-on: ubuntu-24.04, steps: [{run: make}]}
  gate: {runs-on: ubuntu-24.04, steps: [{run: make}]}
`
	const needs, judge = "needs: [test, gate], ", `steps: [{run: ./judge, env: {A: "${{ needs.test.result }}", B: "${{ needs.gate.result }}"}}]`
	const hosted, always = "runs-on: ubuntu-24.04, ", "if: always(), "
	testRule(t, "required-check", "on: pull_request"+others+"  all-required: {PART}\n", map[string]ruleCase{
		"complete":         {hosted + always + needs + judge, ""},
		"in one text":      {hosted + always + needs + `steps: [{run: ./judge, env: {A: "${{ needs.test.result }} ${{ needs.gate.result }}"}}]`, ""},
		"true as well":     {hosted + `if: "always() && github.event_name == 'pull_request'", ` + needs + judge, ""},
		"no condition":     {hosted + needs + judge, "may be skipped"},
		"unless cancelled": {hosted + "if: '!cancelled()', " + needs + judge, "may be skipped"},
		"by variable":      {hosted + "if: always() && vars.ON == 'true', " + needs + judge, "may be skipped"},
		"not for forks":    {hosted + "if: always() && !github.event.pull_request.head.repo.fork, " + needs + judge, "is skipped"},
		"needs less":       {hosted + always + "needs: [test], " + judge, "does not need job gate"},
		"reads less":       {hosted + always + needs + `steps: [{run: ./judge, env: {A: "${{ needs.test.result }}"}}]`, "does not read needs.gate.result"},
		"reads in words":   {hosted + always + needs + `steps: [{run: "echo needs.gate.result", env: {A: "${{ needs.test.result }}"}}]`, "does not read needs.gate.result"},
		"step at will":     {hosted + always + needs + `steps: [{if: failure(), run: ./judge, env: {A: "${{ needs.test.result }}", B: "${{ needs.gate.result }}"}}]`, "has a condition"},
		"forgiving job":    {hosted + always + "continue-on-error: true, " + needs + judge, "remove continue-on-error"},
		"by expression":    {hosted + always + "continue-on-error: '${{ vars.SOFT == 1 }}', " + needs + judge, "remove continue-on-error"},
		"forgives nothing": {hosted + always + "continue-on-error: false, " + needs + judge, ""},
		"self-hosted":      {"runs-on: [self-hosted, linux, x64, gpu], " + always + needs + judge, "waits for a self-hosted runner"},
		"matrix":           {hosted + always + "strategy: {matrix: {a: [1]}}, " + needs + judge, "matrix"},
		"renamed":          {hosted + always + "name: All, " + needs + judge, `is "All"`},
	})
	const both = hosted + always + needs + judge
	testRule(t, "required-check", "on: [pull_request, push]"+others+"  all-required: {PART}\n", map[string]ruleCase{
		"one name":   {both, "on push"},
		"two names":  {`name: "${{ github.event_name == 'pull_request' && 'all-required' || 'all-push' }}", ` + both, ""},
		"unknown":    {`name: "${{ github.event_name == 'pull_request' && 'all-required' || vars.NAME }}", ` + both, "on push"},
		"only pulls": {`name: "${{ github.event_name == 'pull_request' && 'all-required' || 'all-push' }}", ` + hosted + "if: always() && github.event_name != 'push', " + needs + judge, "is skipped on push"},
	})
	testRule(t, "required-check", "on: PART"+others, map[string]ruleCase{
		"no such job":      {"pull_request", "0 jobs have an ID"},
		"no pull requests": {"push", ""},
	})
	testRule(t, "required-check", "on: pull_request"+others+"  a-required: {"+both+"}\n  b-required: {PART}\n", map[string]ruleCase{
		"two": {both, "2 jobs have an ID"},
	})
}
