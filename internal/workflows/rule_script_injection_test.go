package workflows

import "testing"

func TestScriptInjection(t *testing.T) {
	testRule(t, "script-injection", "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [PART]}}\n", map[string]ruleCase{
		"by env":               {`{run: 'echo "$TITLE"', env: {TITLE: '${{ github.event.pull_request.title }}'}}`, ""},
		"shell braces":         {`{run: 'echo "${TITLE}"'}`, ""},
		"title":                {`{run: 'echo "${{ github.event.pull_request.title }}"'}`, "pull_request.title"},
		"input":                {`{run: 'echo ${{ inputs.path }}'}`, "inputs.path"},
		"step output":          {`{run: 'echo ${{ steps.a.outputs.b }}'}`, "steps.a.outputs.b"},
		"env in an expression": {`{run: 'echo ${{ env.TITLE }}', env: {TITLE: '${{ github.head_ref }}'}}`, "env.TITLE"},
		"script of an action":  {`{uses: actions/github-script@v8, with: {script: 'f("${{ github.head_ref }}")'}}`, "github.head_ref"},
		"other inputs":         {`{uses: actions/checkout@v6, with: {ref: '${{ github.head_ref }}'}}`, ""},
	})
}
