package workflows

import "testing"

func TestConcurrency(t *testing.T) {
	testRule(t, "concurrency", "on: push\nPART\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: make}]}}\n", map[string]ruleCase{
		"per ref":       {"concurrency: {group: 'a-${{ github.ref }}', cancel-in-progress: true}", ""},
		"by expression": {"concurrency: {group: \"a-${{ github.head_ref || github.ref }}\", cancel-in-progress: '${{ github.ref != 0 }}'}", ""},
		"none":          {"", "no concurrency"},
		"undecided":     {"concurrency: {group: 'a-${{ github.ref }}'}", "add cancel-in-progress"},
		"for all refs":  {"concurrency: {group: a, cancel-in-progress: true}", "not per github.ref"},
		"in words only": {"concurrency: {group: github.ref, cancel-in-progress: true}", "not per github.ref"},
		"per workflow":  {"concurrency: {group: '${{ github.workflow }}', cancel-in-progress: true}", "not per github.ref"},
	})
}
