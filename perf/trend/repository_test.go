package trend

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/testenv"
)

// TestPlaceOf makes a repository of three commits, the second of which is dated 2036.
func TestPlaceOf(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not here")
	}
	testenv.Clean(t)
	dir := t.TempDir()
	run := func(date string, args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b.example"}, args...)...)
		cmd.Env = append(cmd.Environ(), "GIT_COMMITTER_DATE="+date, "GIT_AUTHOR_DATE="+date)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("", "init", "-q")
	var commits []string
	for _, date := range []string{"2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z", "2026-01-03T00:00:00Z"} {
		run(date, "commit", "-q", "--allow-empty", "-m", "x")
		commits = append(commits, run("", "rev-parse", "HEAD"))
	}
	for i, commit := range commits {
		p, err := PlaceOf(t.Context(), dir, commit)
		if err != nil || p.Depth != i+1 || p.Committed.Year() != []int{2026, 2036, 2026}[i] {
			t.Errorf("commit %d: %+v, %v", i, p, err)
		}
	}
	shallow := filepath.Join(t.TempDir(), "shallow")
	run("", "clone", "-q", "--depth", "1", "file://"+dir, shallow)
	for name, c := range map[string]struct{ dir, commit, want string }{
		"shallow":       {shallow, commits[2], "is a shallow clone"},
		"unknown":       {dir, strings.Repeat("ab", 20), "git rev-list in " + dir + ": fatal: bad object"},
		"an option":     {dir, "--all", `"--all" is not the hash of a commit; name it by --commit`},
		"no commit":     {dir, "", `"" is not the hash of a commit`},
		"no repository": {t.TempDir(), commits[0], "not a git repository"},
	} {
		if _, err := PlaceOf(t.Context(), c.dir, c.commit); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
