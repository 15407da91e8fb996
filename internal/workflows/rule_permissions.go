package workflows

import (
	"maps"
	"slices"

	"github.com/rhysd/actionlint"
)

// checkPermissions: what the token may do is what a compromised step may do. The workflow's permissions are contents: read or
// none; a job that needs to read more says so itself.
func checkPermissions(f *file, report report) {
	if f.Permissions == nil {
		report(top(), "no permissions are declared, so the token has the repository's default: add permissions: contents: read")
	} else {
		checkScopes(f.Permissions, "the workflow", report)
		for _, name := range scopeNames(f.Permissions) {
			if name != "contents" {
				report(f.Permissions.Scopes[name].Name.Pos, "every job gets %q: declare it in the job that needs it", name)
			}
		}
	}
	for _, j := range f.jobs() {
		if j.Permissions != nil {
			checkScopes(j.Permissions, "job "+j.ID.Value, report)
		}
	}
}

func checkScopes(p *actionlint.Permissions, owner string, report report) {
	if p.All != nil {
		report(p.Pos, "%s has %q of everything: name the scopes", owner, p.All.Value)
	}
	for _, name := range scopeNames(p) {
		if value := p.Scopes[name].Value; value.Value != "read" && value.Value != "none" {
			report(value.Pos, "%s has %s: %s; no workflow here needs more than to read", owner, name, value.Value)
		}
	}
}

func scopeNames(p *actionlint.Permissions) []string { return slices.Sorted(maps.Keys(p.Scopes)) }
