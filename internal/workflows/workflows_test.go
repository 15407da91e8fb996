package workflows

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"

	"github.com/apex-x/apexx/internal/goldenfile"
)

// realWorkflows are the files that the rules are for, by path.
func realWorkflows(t *testing.T) map[string][]byte {
	t.Helper()
	return readAll(t, "../../.github/workflows/*.y*ml")
}

func readAll(t *testing.T, pattern string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no file matches %s (%v)", pattern, err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		if out[p], err = os.ReadFile(p); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestWorkflows(t *testing.T) {
	for path, source := range realWorkflows(t) {
		findings, err := Check(path, source)
		if err != nil {
			t.Error(err)
		}
		for _, f := range findings {
			t.Error(f)
		}
	}
}

// TestActionlint runs the linter itself, which checks types of expressions, names of inputs, the syntax of cron and much else;
// with shellcheck, where it is installed, every script too.
func TestActionlint(t *testing.T) {
	options := actionlint.LinterOptions{Color: actionlint.ColorOptionKindNever, Format: "{{range $}}{{$.Filepath}}:{{$.Line}}: {{$.Message}}\n{{end}}"}
	if path, err := exec.LookPath("shellcheck"); err == nil {
		options.Shellcheck = path
	} else {
		t.Log("shellcheck is not installed: the scripts in the workflows are not checked")
	}
	// A label of our own has to be declared: a misspelt one waits for a runner that never comes.
	options.ConfigFile = "../../.github/actionlint.yaml"
	linter, err := actionlint.NewLinter(io.Discard, &options)
	if err != nil {
		t.Fatal(err)
	}
	for path, source := range realWorkflows(t) {
		problems, err := linter.Lint(path, source, nil)
		if err != nil {
			t.Error(err)
		}
		for _, p := range problems {
			t.Errorf("%s:%d:%d: %s", path, p.Line, p.Column, p.Message)
		}
	}
}

// TestFixtures compares the findings in testdata/err/NAME.yaml with NAME.out. A fixture is named after the rule that it breaks,
// and breaks no other.
func TestFixtures(t *testing.T) {
	broken := map[string]bool{}
	for path, source := range readAll(t, "testdata/err/*.yaml") {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		findings, err := Check(filepath.Base(path), source)
		if err != nil {
			t.Error(err)
			continue
		}
		var out strings.Builder
		for _, f := range findings {
			fmt.Fprintln(&out, f)
			if f.Rule != name {
				t.Errorf("%s breaks the rule %s", path, f.Rule)
			}
			broken[f.Rule] = true
		}
		goldenfile.Check(t, "err/"+name+".out", out.String())
	}
	for _, r := range rules {
		if !broken[r.name] {
			t.Errorf("no fixture breaks the rule %s", r.name)
		}
	}
}

func TestGoodFixtures(t *testing.T) {
	for path, source := range readAll(t, "testdata/ok/*.yaml") {
		findings, err := Check(path, source)
		if err != nil {
			t.Error(err)
		}
		for _, f := range findings {
			t.Error(f)
		}
	}
}

