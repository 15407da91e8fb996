package workflows

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// waiver is the form of a line of .ci/gate-waivers: a commit in full, the one reason that can be waived, a sentence.
var waiver = regexp.MustCompile(`^[0-9a-f]{40} worker_version_mismatch [A-Z][^%\x00-\x1f]{19,299}\.$`)

// badWaivers returns the lines that are none, and commits that come twice.
func badWaivers(text string) (bad []string) {
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		commit, _, _ := strings.Cut(line, " ")
		switch {
		case strings.HasPrefix(line, "# "):
		case !waiver.MatchString(line), seen[commit]:
			bad = append(bad, line)
		default:
			seen[commit] = true
		}
	}
	return bad
}

// TestWaivers holds the form of the waivers of the gate.
func TestWaivers(t *testing.T) {
	text, err := os.ReadFile(ci(t, "gate-waivers"))
	if err != nil {
		t.Fatal(err)
	}
	if bad := badWaivers(string(text)); len(bad) > 0 {
		t.Errorf("no waivers: %q", bad)
	}
	const commit = "0123456789abcdef0123456789abcdef01234567"
	good := commit + " worker_version_mismatch The workers speak another protocol from here on."
	for _, line := range []string{
		"", "main worker_version_mismatch The workers speak another protocol from here on.", commit[:12] + good[40:],
		strings.Replace(good, "worker_version_mismatch", "regression", 1), strings.Replace(good, "worker_version_mismatch", "worker_start_failed", 1),
		commit + " worker_version_mismatch", commit + " worker_version_mismatch Because.", strings.TrimSuffix(good, "."), " " + good, good + "\n" + good,
		strings.Replace(good, "The", "The\x1b[2J", 1),
	} {
		if len(badWaivers(line)) == 0 {
			t.Errorf("%q is taken for a waiver", line)
		}
	}
	if bad := badWaivers("# why\n" + good + "\n"); len(bad) > 0 {
		t.Errorf("%q is refused", bad)
	}
}
