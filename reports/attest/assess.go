package attest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/apex-x/apexx/reports"
)

// rules are what each record is judged by.
type rules struct {
	policy  *Policy
	release string
	commit  string
	files   []File // of the release and of the evidence; those that are not here have no path

	// Of the released model, from the export manifest where that is among the evidence.
	exports int // manifests that are
	model   reports.ModelDigests
	onnx    string   // SHA-256 of the exported file
	outputs []string // names; nil where they are not known
}

// Finding is what one file of evidence shows.
type Finding struct {
	File   File
	Items  []string // keys
	Status Status
	Why    string // one sentence

	tests []test
}

// ItemFinding is what all evidence for an item shows together.
type ItemFinding struct {
	Item
	Required bool
	Status   Status
	Why      string // of the file that decided
	File     *File  // the file that decided; nil without evidence
}

// Assessment is what a release has shown.
type Assessment struct {
	Findings  []Finding
	Artifacts []ItemFinding // in the order of Artifacts, and so on
	Gates     []ItemFinding
	SignOffs  []ItemFinding
}

var commitDigits = regexp.MustCompile(`^[0-9a-f]{40}$`)

// assess judges all evidence. Nothing in it depends on what the evidence claims to be its result.
func assess(r rules, evidence []*Evidence) *Assessment {
	for _, e := range evidence {
		r.files = append(r.files, e.File)
		if x, ok := e.rec.(exportRecord); ok {
			r.exports++
			r.model, r.onnx, r.outputs = x.origin().models[0], x.Artifacts.ONNXSHA256, x.outputs()
		}
	}
	a := &Assessment{}
	for _, e := range evidence {
		f := Finding{File: e.File, Items: e.Items}
		if f.Why = r.foreign(e); f.Why != "" {
			f.Status = Fail
		} else {
			f.Status, f.Why = e.rec.judge(&r)
			f.tests = e.rec.tests()
		}
		a.Findings = append(a.Findings, f)
	}
	a.Artifacts, a.Gates, a.SignOffs = a.items(Artifacts, r.policy, Fail), a.items(Gates, r.policy, Pending), a.items(SignOffs, r.policy, Pending)
	return a
}

// foreign says why a file is no evidence of this release, "" where it is: it cannot be believed, or it is about something else.
func (r *rules) foreign(e *Evidence) string {
	if e.err != nil {
		return e.err.Error()
	}
	o := e.rec.origin()
	if b := o.build; b != nil {
		switch {
		case b.Revision == "":
			return "stale: it does not say which commit it is of"
		case b.Revision != r.commit:
			return fmt.Sprintf("stale: it is of commit %.12s, the release is of %.12s", b.Revision, r.commit)
		case b.Modified:
			return "stale: it is of a working tree with changes that no commit holds"
		}
	}
	switch {
	case len(o.models) == 0:
	case r.exports > 1:
		return fmt.Sprintf("there are %d export manifests: it is not known which model is released", r.exports)
	case r.model == (reports.ModelDigests{}):
		return "there is no export manifest: it is not known which model is released"
	case !slices.Contains(o.models, r.model):
		return fmt.Sprintf("stale: the released model has weights %.12s, configuration %.12s; it is of %s", r.model.Weights, r.model.Config, briefly(o.models))
	}
	return ""
}

func briefly(models []reports.ModelDigests) string {
	text := ""
	for i, m := range models {
		if i > 0 {
			text += "; "
		}
		if m == (reports.ModelDigests{}) {
			text += "one that it does not name"
			continue
		}
		text += fmt.Sprintf("weights %.12s, configuration %.12s", m.Weights, m.Config)
	}
	return text
}

// items sums the findings up by item: the worst of them speaks, so that nothing bad is outvoted. What is required and missing has the
// status absent.
func (a *Assessment) items(list []Item, policy *Policy, absent Status) []ItemFinding {
	var out []ItemFinding
	for _, item := range list {
		f := ItemFinding{Item: item, Required: policy.requires(item.Key), Status: NA}
		if f.Required {
			f.Status, f.Why = absent, "no evidence was given"
		}
		for i := range a.Findings {
			one := &a.Findings[i]
			if !slices.Contains(one.Items, item.Key) || f.File != nil && worst(f.Status, one.Status) == f.Status {
				continue
			}
			f.Status, f.Why, f.File = one.Status, one.Why, &one.File
		}
		out = append(out, f)
	}
	return out
}

// all lists the items of every kind.
func (a *Assessment) all() []ItemFinding { return slices.Concat(a.Artifacts, a.Gates, a.SignOffs) }

// finding returns that of the file which a test is about, nil for a test that is an item.
func (a *Assessment) finding(test string) *Finding {
	for i := range a.Findings {
		f := &a.Findings[i]
		if test == f.File.Name || strings.HasPrefix(test, f.File.Name+": ") {
			return f
		}
	}
	return nil
}

// why explains the status of a test, "" where there is nothing to say.
func (a *Assessment) why(test string) string {
	why := ""
	if f := a.finding(test); f != nil {
		why = f.Why
	}
	for _, i := range a.all() {
		if test == itemPrefix+i.Key {
			why = i.Why
		}
	}
	if why == "" {
		return ""
	}
	return ": " + why
}

// itemPrefix begins the names of the tests that are items. Cells begin with the name of their file.
const itemPrefix = "item/"

// tests returns the names of the predicate: every item that is required or has evidence, every file of evidence, and the cells of those
// that are about this release.
func (a *Assessment) tests() (passed, warned, failed []string) {
	add := func(status Status, name string) {
		switch status {
		case Pass:
			passed = append(passed, name)
		case Pending:
			warned = append(warned, name)
		case Fail:
			failed = append(failed, name)
		}
	}
	for _, i := range a.all() {
		add(i.Status, itemPrefix+i.Key)
	}
	for _, f := range a.Findings {
		add(f.Status, f.File.Name)
		for _, t := range f.tests {
			add(t.status, f.File.Name+": "+t.name)
		}
	}
	return passed, warned, failed
}

// resultOf is the one rule from tests to a result.
func resultOf(passed, warned, failed []string) Result {
	switch {
	case len(failed) > 0:
		return Failed
	case len(warned) > 0 || len(passed) == 0:
		return Warned
	}
	return Passed
}

// Result is Failed with anything that failed, else Warned with anything that is pending, else Passed.
func (a *Assessment) Result() Result { return resultOf(a.tests()) }

// commitOf finds the commit that the released programs were built of. Given is what the caller says, "" for nothing; without a program
// that knows its commit it is needed.
func commitOf(programs []*program, given string) (commit, when string, err error) {
	commit = given
	for _, p := range programs {
		switch {
		case p.Revision == "":
			return "", "", fmt.Errorf("%s does not know its commit; build it in a clone with -buildvcs=true", p.Name)
		case p.Modified:
			return "", "", fmt.Errorf("%s was built from a working tree with changes that no commit holds", p.Name)
		case commit != "" && commit != p.Revision:
			return "", "", fmt.Errorf("%s was built of commit %s, and the release is of %s", p.Name, p.Revision, commit)
		}
		commit, when = p.Revision, p.CommitTime
	}
	switch {
	case commit == "":
		return "", "", errors.New("no subject is a program that knows its commit; name it with --commit")
	case !commitDigits.MatchString(commit):
		return "", "", fmt.Errorf("the commit %q is not 40 hexadecimal digits", commit)
	}
	return commit, when, nil
}
