package trend

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Place is where a commit is in the history of its repository.
type Place struct {
	Depth     int       `json:"depth"`              // commits that it contains, itself included: an ancestor has fewer; 0 where it is not known
	Committed time.Time `json:"committed,omitzero"` // as its committer's clock had it, UTC: shown, and decides nothing
}

var commitName = regexp.MustCompile(`^[0-9a-f]{4,64}$`)

// PlaceOf asks git for the place of a commit in the repository at dir. A shallow clone, whose oldest commits are missing, is an error, since
// every depth in it is wrong.
func PlaceOf(ctx context.Context, dir, commit string) (Place, error) {
	if !commitName.MatchString(commit) {
		return Place{}, fmt.Errorf("%q is not the hash of a commit; name it by --commit", commit)
	}
	shallow, err := git(ctx, dir, "rev-parse", "--is-shallow-repository")
	switch {
	case err != nil:
		return Place{}, err
	case shallow != "false":
		return Place{}, fmt.Errorf("%s is a shallow clone, in which commits cannot be counted; git fetch --unshallow completes it", dir)
	}
	depth, err := git(ctx, dir, "rev-list", "--count", commit, "--")
	if err != nil {
		return Place{}, err
	}
	committed, err := git(ctx, dir, "show", "--no-patch", "--format=%ct", commit+"^{commit}", "--")
	if err != nil {
		return Place{}, err
	}
	n, err1 := strconv.Atoi(depth)
	seconds, err2 := strconv.ParseInt(committed, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return Place{}, fmt.Errorf("git in %s: %w", dir, err)
	}
	return Place{Depth: n, Committed: time.Unix(seconds, 0).UTC()}, nil
}

// git returns what git prints, in one line.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if said, _, _ := strings.Cut(stderr.String(), "\n"); said != "" {
			err = errors.New(said)
		}
		return "", fmt.Errorf("git %s in %s: %w", args[0], dir, err)
	}
	return strings.TrimSpace(string(out)), nil
}
