package attest

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/reports"
)

// Reason says why a bundle is refused.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	BadBundle      Reason = "bundle"    // not a Sigstore bundle of the kind that is signed here
	OtherKey       Reason = "key"       // of another key
	BadSignature   Reason = "signature" // something that was signed has been changed
	BadStatement   Reason = "statement" // signed, and no statement of a test result, or one that contradicts itself
	PolicyExpired  Reason = "expired"   // the policy's time is over
	OtherPolicy    Reason = "policy"    // made under another policy, and not all evidence is here to judge it by this one
	OtherSubject   Reason = "subject"   // a file is not one of those that were signed
	OtherCommit    Reason = "commit"    // a program is of another commit, or of changes that none holds
	BadEvidence    Reason = "evidence"  // evidence does not show what the statement says
	LacksItem      Reason = "item"      // something that the policy requires is not among what passed
	ResultNotShown Reason = "result"    // the result is not that of the tests
)

// Refusal is one reason why a bundle is not accepted.
type Refusal struct {
	Reason Reason
	Detail string // one line: what was asked for, and what was found
}

// Error returns the refusal on one line.
func (r *Refusal) Error() string { return fmt.Sprintf("refused (%s): %s", r.Reason, r.Detail) }

func refuse(reason Reason, format string, args ...any) error {
	return &Refusal{reason, fmt.Sprintf(format, args...)}
}

// Question is what Verify is asked.
type Question struct {
	Bundle []byte
	Key    *PublicKey
	Policy *Policy
	Files  []File      // released files that are here
	Given  []*Evidence // evidence that is here
	Now    time.Time
}

// Answer is what a bundle that was not refused says. Whether its result is enough is for the caller to tell.
type Answer struct {
	*Statement
	Checked   []string // subjects whose files were here, by name
	Unchecked []string // the others
	Rejudged  int      // files of evidence that were judged again
}

// Verify checks a bundle: the signature, the statement, the policy, the files that are here against the subjects, and the evidence that
// is here by judging it again. Its error joins Refusals; it tells everything that is wrong, once the signature holds.
func Verify(q Question) (*Answer, error) {
	payload, err := Unseal(q.Bundle, q.Key)
	if err != nil {
		return nil, unsealing(err)
	}
	s, err := ParseStatement(payload)
	if err != nil {
		return nil, refuse(BadStatement, "%v", err)
	}
	v := &verification{Question: q, s: s, a: &Answer{Statement: s}}
	v.policy()
	v.subjects()
	v.evidence()
	v.items()
	return v.a, errors.Join(v.refusals...)
}

func unsealing(err error) error {
	switch {
	case errors.Is(err, ErrOtherKey):
		return refuse(OtherKey, "%v", err)
	case errors.Is(err, ErrBadSignature):
		return refuse(BadSignature, "%v", err)
	}
	return refuse(BadBundle, "%v", err)
}

type verification struct {
	Question
	s        *Statement
	a        *Answer
	refusals []error
}

func (v *verification) refuse(reason Reason, format string, args ...any) {
	v.refusals = append(v.refusals, refuse(reason, format, args...))
}

// signedEvidence lists the subjects that are evidence.
func (v *verification) signedEvidence() []Subject {
	return slices.DeleteFunc(slices.Clone(v.s.Subjects), func(f Subject) bool { return !strings.HasPrefix(f.Name, evidencePrefix) })
}

// allEvidence tells whether there is evidence, and every file of it is here.
func (v *verification) allEvidence() bool {
	signed := v.signedEvidence()
	return len(signed) > 0 && !slices.ContainsFunc(signed, func(f Subject) bool {
		return !slices.ContainsFunc(v.Given, func(e *Evidence) bool { return e.SHA256 == f.SHA256 })
	})
}

func (v *verification) policy() {
	if !v.Now.Before(v.Policy.Expires) {
		v.refuse(PolicyExpired, "%v", expired(v.Policy))
	}
	made := v.s.Setting(settingPolicy)
	if made.Digest["sha256"] != v.Policy.Digest() && !v.allEvidence() {
		v.refuse(OtherPolicy, "the statement was made under the policy %q (sha256 %.12s), the one given is %q (%.12s); give every file of evidence to have it judged by this one",
			made.Annotations["name"], made.Digest["sha256"], v.Policy.Name, v.Policy.Digest())
	}
	if commit := v.s.Setting(settingRelease).Digest["gitCommit"]; !commitDigits.MatchString(commit) {
		v.refuse(BadStatement, "%v: the release names no commit", ErrNoStatement)
	}
}

