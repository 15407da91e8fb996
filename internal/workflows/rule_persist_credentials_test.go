package workflows

import "testing"

func TestPersistCredentials(t *testing.T) {
	testRule(t, "persist-credentials", "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [PART]}}\n", map[string]ruleCase{
		"false":          {"{uses: actions/checkout@v6, with: {persist-credentials: false}}", ""},
		"a text":         {"{uses: actions/checkout@v6, with: {persist-credentials: 'false'}}", ""},
		"true":           {"{uses: actions/checkout@v6, with: {persist-credentials: true}}", `"true"`},
		"expression":     {"{uses: actions/checkout@v6, with: {persist-credentials: '${{ false }}'}}", "want false"},
		"not said":       {"{uses: actions/checkout@v6}", "add persist-credentials"},
		"said otherwise": {"{uses: Actions/Checkout@v6, with: {fetch-depth: 0}}", "add persist-credentials"},
		"another action": {"{uses: actions/setup-go@v6}", ""},
	})
}
