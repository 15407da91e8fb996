package attest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/internal/must"
	"github.com/apex-x/apexx/internal/testenv"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
)

func status(r *Release, key string) ItemFinding {
	for _, i := range r.all() {
		if i.Key == key {
			return i
		}
	}
	return ItemFinding{}
}

// Whatever is missing, stale, failed or undecided is no pass, and says why.
func TestAssess(t *testing.T) {
	drop := func(name string) func(*testing.T, *candidate) {
		return func(_ *testing.T, c *candidate) { c.edit[name] = func([]byte) []byte { return nil } }
	}
	faults := []env.Software{{Key: "APEXX_INJECT", Value: "slow=900@*"}}
	for name, tt := range map[string]struct {
		change func(t *testing.T, c *candidate)
		item   string
		status Status
		why    string
		result Result
	}{
		"nothing wrong":       {func(*testing.T, *candidate) {}, CPUGate, Pass, "pass: no cell is slower by 8 % or more", Passed},
		"not required":        {func(*testing.T, *candidate) {}, "trt_engine", NA, "", Passed},
		"no artifact":         {drop("sweep/sweep.json"), PerformanceReport, Fail, "no evidence was given", Failed},
		"a plan of more":      {func(_ *testing.T, c *candidate) { c.sweep.Plan.Replicates = 50 }, PerformanceReport, Fail, "in 5 of 50 replicates", Failed},
		"no gate":             {drop("gate/gate.json"), CPUGate, Pending, "no evidence was given", Warned},
		"no sign-off":         {func(_ *testing.T, c *candidate) { c.signOffs = nil }, "security_review", Pending, "no evidence was given", Warned},
		"a regression":        {func(t *testing.T, c *candidate) { c.regress(t) }, CPUGate, Fail, "regression: " + slowed, Failed},
		"an unknown model":    {drop("export/export_manifest.json"), BackendParity, Fail, "there is no export manifest", Failed},
		"a matrix that fails": {func(t *testing.T, c *candidate) { c.matrix.Matrix = compared(t, noisy{wrong: true}) }, BackendParity, Fail, "FAIL: 4 of 6 cells hold", Failed},
		"a case left out": {func(_ *testing.T, c *candidate) {
			c.policy = strings.Replace(testPolicy, `"coffee"`, `"tea", "coffee"`, 1)
		}, ParityReport, Fail, "requires the case tea in reference/fp64", Failed},
		"another profile": {func(_ *testing.T, c *candidate) {
			c.policy = strings.Replace(testPolicy, "balanced e2e", "quality e2e", 1)
		}, ParityReport, Fail, `judged by "balanced e2e"`, Failed},
		"a lax profile beside the accepted one": {func(t *testing.T, c *candidate) {
			c.matrix.Matrix = compared(t, noisy{}, parity.Balanced.Policy(parity.EndToEnd), parity.Edge.Policy(parity.EndToEnd))
		}, ParityReport, Fail, `judged by "edge e2e", the policy accepts`, Failed},
		"a cell left out": {func(_ *testing.T, c *candidate) { c.policy = strings.Replace(testPolicy, "128x128", "512x512", 1) }, CPUGate, Fail, "reference/nano/fp32/512x512/b1/complete, which was not measured", Failed},
		"a coarse gate": {func(_ *testing.T, c *candidate) {
			c.policy = strings.Replace(testPolicy, `"max_delta": 0.08`, `"max_delta": 0.05`, 1)
		}, CPUGate, Fail, "reference/nano/fp32/128x128/b1/complete: time was allowed to grow by 8 %, and 5 % is allowed", Failed},
		"a gate that lets memory grow": {func(_ *testing.T, c *candidate) { c.gate.Policy.Targets.CPU.Limits.HostMemory.Delta = 9 }, CPUGate, Fail,
			"peak of host memory was allowed to grow by 900 % and 72 MiB, and 25 % and 2 MiB is allowed", Failed},
		"a blunt gate": {func(_ *testing.T, c *candidate) {
			c.policy = strings.Replace(testPolicy, `"max_resolution": 0.2`, `"max_resolution": 0.001`, 1)
		}, CPUGate, Fail, "could have been missed, the policy accepts 0.1 %", Failed},
		"an overcautious gate": {func(_ *testing.T, c *candidate) {
			c.policy = strings.Replace(testPolicy, `"min_alpha": 0.0005`, `"min_alpha": 0.01`, 1)
		}, CPUGate, Fail, "judged with α = 0.0005", Failed},
		"a base of no commit": {func(_ *testing.T, c *candidate) { c.gate.Base.Revision = "" }, CPUGate, Fail, "its base does not say which commit it is", Failed},
		"a gate with faults": {func(_ *testing.T, c *candidate) {
			c.gate.Environment.Variables, c.gate.Verdict = faults, nil
			c.gate.Verdict = gate.Judge(c.gate)
		}, CPUGate, Pending,
			"inconclusive: the workers of base and head had faults injected (slow=900@*)", Warned},
		"a gate with faults of the head": {func(_ *testing.T, c *candidate) {
			c.gate.Head.Variables, c.gate.Verdict = []env.Software{{Key: "reference:APEXX_INJECT", Value: "slow=1@*"}}, nil
			c.gate.Verdict = gate.Judge(c.gate)
		}, CPUGate, Fail, "it was measured with faults injected (slow=1@*): it says nothing of a release", Failed},
		"a sweep with faults": {func(_ *testing.T, c *candidate) { c.sweep.Environment.Variables = faults }, PerformanceReport, Fail, "with faults injected", Failed},
		"a matrix with faults in a worker": {func(_ *testing.T, c *candidate) {
			c.matrix.Where = append(c.matrix.Where, backends.Fact{Key: "cuda:APEXX_INJECT", Value: "wrong@*"})
		}, ParityReport, Fail, "with faults injected (wrong@*)", Failed},
		"a matrix with faults":      {func(_ *testing.T, c *candidate) { c.matrix.Where = append(c.matrix.Where, backends.Fact(faults[0])) }, ParityReport, Fail, "with faults injected", Failed},
		"an accepted change":        {func(_ *testing.T, c *candidate) { c.gate.Accepted = "new weights"; c.gate.Verdict = gate.Judge(c.gate) }, CPUGate, Fail, `for a reason that the policy does not hold: "new weights"`, Failed},
		"evidence of no commit":     {func(_ *testing.T, c *candidate) { c.matrix.Build.Revision = "" }, BackendParity, Fail, "does not say which commit", Failed},
		"evidence of no model":      {func(_ *testing.T, c *candidate) { c.matrix.Model = nil }, BackendParity, Fail, "it is of one that it does not name", Failed},
		"a check that is missing":   {func(_ *testing.T, c *candidate) { c.checks.Checks = c.checks.Checks[:1] }, LintTests, Fail, "requires the check test", Failed},
		"a refused sign-off":        {func(_ *testing.T, c *candidate) { c.signOffs[0].Approved = false }, "security_review", Fail, "A. Reviewer did not approve", Failed},
		"a backend unmentioned":     {func(_ *testing.T, c *candidate) { c.caps["backends"] = c.caps["backends"].([]map[string]any)[1:] }, CapsTransparency, Fail, "it lists the backends", Failed},
		"a reason of one's own":     {func(_ *testing.T, c *candidate) { c.caps["backends"].([]map[string]any)[1]["reason"] = "tired" }, CapsSnapshot, Fail, `"tired" is no reason`, Failed},
		"another export":            {func(_ *testing.T, c *candidate) { c.export.Outputs[0].Shape = []int{1, 3} }, ONNXGraph, Fail, "the manifest describes", Failed},
		"an evaluation":             {func(*testing.T, *candidate) {}, EvalReport, Pass, "PASS: AP of boxes 0.8160, -0.0040 against reference fp32 (-0.0080 to +0.0000)", Passed},
		"an evaluation with faults": {func(_ *testing.T, c *candidate) { c.eval.Variables = faults; c.eval.Judge(0.01) }, EvalReport, Fail, "with faults injected (slow=900@*)", Failed},
		"no evaluation":             {drop("eval/eval.json"), EvalReport, Fail, "no evidence was given", Failed},
		"a loss for certain": {func(_ *testing.T, c *candidate) {
			c.eval.Comparison.Det.AP.Low, c.eval.Comparison.Det.AP.High = -0.008, -0.0035
			c.eval.Judge(0.003)
		}, EvalReport, Fail, "FAIL: AP of boxes", Failed},
		"a loss perhaps": {func(_ *testing.T, c *candidate) {
			c.eval.Comparison.Det.AP.Low = -0.03
			c.eval.Judge(0.01)
		}, EvalReport, Pending, "INCONCLUSIVE: AP of boxes", Warned},
		"a verdict of one's own": {func(_ *testing.T, c *candidate) { c.eval.Comparison.Det.AP.Low = -0.03 }, EvalReport, Fail, "cannot be believed: the verdict is PASS", Failed},
		"a budget of one's own":  {func(_ *testing.T, c *candidate) { c.eval.Judge(0.1) }, EvalReport, Fail, "its budget is no loss of at most 0.01", Failed},
		"no budget":              {func(_ *testing.T, c *candidate) { c.eval.Comparison.MaxMapDrop, c.eval.Verdict = nil, "" }, EvalReport, Fail, "its budget is no loss of at most 0.01", Failed},
		"narrow intervals":       {func(_ *testing.T, c *candidate) { c.eval.Comparison.Confidence = 0.6 }, EvalReport, Fail, "its intervals are of 60 %, the policy requires 99 %", Failed},
		"results of a file":      {func(_ *testing.T, c *candidate) { c.eval.Runtime = nil }, EvalReport, Fail, "ort fp16 was read from a file, not executed", Failed},
		"an easier data set":     {func(_ *testing.T, c *candidate) { c.eval.Dataset.AnnotationsSHA256 = "11" }, EvalReport, Fail, "its data set is 11, the policy requires 7d28", Failed},
		"another execution":      {func(_ *testing.T, c *candidate) { c.eval.Name = "reference fp64" }, EvalReport, Fail, "it is of reference fp64, the policy accepts", Failed},
		"another base":           {func(_ *testing.T, c *candidate) { c.eval.Comparison.Base = "ort int8" }, EvalReport, Fail, "it is not compared with reference fp32", Failed},
		"both sides lost": {func(_ *testing.T, c *candidate) {
			c.policy = strings.Replace(testPolicy, `"min_map": 0.8`, `"min_map": 0.9`, 1)
		}, EvalReport, Fail, "the AP of boxes is 0.8160, the policy requires 0.9", Failed},
		"an evaluated stranger": {func(_ *testing.T, c *candidate) { c.eval.Model = nil }, EvalReport, Fail, "it is of one that it does not name", Failed},
		"another replay":        {func(_ *testing.T, c *candidate) { c.edit["replay/replay.json"] = replaced(`"seed": 0`, `"seed": 1`) }, ReplayManifest, Fail, "cannot be believed: the digest of the manifest is", Failed},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCandidate(t)
			tt.change(t, c)
			r := c.assess(t)
			got := status(r, tt.item)
			if got.Status != tt.status || !strings.Contains(got.Why, tt.why) || r.Result() != tt.result {
				t.Errorf("%s is %s (%s), the result %s; want %s (%s), %s", tt.item, got.Status, got.Why, r.Result(), tt.status, tt.why, tt.result)
			}
			if _, err := ParseStatement(must.Get(r.Statement(nil).Encode())(t)); err != nil {
				t.Errorf("the statement cannot be read: %v", err)
			}
		})
	}
}

