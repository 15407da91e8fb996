package workflows

import (
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// checkSecrets: who can start a job that reads a secret has it. Such a job is behind an environment, which holds the secret and lets people
// approve, on a hosted machine, which nobody has prepared, in a workflow that is started by hand: not for a pull request, and not by a
// schedule that nobody watches. What it reads goes to the one step that needs it.
func checkSecrets(f *file, report report) {
	for _, v := range environmentOf(f.Env) {
		if readsSecret(v) {
			report(v.Pos, "every job reads a secret: give it to the step that needs it")
		}
	}
	for _, j := range f.jobs() {
		for _, v := range environmentOf(j.Env) {
			if readsSecret(v) {
				report(v.Pos, "every step of job %s reads a secret: give it to the step that needs it", j.ID.Value)
			}
		}
		for _, s := range j.Steps {
			for _, v := range stepValues(s) {
				if readsSecret(v) {
					checkSecretReader(f, j, v, report)
				}
			}
		}
	}
}

func checkSecretReader(f *file, j *actionlint.Job, v *actionlint.String, report report) {
	if j.Environment == nil {
		report(v.Pos, "job %s reads a secret without an environment: name one that holds it, with required reviewers", j.ID.Value)
	}
	if selfHosted(j) {
		report(v.Pos, "job %s reads a secret on a self-hosted runner, which keeps what it has seen: use a hosted one", j.ID.Value)
	}
	for _, e := range f.On {
		if e.EventName() != "workflow_dispatch" {
			report(v.Pos, "job %s reads a secret, and %s can start it: only workflow_dispatch may", j.ID.Value, e.EventName())
		}
	}
}

func environmentOf(env *actionlint.Env) []*actionlint.String {
	if env == nil {
		return nil
	}
	var out []*actionlint.String
	if env.Expression != nil {
		out = append(out, env.Expression)
	}
	for _, v := range env.Vars {
		out = append(out, v.Value)
	}
	slices.SortFunc(out, func(a, b *actionlint.String) int { return a.Pos.Line - b.Pos.Line })
	return out
}

// stepValues are the values that reach what a step runs. Scripts hold no expressions (script-injection).
func stepValues(s *actionlint.Step) []*actionlint.String {
	out := environmentOf(s.Env)
	if a, ok := s.Exec.(*actionlint.ExecAction); ok {
		for _, in := range a.Inputs {
			out = append(out, in.Value)
		}
	}
	slices.SortFunc(out, func(a, b *actionlint.String) int { return a.Pos.Line - b.Pos.Line })
	return out
}

// readsSecret tells whether a value has an expression that reads a secret. The token of the job is one that its permissions bound.
func readsSecret(v *actionlint.String) bool {
	parts, err := segments(v.Value)
	if err != nil {
		return false // actionlint reports it
	}
	for _, p := range parts {
		if p.node == nil {
			continue
		}
		for _, read := range reads(p.node) {
			if read == "secrets" || strings.HasPrefix(read, "secrets.") && read != "secrets.github_token" {
				return true
			}
		}
	}
	return false
}
