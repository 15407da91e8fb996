package workflows

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// file is a parsed workflow with its source, which alone has the comments.
type file struct {
	*actionlint.Workflow
	lines []string
}

func parse(path string, source []byte) (*file, error) {
	w, errs := actionlint.Parse(source)
	if len(errs) > 0 {
		return nil, fmt.Errorf("%s:%d:%d: not a valid workflow: %s (%d problems in all)", path, errs[0].Line, errs[0].Column, errs[0].Message, len(errs))
	}
	return &file{w, strings.Split(string(source), "\n")}, nil
}

// top is where findings about the whole file are reported.
func top() *actionlint.Pos { return &actionlint.Pos{Line: 1, Col: 1} }

// jobs returns the jobs in the order of the file.
func (f *file) jobs() []*actionlint.Job {
	out := make([]*actionlint.Job, 0, len(f.Jobs))
	for _, j := range f.Jobs {
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b *actionlint.Job) int { return a.Pos.Line - b.Pos.Line })
	return out
}

// steps returns every step of every job, in the order of the file.
func (f *file) steps() iter.Seq2[*actionlint.Job, *actionlint.Step] {
	return func(yield func(*actionlint.Job, *actionlint.Step) bool) {
		for _, j := range f.jobs() {
			for _, s := range j.Steps {
				if !yield(j, s) {
					return
				}
			}
		}
	}
}

// actions returns every step that runs the named action, such as actions/checkout, at any version.
func (f *file) actions(name string) iter.Seq2[*actionlint.Step, *actionlint.ExecAction] {
	return func(yield func(*actionlint.Step, *actionlint.ExecAction) bool) {
		for _, s := range f.steps() {
			a, ok := s.Exec.(*actionlint.ExecAction)
			if !ok || a.Uses == nil {
				continue
			}
			used, _, _ := strings.Cut(a.Uses.Value, "@")
			if strings.EqualFold(used, name) && !yield(s, a) {
				return
			}
		}
	}
}

// trigger returns the event of that name, nil when it does not start the workflow.
func (f *file) trigger(name string) actionlint.Event {
	for _, e := range f.On {
		if e.EventName() == name {
			return e
		}
	}
	return nil
}

// eventPos returns where an event is declared.
func eventPos(e actionlint.Event) *actionlint.Pos {
	switch e := e.(type) {
	case *actionlint.WebhookEvent:
		return e.Pos
	case *actionlint.ScheduledEvent:
		return e.Pos
	case *actionlint.WorkflowDispatchEvent:
		return e.Pos
	case *actionlint.RepositoryDispatchEvent:
		return e.Pos
	case *actionlint.WorkflowCallEvent:
		return e.Pos
	}
	return top()
}

// hostedSystems are the prefixes of the labels of GitHub's own runners, each of which is a fresh virtual machine.
var hostedSystems = []string{"ubuntu-", "windows-", "macos-"}

// selfHosted tells whether a job can run elsewhere than on GitHub's own machines. What cannot be told counts as elsewhere.
func selfHosted(j *actionlint.Job) bool {
	if j.RunsOn == nil {
		return j.WorkflowCall != nil // the called workflow decides
	}
	if j.RunsOn.Group != nil || j.RunsOn.LabelsExpr != nil {
		return true
	}
	return slices.ContainsFunc(j.RunsOn.Labels, func(label *actionlint.String) bool {
		return !slices.ContainsFunc(hostedSystems, func(prefix string) bool {
			return strings.HasPrefix(strings.ToLower(label.Value), prefix)
		})
	})
}

// enabled tells whether a flag of the workflow can be true: one that is an expression can.
func enabled(b *actionlint.Bool) bool { return b != nil && (b.Value || b.Expression != nil) }
