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
