package workflows

import (
	"strings"

	"github.com/rhysd/actionlint"
)

// countsCommits are the commands that ask the repository for more than the commit that was checked out: its merge base, or how many
// commits it contains.
var countsCommits = []string{".ci/gate", "trend add --repository"}

// checkFullHistory: actions/checkout fetches one commit unless told otherwise, and a command that asks for others fails at the end of a
// long job.
func checkFullHistory(f *file, report report) {
	for _, j := range f.jobs() {
		full := false
		for _, s := range j.Steps {
			switch e := s.Exec.(type) {
			case *actionlint.ExecAction:
				if e.Uses != nil && strings.HasPrefix(strings.ToLower(e.Uses.Value), "actions/checkout@") {
					depth := e.Inputs["fetch-depth"]
					full = depth != nil && depth.Value.Value == "0"
				}
			case *actionlint.ExecRun:
				for _, c := range countsCommits {
					if strings.Contains(e.Run.Value, c) && !full {
						report(s.Pos, "%s needs every commit: add fetch-depth: 0 to the checkout", c)
					}
				}
			}
		}
	}
}
