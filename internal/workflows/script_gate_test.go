package workflows

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// gateRepository makes a repository with the real .ci/gate and a Makefile whose program prints its arguments and what it was
// built from, and ends with $CODE. It has the branches main and change, and change is checked out with an uncommitted edit.
func gateRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, err := os.ReadFile(ci(t, "gate"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".ci/gate"), string(source))
	write(t, filepath.Join(dir, ".gitignore"), "/.bin/\n/.deps/\n")
	write(t, filepath.Join(dir, "Makefile"), `DEPS ?= .deps
build:
	grep -q broken source && exit 1 || cp source $(BIN)/apexx
deps:
	test -d $(DEPS)
`)
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}, args...)
		if out, stderr, code := script(t, dir, nil, append([]string{"git"}, args...)...); code != 0 {
			t.Fatalf("git %v: %s%s", args, out, stderr)
		}
	}
	program := func(mark string) {
		write(t, filepath.Join(dir, "source"), "#!/bin/sh\n# mark: "+mark+`
echo "judge: $(sed -n 's/^# mark: //p' "$0")"
echo "args: $*"
sed -n 's/^# mark: //p' "$3/apexx" "$5/apexx"
[ -z "${SAYS:-}" ] || printf '%b\\n' "$SAYS" >&2
exit "${CODE:-0}"
`)
	}
	git("init", "--quiet", "--initial-branch=main")
	program("old")
	git("add", ".")
	git("commit", "--quiet", "-m", "old")
	git("checkout", "--quiet", "-b", "change")
	git("commit", "--quiet", "--allow-empty", "-m", "change")
	git("checkout", "--quiet", "main")
	program("newer than the merge base")
	git("commit", "--quiet", "-a", "-m", "newer")
	git("checkout", "--quiet", "change")
	program("edited")
	write(t, filepath.Join(dir, ".deps/libx.so"), "")
	return dir
}

func TestGateScript(t *testing.T) {
	dir := gateRepository(t)
	for name, tt := range map[string]struct {
		env    []string
		code   int
		stdout string
		stderr string
	}{
		"default base":   {nil, 0, "edited", ""},
		"branch":         {[]string{"BASE=main"}, 0, "edited", ""},
		"exit code":      {[]string{"CODE=3"}, 3, "edited", ""},
		"usage":          {[]string{"CODE=2"}, 2, "edited", "gate: the program of the base ("},
		"regression":     {[]string{"CODE=1", "BASE=main~1"}, 1, "edited", ""},
		"from make":      {[]string{"MAKEFLAGS= -- BIN=/nonexistent", "BASE=main"}, 0, "edited", ""},
		"unknown base":   {[]string{"BASE=nowhere"}, 2, "", `BASE is "nowhere"`},
		"base as a flag": {[]string{"BASE=--output=x"}, 2, "", "which is no revision"},
	} {
		stdout, stderr, code := script(t, dir, tt.env, ".ci/gate", "--out", "o", "--cells", "a b")
		if code != tt.code || !strings.Contains(stderr, tt.stderr) {
			t.Errorf("%s: exit %d, want %d\n%s%s", name, code, tt.code, stdout, stderr)
		}
		// The base is the merge base, not the tip of main; the head is the working tree as it is.
		if tt.stdout != "" && (!strings.HasSuffix(stdout, "\nold\nedited\n") || !strings.Contains(stdout, "/head --out o --cells a b\n") || !strings.Contains(stdout, "\njudge: old\n")) {
			t.Errorf("%s: %s", name, stdout)
		}
		checkClean(t, name, dir)
	}
}

