package workflows

import (
	"maps"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// checkPermissions: what the token may do is what a compromised step may do. The workflow's permissions are contents: read or
// none; a job that needs to read more says so itself. Only a job that publishes may write, and only contents: one behind an environment, on
// a hosted runner, that has no code to run but its own line.
func checkPermissions(f *file, report report) {
	if f.Permissions == nil {
		report(top(), "no permissions are declared, so the token has the repository's default: add permissions: contents: read")
	} else {
		checkScopes(f.Permissions, "the workflow", nil, report)
		for _, name := range scopeNames(f.Permissions) {
			if name != "contents" {
				report(f.Permissions.Scopes[name].Name.Pos, "every job gets %q: declare it in the job that needs it", name)
			}
		}
	}
	for _, j := range f.jobs() {
		if j.Permissions != nil {
			checkScopes(j.Permissions, "job "+j.ID.Value, j, report)
		}
	}
}

// publisher tells whether a job can only publish what other jobs made: it takes artifacts and calls gh release, once.
func publisher(j *actionlint.Job) bool {
	if j == nil || j.Environment == nil || selfHosted(j) || len(j.Steps) != 2 {
		return false
	}
	first, ok1 := j.Steps[0].Exec.(*actionlint.ExecAction)
	second, ok2 := j.Steps[1].Exec.(*actionlint.ExecRun)
	return ok1 && ok2 && first.Uses != nil && strings.HasPrefix(first.Uses.Value, "actions/download-artifact@") &&
		strings.HasPrefix(second.Run.Value, "gh release create ") && !strings.Contains(strings.TrimSpace(second.Run.Value), "\n")
}

func checkScopes(p *actionlint.Permissions, owner string, j *actionlint.Job, report report) {
	if p.All != nil {
		report(p.Pos, "%s has %q of everything: name the scopes", owner, p.All.Value)
	}
	for _, name := range scopeNames(p) {
		value := p.Scopes[name].Value
		if value.Value == "read" || value.Value == "none" || name == "contents" && publisher(j) {
			continue
		}
		report(value.Pos, "%s has %s: %s; only contents may be written, by a hosted job behind an environment that takes artifacts and calls gh release create", owner, name, value.Value)
	}
}

func scopeNames(p *actionlint.Permissions) []string { return slices.Sorted(maps.Keys(p.Scopes)) }
