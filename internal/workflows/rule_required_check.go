package workflows

import (
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// requiredSuffix ends the ID of the job that branch protection requires.
const requiredSuffix = "-required"

// checkRequiredCheck: GitHub counts a skipped job as a success. A workflow for pull requests therefore has one job that runs in
// any case and reads the result of every other job, and only this one is required.
func checkRequiredCheck(f *file, report report) {
	if f.trigger("pull_request") == nil {
		return
	}
	var required []*actionlint.Job
	for _, j := range f.jobs() {
		if strings.HasSuffix(j.ID.Value, requiredSuffix) {
			required = append(required, j)
		}
	}
	if len(required) != 1 {
		report(top(), "%d jobs have an ID that ends in %s, want one that judges all others", len(required), requiredSuffix)
		return
	}
	j := required[0]
	checkAlwaysRuns(f, j, report)
	checkNeeds(f, j, report)
	checkName(f, j, report)
	if selfHosted(j) {
		report(j.Pos, "job %s waits for a self-hosted runner: a required check has to be reported in any case", j.ID.Value)
	}
	if j.Strategy != nil {
		report(j.Strategy.Pos, "job %s has a matrix, so that no check has its name", j.ID.Value)
	}
	for _, other := range f.jobs() {
		checkNoForgiveness(other, report)
	}
}

func checkAlwaysRuns(f *file, j *actionlint.Job, report report) {
	for _, s := range f.scenarios() {
		if o := s.decide(j.If); o != runs {
			report(j.Pos, "job %s %s on %s: its condition must be true whatever happened; use if: always()", j.ID.Value, o, s.event)
			break
		}
	}
	for _, s := range j.Steps {
		if s.If != nil {
			report(s.Pos, "a step of job %s has a condition: without it the check passes", j.ID.Value)
		}
	}
}

// checkNeeds: every other job is needed, and a step reads its result.
func checkNeeds(f *file, j *actionlint.Job, report report) {
	var needs, read []string
	for _, n := range j.Needs {
		needs = append(needs, strings.ToLower(n.Value))
	}
	for _, s := range j.Steps {
		read = append(read, stepReads(s)...)
	}
	for _, other := range f.jobs() {
		id := strings.ToLower(other.ID.Value)
		switch {
		case other == j:
		case !slices.Contains(needs, id):
			report(j.Pos, "job %s does not need job %s, and passes when that one fails", j.ID.Value, other.ID.Value)
		case !slices.Contains(read, "needs."+id+".result"):
			report(j.Pos, "job %s does not read needs.%s.result, and passes when that one fails", j.ID.Value, other.ID.Value)
		}
	}
}

// stepReads returns what the environment of a step reads.
func stepReads(s *actionlint.Step) []string {
	if s.Env == nil {
		return nil
	}
	var out []string
	for _, v := range s.Env.Vars {
		parts, err := segments(v.Value.Value)
		if err != nil {
			continue // actionlint reports it
		}
		for _, p := range parts {
			if p.node != nil {
				out = append(out, reads(p.node)...)
			}
		}
	}
	return out
}

// checkName: checks are found by commit and name. A run of the same commit for another event, where less is measured, must not
// report a check of the required name.
func checkName(f *file, j *actionlint.Job, report report) {
	name := j.ID.Value
	if j.Name != nil {
		name = j.Name.Value
	}
	for _, s := range f.scenarios() {
		got, known := s.text(name)
		isPull := s.event == "pull_request"
		if !known || isPull != (got == j.ID.Value) {
			report(j.Pos, "the name of job %s on %s is %q: it must be the ID on pull_request and another one on every other event", j.ID.Value, s.event, got)
			return
		}
	}
}

// checkNoForgiveness: a job or step with continue-on-error reports success when it failed.
func checkNoForgiveness(j *actionlint.Job, report report) {
	if enabled(j.ContinueOnError) {
		report(j.ContinueOnError.Pos, "job %s reports success when it failed: remove continue-on-error", j.ID.Value)
	}
	for _, s := range j.Steps {
		if enabled(s.ContinueOnError) {
			report(s.ContinueOnError.Pos, "a step of job %s reports success when it failed: remove continue-on-error", j.ID.Value)
		}
	}
}
