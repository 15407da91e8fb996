package workflows

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// releaseRepository makes a repository with the real script and a Makefile of its own.
func releaseRepository(t *testing.T, name, makefile string) string {
	t.Helper()
	dir := t.TempDir()
	source, err := os.ReadFile(ci(t, name))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".ci", name), string(source))
	write(t, filepath.Join(dir, ".gitignore"), "/out/\n")
	write(t, filepath.Join(dir, "Makefile"), makefile)
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"commit", "--quiet", "-m", "x"}} {
		args = append([]string{"git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}, args...)
		if out, stderr, code := script(t, dir, nil, args...); code != 0 {
			t.Fatalf("%v: %s%s", args, out, stderr)
		}
	}
	return dir
}

// The record says how each check ended, of which commit, and whether that is all that was there.
func TestChecksScript(t *testing.T) {
	for name, tt := range map[string]struct {
		makefile string
		dirty    bool
		lint     int
		code     int
	}{
		"pass":  {"lint test:\n\ttrue\n", false, 0, 0},
		"fail":  {"lint:\n\tfalse\ntest:\n\ttrue\n", false, 2, 1},
		"dirty": {"lint test:\n\ttrue\n", true, 0, 0},
	} {
		dir := releaseRepository(t, "checks", tt.makefile)
		if tt.dirty {
			write(t, filepath.Join(dir, "new"), "")
		}
		if out, stderr, code := script(t, dir, nil, ".ci/checks", "out"); code != tt.code {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, stderr)
		}
		text, err := os.ReadFile(filepath.Join(dir, "out/checks.json"))
		if err != nil {
			t.Fatal(err)
		}
		var rec struct {
			Schema, Revision string
			Modified         bool
			Checks           []struct {
				Name, Command string
				ExitCode      int `json:"exit_code"`
			}
		}
		if err := json.Unmarshal(text, &rec); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		head, _, _ := script(t, dir, nil, "git", "rev-parse", "HEAD")
		if rec.Schema != "apexx.checks/1" || rec.Revision != strings.TrimSpace(head) || rec.Modified != tt.dirty || len(rec.Checks) != 2 ||
			rec.Checks[0].Name != "lint" || rec.Checks[0].ExitCode != tt.lint || rec.Checks[1].Command != "make test" {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// Two builds that are equal pass with their digests, two that know where they were made fail.
func TestReproduceScript(t *testing.T) {
	for name, tt := range map[string]struct {
		content string
		code    int
	}{"equal": {"same", 0}, "by path": {"$(CURDIR)", 1}} {
		dir := releaseRepository(t, "reproduce", "release:\n\tmkdir -p $(RELEASE)\n\techo '"+tt.content+"' >$(RELEASE)/program\n")
		out, stderr, code := script(t, dir, nil, ".ci/reproduce")
		if code != tt.code || !strings.Contains(out, "  program\n") || (code == 1) != strings.Contains(stderr, "differ") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, stderr)
		}
	}
	dir := releaseRepository(t, "reproduce", "release:\n")
	if _, stderr, code := script(t, dir, nil, ".ci/reproduce", "static"); code != 2 || !strings.Contains(stderr, "usage") {
		t.Errorf("an unknown kind: exit %d, %s", code, stderr)
	}
}