// TestGateWaiver lets the gate pass where the waivers name the merge base and the only thing that it said, and nowhere else.
func TestGateWaiver(t *testing.T) {
	dir := gateRepository(t)
	out, _, _ := script(t, dir, nil, "git", "merge-base", "main", "HEAD")
	base := strings.TrimSpace(out)
	out, _, _ = script(t, dir, nil, "git", "rev-parse", "main")
	other := strings.TrimSpace(out)
	const reason = " worker_version_mismatch The workers speak another protocol from here on.\n"
	const mismatch = "apexx: head: backend reference is unavailable: worker_version_mismatch: it speaks version 2.0, this program 1.2"
	for name, tt := range map[string]struct {
		waivers, says, code string
		want                int
	}{
		"waived":                  {"# why\n" + base + reason, mismatch, "5", 0},
		"several lines":           {base + reason, mismatch + "\\nhead: backend ort is unavailable: worker_version_mismatch: it speaks version 2.0", "5", 0},
		"no waivers":              {"", mismatch, "5", 5},
		"another commit":          {other + reason, mismatch, "5", 5},
		"a short commit":          {base[:12] + reason, mismatch, "5", 5},
		"without a reason":        {base + " \n", mismatch, "5", 5},
		"no sentence":             {base + " worker_version_mismatch \n", mismatch, "5", 5},
		"in a comment":            {"# " + base + reason, mismatch, "5", 5},
		"another reason":          {base + reason, "apexx: backend ort is unavailable: library_not_found: worker_version_mismatch", "5", 5},
		"two reasons":             {base + reason, mismatch + "\\napexx: backend ort is unavailable: library_not_found: x", "5", 5},
		"nothing said":            {base + reason, "", "5", 5},
		"a regression":            {base + reason, mismatch, "1", 1},
		"an inconclusive":         {base + reason, mismatch, "3", 3},
		"a pass stays one":        {base + reason, "", "0", 0},
		"a waiver of regressions": {base + " regression The head is slower and may be.\n", "", "1", 1},
	} {
		write(t, filepath.Join(dir, ".ci/gate-waivers"), tt.waivers)
		if tt.waivers == "" {
			os.Remove(filepath.Join(dir, ".ci/gate-waivers"))
		}
		stdout, stderr, code := script(t, dir, []string{"SAYS=" + tt.says, "CODE=" + tt.code}, ".ci/gate")
		said := strings.Contains(stdout, "::warning title=Performance gate waived::nothing was compared, as .ci/gate-waivers allows for the merge base "+base+": The workers speak another protocol from here on.\n")
		if code != tt.want || said != (tt.want == 0 && tt.code == "5") || tt.says != "" && !strings.Contains(stderr, tt.says[:20]) {
			t.Errorf("%s: exit %d, want %d\n%s%s", name, code, tt.want, stdout, stderr)
		}
		checkClean(t, name, dir)
	}
}

func TestGateScriptFailures(t *testing.T) {
	dir := gateRepository(t)
	write(t, filepath.Join(dir, "source"), "broken\n")
	if stdout, stderr, code := script(t, dir, nil, ".ci/gate"); code != 6 || !strings.Contains(stderr, "gate: the head") {
		t.Errorf("a head that does not build: exit %d\n%s%s", code, stdout, stderr)
	}
	checkClean(t, "a head that does not build", dir)

	script(t, dir, nil, "git", "checkout", "--quiet", "--orphan", "alone")
	script(t, dir, nil, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-am", "alone")
	if _, stderr, code := script(t, dir, []string{"BASE=main"}, ".ci/gate"); code != 2 || !strings.Contains(stderr, "no common commit") {
		t.Errorf("an unrelated base: exit %d, %s", code, stderr)
	}
	script(t, dir, nil, "git", "branch", "-D", "main")
	if _, stderr, code := script(t, dir, nil, ".ci/gate"); code != 2 || !strings.Contains(stderr, "no base") {
		t.Errorf("without a base: exit %d, %s", code, stderr)
	}
}

// checkClean expects that nothing temporary is left, in the folder or in git's list of worktrees.
func checkClean(t *testing.T, name, dir string) {
	t.Helper()
	left, _ := filepath.Glob(filepath.Join(dir, ".bin", "*"))
	worktrees, _, _ := script(t, dir, nil, "git", "worktree", "list")
	if len(left) > 0 || strings.Count(worktrees, "\n") != 1 {
		t.Errorf("%s leaves %v and the worktrees\n%s", name, left, worktrees)
	}
}
