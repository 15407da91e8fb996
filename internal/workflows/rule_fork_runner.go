package workflows

import "slices"

// ownEvents are the events that only people with write access to the repository can cause, besides pull_request, whose
// condition is judged.
var ownEvents = []string{"push", "schedule", "workflow_dispatch", "merge_group"}

// checkForkRunner: a self-hosted runner keeps its disk, its network and its neighbours, so code of strangers must not reach it.
// An environment lets people with that task approve a run before it starts.
func checkForkRunner(f *file, report report) {
	for _, j := range f.jobs() {
		if !selfHosted(j) {
			continue
		}
		if j.Environment == nil {
			report(j.Pos, "job %s can run on a self-hosted runner without approval: give it an environment with required reviewers", j.ID.Value)
		}
		for _, s := range f.scenarios() {
			switch {
			case s.event == "pull_request":
				if s.fork && s.decide(j.If) != skipped {
					report(j.Pos, "job %s can run on a self-hosted runner for a pull request from a fork: compare github.event.pull_request.head.repo.full_name with github.repository", j.ID.Value)
				}
			case !slices.Contains(ownEvents, s.event):
				report(j.Pos, "job %s can run on a self-hosted runner on %s, which people without write access can cause", j.ID.Value, s.event)
			}
		}
	}
}
