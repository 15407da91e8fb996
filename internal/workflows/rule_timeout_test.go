package workflows

import "testing"

func TestTimeout(t *testing.T) {
	testRule(t, "timeout", "on: push\njobs: {a: {runs-on: ubuntu-24.04, PART steps: [{run: make}]}}\n", map[string]ruleCase{
		"short":      {"timeout-minutes: 1,", ""},
		"longest":    {"timeout-minutes: 120,", ""},
		"too long":   {"timeout-minutes: 121,", "outside (0, 120]"},
		"none":       {"", "no limit"},
		"expression": {"timeout-minutes: '${{ fromJSON(vars.LIMIT) }}',", "expression"},
	})
	testRule(t, "timeout", "on: push\njobs: {a: {uses: ./PART}}\n", map[string]ruleCase{"called workflow": {".github/workflows/x.yml", ""}})
}