// TestMutations damages the real workflows, one line at a time, and expects the rule that watches it to see it in each file that
// has the line: a rule that looks at the wrong place passes everything.
func TestMutations(t *testing.T) {
	for _, m := range []struct{ rule, old, new string }{
		{"pinned-action", "@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "@v6"},
		{"pinned-action", " # v6.4.0", ""},
		{"permissions", "permissions:\n  contents: read\n", ""},
		{"permissions", "contents: read", "contents: write"},
		{"permissions", "actions: read", "actions: write"},
		{"permissions", "    environment: release-publishing\n", ""},
		{"permissions", "      - name: Publish\n", "      - run: make\n      - name: Publish\n"},
		{"secrets", "    environment: release-signing\n", ""},
		{"secrets", "  workflow_dispatch:\n    inputs:\n      base:", "  pull_request:\n  workflow_dispatch:\n    inputs:\n      base:"},
		{"privileged-trigger", "  pull_request:", "  pull_request_target:"},
		{"fork-runner", "head.repo.full_name == github.repository)", "head.repo.full_name != '')"},
		{"fork-runner", "    environment: ${{ github.event_name == 'schedule' && 'gpu-main' || 'gpu-review' }}\n", ""},
		{"runner-labels", "self-hosted, linux, x64, gpu", "self-hosted, linux, x64"},
		{"runner-labels", "ubuntu-24.04", "ubuntu-latest"},
		{"timeout", "    timeout-minutes: 60\n", ""},
		{"concurrency", "${{ github.ref }}", "all"},
		{"concurrency", "  cancel-in-progress: false\n", ""},
		{"persist-credentials", "persist-credentials: false", "persist-credentials: true"},
		{"full-history", "          fetch-depth: 0\n", ""},
		{"script-injection", "run: .ci/verdict out/gate .ci/gate\n", "run: .ci/verdict out/gate .ci/gate --base ${{ github.head_ref }}\n"},
		{"upload-always", "        if: always()\n", ""},
		{"upload-always", "          retention-days: 30\n", ""},
		{"path-filter", "  pull_request:\n", "  pull_request:\n    paths: ['**.go']\n"},
		{"required-check", "    if: always()\n    needs: [build", "    needs: [build"},
		{"required-check", "needs: [build-lint-test, reproducible, cpu-gate]", "needs: [build-lint-test, cpu-gate]"},
		{"required-check", "needs.cpu-gate.result", "needs.build-lint-test.result"},
		{"required-check", "needs: [blocked-untrusted-pr, skipped, gpu-perf-regression]", "needs: [gpu-perf-regression]"},
		{"required-check", "    name: ${{ github.event_name == 'pull_request' && 'gpu-required' || 'gpu-verdict' }}\n", ""},
		{"required-check", "  cpu-gate:\n", "  cpu-gate:\n    continue-on-error: true\n"},
	} {
		used := false
		for path, source := range realWorkflows(t) {
			mutant := strings.ReplaceAll(string(source), m.old, m.new)
			if mutant == string(source) {
				continue
			}
			used = true
			findings, err := Check(path, []byte(mutant))
			if err == nil && !slices.ContainsFunc(findings, func(f *Finding) bool { return f.Rule == m.rule }) {
				t.Errorf("%s: %q for %q is not seen by %s", path, m.new, m.old, m.rule)
			}
		}
		if !used {
			t.Errorf("no workflow has %q", m.old)
		}
	}
}

func TestCheckRefusesWhatIsNoWorkflow(t *testing.T) {
	for name, source := range map[string]string{
		"empty":        "",
		"no YAML":      "on: [push\njobs: {",
		"no jobs":      "on: push\n",
		"unknown keys": "on: push\njobs: {a: {runs-on: ubuntu-24.04, step: []}}\n",
	} {
		if findings, err := Check("x.yaml", []byte(source)); err == nil || !strings.HasPrefix(err.Error(), "x.yaml:") {
			t.Errorf("%s: %v, %v", name, findings, err)
		}
	}
}

// FuzzCheck: whatever is in the folder, Check ends with findings or an error.
func FuzzCheck(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.yaml", "../../.github/workflows/*.yml"} {
		paths, _ := filepath.Glob(pattern)
		for _, p := range paths {
			source, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(source)
		}
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		findings, err := Check("fuzz.yaml", source)
		lines := strings.Count(string(source), "\n") + 1
		for _, x := range findings {
			if err != nil || x.Line < 1 || x.Line > lines {
				t.Errorf("%v (error %v, %d lines)", x, err, lines)
			}
		}
	})
}

// findingsOf returns the messages of one rule about a workflow.
func findingsOf(t *testing.T, rule, source string) []string {
	t.Helper()
	findings, err := Check("test.yaml", []byte(source))
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	var out []string
	for _, f := range findings {
		if f.Rule == rule {
			out = append(out, f.Message)
		}
	}
	return out
}

// ruleCase is a part of a workflow and what a rule says about it: a piece of its only finding, or nothing.
type ruleCase struct{ part, want string }

// testRule puts each part into the workflow at the word PART.
func testRule(t *testing.T, rule, workflow string, cases map[string]ruleCase) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		got := findingsOf(t, rule, strings.Replace(workflow, "PART", c.part, 1))
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: %q, want no finding", name, got)
		case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
			t.Errorf("%s: %q, want one with %q", name, got, c.want)
		}
	}
}
