package workflows

import "testing"

func TestUploadAlways(t *testing.T) {
	const upload = "uses: actions/upload-artifact@v7, with: {path: out, retention-days: 7}"
	testRule(t, "upload-always", "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [PART]}}\n", map[string]ruleCase{
		"always":         {"{if: always(), " + upload + "}", ""},
		"in braces":      {"{if: '${{ always() }}', " + upload + "}", ""},
		"or":             {"{if: always() || failure(), " + upload + "}", ""},
		"none":           {"{" + upload + "}", "may be skipped"},
		"on failure":     {"{if: failure(), " + upload + "}", "may be skipped"},
		"not cancelled":  {"{if: '!cancelled()', " + upload + "}", "may be skipped"},
		"and more":       {"{if: always() && steps.a.outcome == 'success', " + upload + "}", "may be skipped"},
		"never":          {"{if: always() && false, " + upload + "}", "is skipped"},
		"true":           {"{if: true, " + upload + "}", "may be skipped"}, // means success() && true
		"retention":      {"{if: always(), uses: actions/upload-artifact@v7, with: {path: out}}", "retention-days"},
		"another action": {"{uses: actions/checkout@v6}", ""},
	})
}