// digests are what differs from machine to machine or from one version of the configuration to the next.
var digests = regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b|\| [0-9]+ \||"size_bytes": [0-9]+`)

func TestDocuments(t *testing.T) {
	c := newCandidate(t)
	c.signOffs[0].Statement = "read `every` | new dependency <b>\x1b[31m"
	c.policy = strings.Replace(testPolicy, `"security_review"`, `"security_review", "documentation_sync"`, 1)
	r := c.assess(t)
	var md, js bytes.Buffer
	if err := r.Document().WriteMarkdown(&md); err != nil {
		t.Fatal(err)
	}
	if err := r.Document().WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "release.md", digests.ReplaceAllString(md.String(), "…"))
	goldenfile.Check(t, "release.json", digests.ReplaceAllString(js.String(), "…"))
}

// The commit of a release is what its programs say, and all of them the same.
func TestCommitOf(t *testing.T) {
	of := func(name, revision string, modified bool) *program {
		p := &program{File: File{Name: name}, CommitTime: "2026-11-28T00:00:00Z"}
		p.Revision, p.Modified = revision, modified
		return p
	}
	for name, tt := range map[string]struct {
		programs []*program
		given    string
		want     string // or a part of the error
	}{
		"programs":         {[]*program{of("a", commit, false), of("b", commit, false)}, "", commit},
		"given":            {nil, commit, commit},
		"both":             {[]*program{of("a", commit, false)}, commit, commit},
		"neither":          {nil, "", "name it with --commit"},
		"two commits":      {[]*program{of("a", commit, false), of("b", otherCommit, false)}, "", "b was built of commit 89ab"},
		"another is given": {[]*program{of("a", commit, false)}, otherCommit, "a was built of commit 0123"},
		"dirty":            {[]*program{of("a", commit, true)}, "", "changes that no commit holds"},
		"unknown":          {[]*program{of("a", "", false)}, commit, "a does not know its commit"},
		"short":            {nil, "0123456", "not 40 hexadecimal digits"},
	} {
		got, when, err := commitOf(tt.programs, tt.given)
		switch {
		case err != nil && !strings.Contains(err.Error(), tt.want), err == nil && got != tt.want:
			t.Errorf("%s: %s, %v; want %s", name, got, err, tt.want)
		case err == nil && (when != "") != (len(tt.programs) > 0):
			t.Errorf("%s: committed %q", name, when)
		}
	}
}

// A program of the project tells its commit, and one that is of another is refused.
func TestProgram(t *testing.T) {
	testenv.Clean(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), []byte("module github.com/apex-x/apexx\n\ngo 1.26\n"))
	write(t, filepath.Join(dir, "cmd/x/main.go"), []byte("package main\n\nfunc main() {}\n"))
	built := filepath.Join(t.TempDir(), "x")
	for _, line := range []string{"git init -q", "git add .", "git -c user.name=t -c user.email=t@example.org -c commit.gpgsign=false commit -q -m x",
		"go build -buildvcs=true -o " + built + " ./cmd/x"} {
		words := strings.Fields(line)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	f := must.Get(ReadFile(built))(t)
	p := programOf(f)
	if p == nil || !commitDigits.MatchString(p.Revision) || p.Modified || p.CommitTime == "" {
		t.Fatalf("the program: %+v", p)
	}
	if other := programOf(must.Get(ReadFile("key.go"))(t)); other != nil {
		t.Errorf("a text is a program: %+v", other)
	}
	a := newAttempt(t, newCandidate(t))
	a.statement.Subjects = append(a.statement.Subjects, Subject{f.Name, f.SHA256})
	a.sign(t)
	q := a.question
	q.Bundle, q.Files = a.bundle, []File{f}
	if _, err := Verify(q); err == nil || !strings.Contains(err.Error(), "refused (commit)") || !strings.Contains(err.Error(), "the statement is about 0123456789ab") {
		t.Errorf("a program of another commit: %v", err)
	}
}

func TestReadEvidence(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a/notes.json"), []byte(`{"hello": 1}`))
	write(t, filepath.Join(dir, "a/list.json"), []byte(`[1]`))
	write(t, filepath.Join(dir, "a/page.html"), []byte("<html>"))
	write(t, filepath.Join(dir, "a/sub/gate.json"), []byte(`{"schema": "apexx.gate/2"}`))
	list, leftOut, err := ReadEvidence([]string{filepath.Join(dir, "a")})
	if err != nil || len(list) != 1 || len(leftOut) != 2 || list[0].Name != "evidence/a/sub/gate.json" || list[0].err == nil {
		t.Errorf("%+v, %v, %v", list, leftOut, err)
	}
	write(t, filepath.Join(dir, "b/a/sub/gate.json"), []byte(`{"schema": "apexx.gate/2"}`))
	if _, _, err := ReadEvidence([]string{filepath.Join(dir, "a"), filepath.Join(dir, "b/a")}); err == nil || !strings.Contains(err.Error(), "two files of evidence would have the name") {
		t.Errorf("two folders of one name: %v", err)
	}
	if _, _, err := ReadEvidence([]string{filepath.Join(dir, "none")}); err == nil {
		t.Error("a folder that is not there is read")
	}
}

// Every item has a place, and everything that people sign off is an item.
func TestItems(t *testing.T) {
	var keys []string
	for _, i := range slices.Concat(Artifacts, Gates, SignOffs) {
		if slices.Contains(keys, i.Key) || i.Label == "" || i.Producer == "" {
			t.Errorf("item %+v", i)
		}
		keys = append(keys, i.Key)
	}
	for _, i := range signed {
		if i.Producer != "a sign-off" {
			t.Errorf("%s is signed off, and %s makes it", i.Key, i.Producer)
		}
	}
}
