package workflows

import (
	"slices"

	"github.com/rhysd/actionlint"
)

// pushTypes are the activity types of a pull request that change what is to be merged.
var pushTypes = []string{"opened", "synchronize", "reopened"}

// checkPathFilter: when a filter leaves a workflow out, its required check is never reported, and the pull request waits for it
// for ever. A filter that people then widen by exceptions ends up missing what matters.
func checkPathFilter(f *file, report report) {
	e, ok := f.trigger("pull_request").(*actionlint.WebhookEvent)
	if !ok {
		return
	}
	for _, filter := range []*actionlint.WebhookEventFilter{e.Paths, e.PathsIgnore, e.Branches, e.BranchesIgnore} {
		if !filter.IsEmpty() {
			report(filter.Name.Pos, "%s leaves the required check pending for the other pull requests: remove it", filter.Name.Value)
		}
	}
	if len(e.Types) == 0 {
		return
	}
	var types []string
	for _, t := range e.Types {
		types = append(types, t.Value)
	}
	for _, want := range pushTypes {
		if !slices.Contains(types, want) {
			report(e.Types[0].Pos, "types lack %s, so that what is merged is not what was checked", want)
		}
	}
}
