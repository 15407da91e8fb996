package attest

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Request is what a release is made of.
type Request struct {
	Release  string // its version, such as v1.2.0
	Commit   string // "" for that of the programs among the subjects
	Owner    string // who releases, "" where unknown
	URL      string // of the run that releases, "" where unknown
	Tool     string // version of the program that attests
	Now      time.Time
	Policy   *Policy
	Subjects []File // what is released
	Evidence []*Evidence
}

// Release is an assessed request, from which the documents and the statement are made.
type Release struct {
	Request
	CommitTime string // RFC 3339; "" where no program among the subjects tells
	*Assessment
}

// Assess judges the evidence of a release. Its errors are those of the request: an expired policy, no commit or two, names that come
// twice. What is wrong with the evidence is in the assessment.
func Assess(r Request) (*Release, error) {
	if !r.Now.Before(r.Policy.Expires) {
		return nil, expired(r.Policy)
	}
	if r.Release == "" {
		return nil, errors.New("a release needs a version")
	}
	var programs []*program
	for i, f := range r.Subjects {
		if slices.ContainsFunc(r.Subjects[:i], func(o File) bool { return o.Name == f.Name }) {
			return nil, fmt.Errorf("two subjects are named %s", f.Name)
		}
		if p := programOf(f); p != nil {
			programs = append(programs, p)
		}
	}
	out := &Release{Request: r}
	var err error
	if out.Commit, out.CommitTime, err = commitOf(programs, r.Commit); err != nil {
		return nil, err
	}
	out.Assessment = assess(rules{policy: r.Policy, release: r.Release, commit: out.Commit, files: r.Subjects}, r.Evidence)
	return out, nil
}

func expired(p *Policy) error {
	return fmt.Errorf("the policy %q expired at %s; renew it, after thinking about what it should require", p.Name, p.Expires.UTC().Format(time.RFC3339))
}

// The names of the configurations in a statement.
const (
	settingRelease = "release"
	settingPolicy  = "policy"
	settingModel   = "model"
	settingReplay  = "replay"
)

// Statement makes the statement of a release about its subjects, its evidence, and more files, such as the documents of the release.
func (r *Release) Statement(more []File) *Statement {
	s := &Statement{URL: r.URL, Settings: r.settings()}
	files := slices.Clone(r.Subjects)
	for _, f := range r.Findings {
		files = append(files, f.File)
	}
	for _, f := range slices.Concat(files, more) {
		s.Subjects = append(s.Subjects, Subject{f.Name, f.SHA256})
	}
	s.Passed, s.Warned, s.Failed = r.tests()
	s.Result = resultOf(s.Passed, s.Warned, s.Failed)
	return s
}

func (r *Release) settings() []Setting {
	list := []Setting{
		{settingRelease, map[string]string{"gitCommit": r.Commit}, map[string]string{"version": r.Release, "created": r.Now.UTC().Format(time.RFC3339),
			"owner": r.Owner, "apexx": r.Tool, "runtime_target": r.Policy.RuntimeTarget}},
		{settingPolicy, map[string]string{"sha256": r.Policy.Digest()}, map[string]string{"name": r.Policy.Name, "expires": r.Policy.Expires.UTC().Format(time.RFC3339)}},
	}
	for _, e := range r.Evidence {
		var one Setting
		switch rec := e.rec.(type) {
		case exportRecord:
			one = Setting{settingModel, map[string]string{"sha256": rec.Artifacts.ONNXSHA256},
				map[string]string{"weights_sha256": rec.Model.Weights, "config_sha256": rec.Model.Config, "profile": rec.Profile}}
		case replayRecord:
			one = Setting{settingReplay, map[string]string{"sha256": rec.ManifestSHA256}, nil}
		default:
			continue
		}
		if !slices.ContainsFunc(list, func(s Setting) bool { return s.Name == one.Name }) { // a second one makes the release fail
			list = append(list, one)
		}
	}
	return list
}
