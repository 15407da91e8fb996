package attest

import (
	"io"
	"slices"
	"time"

	"github.com/apex-x/apexx/reports"
)

// Document is the attestation of the original (spec/perf.md 14.3) with these repairs: its statuses come from the content of evidence,
// each names the file that decided, the commit's time stands where the time of writing was called that of the build, and sign-offs
// and the result of the statement are in it.
type Document struct {
	SchemaVersion int              `json:"schema_version"`
	GeneratedAt   time.Time        `json:"generated_at_utc"`
	Release       ReleaseMetadata  `json:"release_metadata"`
	Artifacts     []ArtifactStatus `json:"artifacts"`
	Gates         []GateStatus     `json:"gates"`
	SignOffs      []GateStatus     `json:"sign_offs"`
	Summary       Summary          `json:"summary"`
	Policy        PolicyName       `json:"policy"`
	Subjects      []SubjectName    `json:"subjects"`
	RollBack      RollBack         `json:"rollback"`
}

// ReleaseMetadata says what is released.
type ReleaseMetadata struct {
	Tag           string  `json:"release_tag"`
	Commit        string  `json:"commit_sha"`
	CommitTime    *string `json:"commit_date_utc"` // of the programs; reproducible builds have no time of their own
	Owner         string  `json:"release_owner"`
	RuntimeTarget string  `json:"runtime_target"`
	RunURL        *string `json:"ci_run_url"`
}

// ArtifactStatus is one artifact. Path is the name of its evidence among the subjects.
type ArtifactStatus struct {
	Key      string  `json:"key"`
	Label    string  `json:"label"`
	Path     *string `json:"path"`
	Producer string  `json:"producer"`
	Required bool    `json:"required"`
	Exists   bool    `json:"exists"`
	SHA256   *string `json:"sha256"`
	Size     *int64  `json:"size_bytes"`
	Status   Status  `json:"status"`
	Finding  string  `json:"finding"`
}

// GateStatus is one gate or sign-off. Evidence is the name of the file that decided, "pending" without one.
type GateStatus struct {
	Key      string `json:"key"`
	Label    string `json:"label"`
	Required bool   `json:"required"`
	Evidence string `json:"evidence"`
	Status   Status `json:"status"`
	Finding  string `json:"finding"`
}

// Summary counts as the original does, with one difference: overall_status is pending also with a sign-off that is.
type Summary struct {
	Overall        string `json:"overall_status"` // pass, pending or fail
	Result         Result `json:"result"`         // of the statement
	RequiredTotal  int    `json:"required_artifacts_total"`
	RequiredPassed int    `json:"required_artifacts_passed"`
	RequiredFailed int    `json:"required_artifacts_failed"`
	GatesTotal     int    `json:"gates_total"`
	GatesPassed    int    `json:"gates_passed"`
	GatesFailed    int    `json:"gates_failed"`
	GatesPending   int    `json:"gates_pending"`
	Decision       string `json:"decision"` // GO or NO-GO
}

// PolicyName identifies what the release was judged by.
type PolicyName struct {
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
	SHA256  string    `json:"sha256"`
}

// SubjectName is a released file.
type SubjectName struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size_bytes"`
}

// RollBack names what the gates compared the release with, which is what to go back to.
type RollBack struct {
	Bases []Base `json:"bases"`
}

// Base is the build that a gate held the release against.
type Base struct {
	Gate    string `json:"gate"` // file of the record
	Version string `json:"version"`
	Commit  string `json:"commit_sha"`
}

// Document makes the attestation of a release.
func (r *Release) Document() *Document {
	d := &Document{SchemaVersion: 1, GeneratedAt: r.Now.UTC().Truncate(time.Second),
		Release: ReleaseMetadata{Tag: r.Release, Commit: r.Commit, CommitTime: optional(r.CommitTime), Owner: r.Owner,
			RuntimeTarget: r.Policy.RuntimeTarget, RunURL: optional(r.URL)},
		Policy:    PolicyName{r.Policy.Name, r.Policy.Expires.UTC(), r.Policy.Digest()},
		Artifacts: []ArtifactStatus{}, Gates: gateStatuses(r.Gates), SignOffs: gateStatuses(r.SignOffs),
		Subjects: []SubjectName{}, RollBack: RollBack{[]Base{}}, Summary: r.summary()}
	for _, i := range r.Artifacts {
		s := ArtifactStatus{Key: i.Key, Label: i.Label, Producer: i.Producer, Required: i.Required, Status: i.Status, Finding: i.Why}
		if f := r.fileOf(i); f != nil {
			s.Path, s.Exists, s.SHA256, s.Size = &f.Name, true, &f.SHA256, &f.Size
		}
		d.Artifacts = append(d.Artifacts, s)
	}
	for _, f := range r.Subjects {
		d.Subjects = append(d.Subjects, SubjectName{f.Name, f.SHA256, f.Size})
	}
	for _, e := range r.Evidence {
		if g, ok := e.rec.(gateRecord); ok {
			d.RollBack.Bases = append(d.RollBack.Bases, Base{e.Name, g.Base.Version, g.Base.Revision})
		}
	}
	return d
}

// fileOf is the file of an artifact: its evidence, or of the graph the file that its manifest names. Nil where it is not there.
func (r *Release) fileOf(i ItemFinding) *File {
	if i.Key != ONNXGraph || i.File == nil {
		return i.File
	}
	digest := ""
	for _, e := range r.Evidence {
		if x, ok := e.rec.(exportRecord); ok && e.SHA256 == i.File.SHA256 {
			digest = x.Artifacts.ONNXSHA256
		}
	}
	if at := slices.IndexFunc(r.Subjects, func(f File) bool { return f.SHA256 == digest }); at >= 0 {
		return &r.Subjects[at]
	}
	return nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func gateStatuses(items []ItemFinding) []GateStatus {
	list := []GateStatus{}
	for _, i := range items {
		s := GateStatus{Key: i.Key, Label: i.Label, Required: i.Required, Evidence: "pending", Status: i.Status, Finding: i.Why}
		if i.File != nil {
			s.Evidence = i.File.Name
		}
		list = append(list, s)
	}
	return list
}

func (r *Release) summary() Summary {
	s := Summary{Result: r.Result(), GatesTotal: len(r.Gates), Decision: "NO-GO"}
	s.Overall = map[Result]string{Passed: "pass", Warned: "pending", Failed: "fail"}[s.Result]
	if s.Result == Passed {
		s.Decision = "GO"
	}
	for _, i := range r.Artifacts {
		if !i.Required {
			continue
		}
		s.RequiredTotal++
		if i.Status == Pass {
			s.RequiredPassed++
		} else {
			s.RequiredFailed++
		}
	}
	for _, i := range r.Gates {
		switch i.Status {
		case Pass:
			s.GatesPassed++
		case Fail:
			s.GatesFailed++
		case Pending:
			s.GatesPending++
		}
	}
	return s
}

// WriteJSON writes the document.
func (d *Document) WriteJSON(w io.Writer) error { return reports.IndentedJSON(w, d) }
