package workflows

import (
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// checkRunnerLabels: labels decide which machine runs a job, so they are literal. A self-hosted runner is named by system,
// processor and purpose: with fewer labels a job goes to any machine that happens to be there, and a measurement of the wrong
// machine is worse than none. GitHub's own images are named by version, as "latest" changes under a baseline.
func checkRunnerLabels(f *file, report report) {
	for _, j := range f.jobs() {
		if j.RunsOn == nil {
			continue
		}
		var labels []string
		for _, l := range j.RunsOn.Labels {
			labels = append(labels, strings.ToLower(l.Value))
		}
		switch {
		case j.RunsOn.LabelsExpr != nil || slices.ContainsFunc(labels, actionlint.ContainsExpression):
			report(j.Pos, "the runner of job %s is an expression: name literal labels", j.ID.Value)
		case selfHosted(j):
			if missing := missingLabels(labels); len(missing) > 0 {
				report(j.Pos, "the self-hosted runner of job %s lacks labels: %s", j.ID.Value, strings.Join(missing, ", "))
			}
		default:
			for _, l := range labels {
				if strings.HasSuffix(l, "-latest") {
					report(j.Pos, "job %s runs on %s, whose version changes: name one, such as ubuntu-24.04", j.ID.Value, l)
				}
			}
		}
	}
}

// missingLabels returns what a self-hosted runner's labels do not tell.
func missingLabels(labels []string) []string {
	var missing []string
	for _, want := range [][]string{{"self-hosted"}, {"linux", "windows", "macos"}, {"x64", "arm64", "arm"}} {
		if !slices.ContainsFunc(labels, func(l string) bool { return slices.Contains(want, l) }) {
			missing = append(missing, strings.Join(want, " or "))
		}
	}
	purpose := slices.ContainsFunc(labels, func(l string) bool {
		return !slices.Contains([]string{"self-hosted", "linux", "windows", "macos", "x64", "arm64", "arm"}, l)
	})
	if !purpose {
		missing = append(missing, "its purpose, such as gpu")
	}
	return missing
}