// subjects finds every file that is here among those that were signed, under its name.
func (v *verification) subjects() {
	for i := range v.Given {
		v.subject(&v.Given[i].File)
	}
	commit := v.s.Setting(settingRelease).Digest["gitCommit"]
	for i := range v.Files {
		f := &v.Files[i]
		v.subject(f)
		p := programOf(*f)
		switch {
		case p == nil:
		case p.Revision != commit:
			v.refuse(OtherCommit, "%s was built of commit %.12s, the statement is about %.12s", f.Path, p.Revision, commit)
		case p.Modified:
			v.refuse(OtherCommit, "%s was built from a working tree with changes that no commit holds", f.Path)
		}
	}
	for _, f := range v.s.Subjects {
		if !slices.Contains(v.a.Checked, f.Name) {
			v.a.Unchecked = append(v.a.Unchecked, f.Name)
		}
	}
}

// subject names the file after its subject.
func (v *verification) subject(f *File) {
	named := path.Base(f.Name)
	var other string
	for _, s := range v.s.Subjects {
		switch {
		case s.SHA256 == f.SHA256 && path.Base(s.Name) == named:
			f.Name = s.Name
			if !slices.Contains(v.a.Checked, s.Name) {
				v.a.Checked = append(v.a.Checked, s.Name)
			}
			return
		case s.SHA256 == f.SHA256:
			other = fmt.Sprintf("it is what was signed as %s", s.Name)
		case path.Base(s.Name) == named && other == "":
			other = fmt.Sprintf("what was signed as %s is sha256 %s", s.Name, s.SHA256)
		}
	}
	if other == "" {
		other = "nothing of that name or content was signed"
	}
	v.refuse(OtherSubject, "%s is sha256 %s; %s", f.Path, f.SHA256, other)
}

// evidence judges what is here again, and holds what the statement says of these files against it. With all evidence here that is
// everything, and the policy may be another one than that of the statement.
func (v *verification) evidence() {
	var given []*Evidence
	for _, e := range v.Given {
		if slices.Contains(v.a.Checked, e.Name) {
			given = append(given, e)
		}
	}
	if len(given) == 0 {
		return
	}
	v.a.Rejudged = len(given)
	files := v.Files
	for _, f := range v.s.Subjects { // what was signed and is not here
		files = append(files, File{Name: f.Name, SHA256: f.SHA256})
	}
	release, model := v.s.Setting(settingRelease), v.s.Setting(settingModel)
	a := assess(rules{policy: v.Policy, release: release.Annotations["version"], commit: release.Digest["gitCommit"], files: files, onnx: model.Digest["sha256"],
		model: reports.ModelDigests{Config: model.Annotations["config_sha256"], Weights: model.Annotations["weights_sha256"]}}, given)
	concerned := func(name string) bool { return true }
	if !v.allEvidence() {
		concerned = func(name string) bool { return a.finding(name) != nil }
	}
	passed, warned, failed := a.tests()
	v.compare(a, Fail, failed, v.s.Failed, concerned)
	v.compare(a, Pending, warned, v.s.Warned, concerned)
	v.compare(a, Pass, passed, v.s.Passed, concerned)
}

// compare finds the tests that the evidence and the statement do not give one status.
func (v *verification) compare(a *Assessment, status Status, shown, signed []string, concerned func(string) bool) {
	for _, name := range shown {
		if concerned(name) && !slices.Contains(signed, name) {
			v.refuse(BadEvidence, "%s is %s by the evidence, and not in the statement%s", name, status, a.why(name))
		}
	}
	for _, name := range signed {
		if concerned(name) && !slices.Contains(shown, name) {
			v.refuse(BadEvidence, "%s is %s in the statement, and not by the evidence%s", name, status, a.why(name))
		}
	}
}

// items finds everything that is required among the tests, and the result in them.
func (v *verification) items() {
	if len(v.signedEvidence()) == 0 {
		v.refuse(BadEvidence, "the statement names no file of evidence: nothing shows what it says")
	}
	tests := slices.Concat(v.s.Passed, v.s.Warned, v.s.Failed)
	for _, key := range v.Policy.Required {
		if !slices.Contains(tests, itemPrefix+key) {
			v.refuse(LacksItem, "the policy requires %s, of which the statement says nothing", key)
		}
	}
	if want := resultOf(v.s.Passed, v.s.Warned, v.s.Failed); v.s.Result != want {
		v.refuse(ResultNotShown, "the result is %q, that of its tests is %s", v.s.Result, want)
	}
}
