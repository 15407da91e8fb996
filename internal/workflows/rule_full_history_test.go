package workflows

import "testing"

func TestFullHistory(t *testing.T) {
	const full = "{uses: actions/checkout@v6, with: {fetch-depth: 0}}"
	testRule(t, "full-history", "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [PART]}}\n", map[string]ruleCase{
		"gate":             {full + ", {run: .ci/verdict out .ci/gate}", ""},
		"history":          {full + ", {run: apexx trend add --repository . --from a.json}", ""},
		"one commit":       {"{uses: actions/checkout@v6}, {run: .ci/gate}", ".ci/gate needs every commit"},
		"some commits":     {"{uses: Actions/Checkout@v6, with: {fetch-depth: 100}}, {run: .ci/gate}", "fetch-depth: 0"},
		"expression":       {"{uses: actions/checkout@v6, with: {fetch-depth: '${{ 0 }}'}}, {run: .ci/gate}", "fetch-depth: 0"},
		"too late":         {"{run: apexx trend add --repository .}, " + full, "trend add --repository needs every commit"},
		"checked out anew": {full + ", {uses: actions/checkout@v6}, {run: .ci/gate}", ".ci/gate needs"},
		"no repository":    {"{uses: actions/checkout@v6}, {run: apexx trend add --from a.json}", ""},
	})
}
