package workflows

// checkConcurrency: two runs of one branch waste a runner, and two measurements on one machine disturb each other. The group is
// per ref, as one for all refs would cancel the waiting run of another branch.
func checkConcurrency(f *file, report report) {
	c := f.Concurrency
	if c == nil {
		report(top(), "no concurrency is declared: add a group per github.ref")
		return
	}
	if parts, err := segments(c.Group.Value); err != nil || !readsAny(parts, "github.ref") {
		report(c.Group.Pos, "the concurrency group %q is not per github.ref", c.Group.Value)
	}
	if c.CancelInProgress == nil {
		report(c.Pos, "say whether a newer run cancels one in progress: add cancel-in-progress")
	}
}

// readsAny tells whether a placeholder reads the property.
func readsAny(parts []segment, property string) bool {
	for _, p := range parts {
		if p.node == nil {
			continue
		}
		for _, read := range reads(p.node) {
			if read == property {
				return true
			}
		}
	}
	return false
}
