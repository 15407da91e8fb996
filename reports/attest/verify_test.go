package attest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/internal/must"
	"github.com/apex-x/apexx/perf"
)

// attempt is an attempt to pass off a bundle, a file or a result as something that it is not.
type attempt struct {
	*candidate
	key, other *PrivateKey
	release    *Release
	statement  *Statement
	payload    []byte
	bundle     []byte
	question   Question
}

// newAttempt signs a release that passes.
func newAttempt(t *testing.T, c *candidate) *attempt {
	t.Helper()
	a := &attempt{candidate: c, key: must.Get(GenerateKey(ECDSA))(t), other: must.Get(GenerateKey(Ed25519))(t)}
	a.release = c.assess(t)
	a.statement = a.release.Statement(nil)
	a.sign(t)
	a.question = Question{Key: a.key.Public(), Policy: a.release.Policy, Now: now}
	return a
}

// sign signs the statement as it is now, as one who has the key may.
func (a *attempt) sign(t *testing.T) {
	t.Helper()
	a.payload = must.Get(a.statement.Encode())(t)
	a.bundle = must.Get(Seal(a.payload, a.key))(t)
}

// resign signs a payload that need not be one of Encode.
func (a *attempt) resign(t *testing.T, old, new string) {
	t.Helper()
	changed := bytes.Replace(a.payload, []byte(old), []byte(new), 1)
	if bytes.Equal(changed, a.payload) {
		t.Fatalf("the payload has no %q", old)
	}
	a.bundle = must.Get(Seal(changed, a.key))(t)
}

// rebundle changes the text of the bundle, which nobody has to sign.
func (a *attempt) rebundle(t *testing.T, old, new string) {
	t.Helper()
	changed := bytes.Replace(a.bundle, []byte(old), []byte(new), 1)
	if bytes.Equal(changed, a.bundle) {
		t.Fatalf("the bundle has no %q", old)
	}
	a.bundle = changed
}

// move takes a test out of the list of those that failed or were pending, and says that it passed.
func (a *attempt) move(name string) {
	for _, list := range []*[]string{&a.statement.Warned, &a.statement.Failed} {
		*list = slices.DeleteFunc(*list, func(t string) bool { return t == name })
	}
	a.statement.Passed = append(a.statement.Passed, name)
}

// lie says that everything passed.
func (a *attempt) lie(t *testing.T) {
	for _, name := range slices.Concat(a.statement.Warned, a.statement.Failed) {
		a.move(name)
	}
	a.statement.Result = Passed
	a.sign(t)
}

// forgetEvidence leaves out of the subjects what the result rests on.
func (a *attempt) forgetEvidence(t *testing.T) {
	a.statement.Subjects = slices.DeleteFunc(a.statement.Subjects, func(s Subject) bool { return strings.HasPrefix(s.Name, evidencePrefix) })
	a.sign(t)
}

func (a *attempt) signature(t *testing.T) string {
	t.Helper()
	var b struct {
		Envelope struct {
			Signatures []struct{ Sig string }
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(a.bundle, &b); err != nil {
		t.Fatal(err)
	}
	return b.Envelope.Signatures[0].Sig
}

// verify gives the files below the folder of the release to Verify, or none.
func (a *attempt) verify(t *testing.T, files ...string) (*Answer, error) {
	t.Helper()
	var paths []string
	for _, f := range files {
		paths = append(paths, filepath.Join(a.dir, f))
	}
	q := a.question
	var err error
	if q.Files, q.Given, err = ReadFiles(paths); err != nil {
		t.Fatal(err)
	}
	q.Bundle = a.bundle
	return Verify(q)
}

func replaced(old, new string) func([]byte) []byte {
	return func(data []byte) []byte { return bytes.Replace(data, []byte(old), []byte(new), 1) }
}

// tampering is one way to cheat. Before changes the evidence before it is judged and signed; then changes the statement, the bundle, the
// question or the files.
type tampering struct {
	name   string
	before func(t *testing.T, c *candidate)
	then   func(t *testing.T, a *attempt)
	files  []string // that are given to Verify, below the folder of the release
	reason Reason
	text   string // a part of what the refusal says
}

var everything = []string{"apexx.bin", "SHA256SUMS", "model.onnx", "evidence"}

var tamperings = []tampering{
	{name: "the result in the payload is changed", reason: BadSignature, text: "was changed", then: func(t *testing.T, a *attempt) {
		was := base64.StdEncoding.EncodeToString(a.payload)
		a.rebundle(t, was, base64.StdEncoding.EncodeToString(bytes.Replace(a.payload, []byte("PASSED"), []byte("FAILED"), 1)))
	}},
	{name: "a bit of the signature is changed", reason: BadSignature, text: "was changed", then: func(t *testing.T, a *attempt) {
		sig := must.Get(base64.StdEncoding.DecodeString(a.signature(t)))(t)
		sig[len(sig)-1] ^= 1
		a.rebundle(t, a.signature(t), base64.StdEncoding.EncodeToString(sig))
	}},
	{name: "the signature of another statement", reason: BadSignature, text: "was changed", then: func(t *testing.T, a *attempt) {
		bundle := a.bundle
		a.statement.URL = "https://example.com/other"
		a.sign(t)
		other := a.signature(t)
		a.bundle = bundle
		a.rebundle(t, a.signature(t), other)
	}},
	{name: "another key signed", reason: OtherKey, text: "names the key", then: func(t *testing.T, a *attempt) {
		a.bundle = must.Get(Seal(a.payload, a.other))(t)
	}},
	{name: "another key signed and names this one", reason: BadSignature, text: "another key signed it", then: func(t *testing.T, a *attempt) {
		a.bundle = must.Get(Seal(a.payload, a.other))(t)
		a.rebundle(t, a.other.Public().Hint(), a.key.Public().Hint())
	}},
	{name: "the payload is declared to be something else", reason: BadBundle, text: "payload is of type", then: func(t *testing.T, a *attempt) {
		a.rebundle(t, PayloadType, "application/json")
	}},
	{name: "a second signature", reason: BadBundle, text: "2 signatures", then: func(t *testing.T, a *attempt) {
		a.rebundle(t, `"signatures":[`, `"signatures":[{"sig":"AAAA"},`)
	}},
	{name: "another version of the bundle", reason: BadBundle, text: "media type", then: func(t *testing.T, a *attempt) {
		a.rebundle(t, "v0.3", "v0.2")
	}},
	{name: "a field that nobody checks", reason: BadBundle, text: `unknown field "note"`, then: func(t *testing.T, a *attempt) {
		a.rebundle(t, `{"mediaType"`, `{"note":"trust me","mediaType"`)
	}},
	{name: "a certificate instead of the key", reason: BadBundle, text: "by a certificate", then: func(t *testing.T, a *attempt) {
		a.rebundle(t, `"publicKey":{"hint":"`+a.key.Public().Hint()+`"}`, `"certificate":{"rawBytes":"AAAA"}`)
	}},
	{name: "a log entry that nobody checks", reason: BadBundle, text: "entries of a log", then: func(t *testing.T, a *attempt) {
		a.rebundle(t, `"publicKey":`, `"tlogEntries":[{"logIndex":"1"}],"publicKey":`)
	}},
	{name: "a statement of another kind", reason: BadStatement, text: "slsa.dev", then: func(t *testing.T, a *attempt) {
		a.resign(t, PredicateType, "https://slsa.dev/provenance/v1")
	}},
	{name: "a field of the predicate that does not exist", reason: BadStatement, text: "predicate", then: func(t *testing.T, a *attempt) {
		a.resign(t, `"result":"PASSED"`, `"result":"PASSED","waived":"all"`)
	}},
	{name: "a subject twice", reason: BadStatement, text: `the subject "apexx.bin" comes twice`, then: func(t *testing.T, a *attempt) {
		a.statement.Subjects = append(a.statement.Subjects, Subject{"apexx.bin", strings.Repeat("0", 64)})
		a.sign(t)
	}},
	{name: "a test that passed and failed", reason: BadStatement, text: `the test "item/lint_type_tests" comes twice`, then: func(t *testing.T, a *attempt) {
		a.statement.Failed = append(a.statement.Failed, "item/lint_type_tests")
		a.sign(t)
	}},
	{name: "a statement without a commit", reason: BadStatement, text: "names no commit", then: func(t *testing.T, a *attempt) {
		a.statement.Settings[0].Digest = nil
		a.sign(t)
	}},
	{name: "the released file is another", reason: OtherSubject, text: "what was signed as apexx.bin", files: []string{"apexx.bin"}, then: func(t *testing.T, a *attempt) {
		write(t, filepath.Join(a.dir, "apexx.bin"), []byte("another program\n"))
	}},
	{name: "two released files are swapped", reason: OtherSubject, text: "it is what was signed as SHA256SUMS", files: []string{"apexx.bin"}, then: func(t *testing.T, a *attempt) {
		write(t, filepath.Join(a.dir, "apexx.bin"), []byte("its checksums\n"))
	}},
	{name: "a file that was never signed", reason: OtherSubject, text: "nothing of that name or content was signed", files: []string{"extra.bin"}, then: func(t *testing.T, a *attempt) {
		write(t, filepath.Join(a.dir, "extra.bin"), []byte("payload\n"))
	}},
	{name: "evidence edited after the signature", reason: OtherSubject, text: "gate.json is sha256", files: []string{"evidence"}, then: func(t *testing.T, a *attempt) {
		path := filepath.Join(a.dir, "evidence/gate/gate.json")
		write(t, path, bytes.Replace(must.Get(os.ReadFile(path))(t), []byte(`"pass"`), []byte(`"regression"`), 1))
	}},
	{name: "raw samples edited so that the verdict changes", reason: BadEvidence, text: "is not that of its samples", files: everything,
		before: func(t *testing.T, c *candidate) {
			c.regress(t)
			for _, m := range c.gate.Confirm {
				if m.Arm == perf.Head {
					scale(m.Samples, 1/slowdown(c.gate))
					scale(m.EndToEnd, 1/slowdown(c.gate))
				}
			}
		}, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a verdict that its samples do not give", reason: BadEvidence, text: "the stored verdict pass (exit code 0) is not that of its samples, regression (1)", files: everything,
		before: func(t *testing.T, c *candidate) {
			passed := c.gate.Verdict
			c.regress(t)
			c.gate.Verdict = passed
		}, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "samples left out", reason: BadEvidence, text: "the record is cut short", files: everything,
		before: func(_ *testing.T, c *candidate) { c.gate.Screen = c.gate.Screen[:len(c.gate.Screen)-1] }, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a failed cell dropped from the statement", reason: BadEvidence, text: "rocket, ort/fp32 vs reference/fp64 is FAIL by the evidence", files: everything,
		before: func(t *testing.T, c *candidate) { c.matrix.Matrix = compared(t, noisy{wrong: true}) },
		then: func(t *testing.T, a *attempt) {
			a.statement.Failed = slices.DeleteFunc(a.statement.Failed, func(name string) bool { return strings.Contains(name, "rocket") })
			a.lie(t)
		}},
	{name: "a failed cell dropped from the matrix", reason: BadEvidence, text: "cells were dropped", files: everything,
		before: func(t *testing.T, c *candidate) {
			c.matrix.Matrix = compared(t, noisy{wrong: true})
			c.matrix.Matrix.Cells = c.matrix.Matrix.Cells[:3]
		}, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a failed case dropped from the matrix", reason: BadEvidence, text: "requires the case rocket", files: everything,
		before: func(t *testing.T, c *candidate) {
			m := compared(t, noisy{wrong: true})
			m.Cases, m.Cells, m.Executions = m.Cases[:1], m.Cells[:3], m.Executions[:3]
			c.matrix.Matrix = m
		}, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a failed output that claims to have passed", reason: BadEvidence, text: "its worst element is off by 0.25", files: everything,
		before: func(t *testing.T, c *candidate) {
			m := compared(t, noisy{wrong: true})
			c.matrix.Matrix = m
			for i := range m.Cells {
				r := m.Cells[i].Report
				m.Cells[i].State, r.State, r.Passed, r.Outputs[0].Passed, r.Outputs[0].MismatchCount, r.Outputs[0].MismatchRatio, r.Outputs[0].Unforgiven = "pass", "pass", true, true, 0, 0, 0
			}
		}, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a tolerance that the policy does not have", reason: BadEvidence, text: `the policy asks for "abs 5e-05`, files: everything,
		before: func(t *testing.T, c *candidate) {
			o := &c.matrix.Matrix.Cells[0].Report.Outputs[0]
			o.Tolerance, o.Atol = "abs 1", 1
		}, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "an output that nobody compared", reason: BadEvidence, text: "the output boxes of the released model was not compared", files: everything,
		before: func(t *testing.T, c *candidate) { c.exportModel(t, *c.matrix.Model, "boxes") }, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "evidence of another commit", reason: BadEvidence, text: "stale: it is of commit 89abcdef0123", files: everything,
		before: func(_ *testing.T, c *candidate) { c.gate.Head.Revision = otherCommit }, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a statement about another commit", reason: BadEvidence, text: "stale: it is of commit 0123456789ab", files: everything,
		then: func(t *testing.T, a *attempt) {
			a.statement.Settings[0].Digest["gitCommit"] = otherCommit
			a.sign(t)
		}},
	{name: "evidence of a dirty tree", reason: BadEvidence, text: "changes that no commit holds", files: everything,
		before: func(_ *testing.T, c *candidate) { c.matrix.Build.Modified = true }, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "evidence of another model", reason: BadEvidence, text: "stale: the released model has weights 5a5a5a5a5a5a", files: everything,
		before: func(_ *testing.T, c *candidate) { c.sweep.Plan.Weights["nano"] = strings.Repeat("77", 32) }, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a gate against itself", reason: BadEvidence, text: "base and head are the same commit", files: everything,
		before: func(_ *testing.T, c *candidate) { c.gate.Base.Revision = commit }, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a sweep whose summary is better than its samples", reason: BadEvidence, text: "cannot be believed", files: everything,
		before: func(_ *testing.T, c *candidate) { c.sweep.Cells[0].Summary.P50 /= 2 }, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a check that failed", reason: BadEvidence, text: "lint (make lint) ended with 1", files: everything,
		before: func(_ *testing.T, c *candidate) { c.checks.Checks[0].ExitCode = 1 }, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "a sign-off of another release", reason: BadEvidence, text: `it is for the release "v0.9.0"`, files: everything,
		before: func(_ *testing.T, c *candidate) { c.signOffs[0].Release = "v0.9.0" }, then: func(t *testing.T, a *attempt) { a.lie(t) }},
	{name: "an inconclusive result called a pass", reason: ResultNotShown, text: `the result is "PASSED", that of its tests is WARNED`,
		before: func(_ *testing.T, c *candidate) { c.signOffs = nil },
		then: func(t *testing.T, a *attempt) {
			a.statement.Result = Passed
			a.sign(t)
		}},
	{name: "a required item that is left out", reason: LacksItem, text: "the policy requires security_review",
		before: func(_ *testing.T, c *candidate) { c.signOffs = nil },
		then: func(t *testing.T, a *attempt) {
			a.statement.Warned, a.statement.Result = nil, Passed
			a.sign(t)
		}},
	{name: "an expired policy", reason: PolicyExpired, text: "expired at 2027-01-01T00:00:00Z", then: func(_ *testing.T, a *attempt) {
		a.question.Now = now.Add(365 * 24 * time.Hour)
	}},
	{name: "a laxer policy at the signature", reason: OtherPolicy, text: "made under the policy", then: func(t *testing.T, a *attempt) {
		a.question.Policy = must.Get(ParsePolicy([]byte(strings.Replace(testPolicy, "of the tests", "of the committed file", 1))))(t)
	}},
	{name: "a laxer policy at the signature, and no evidence", reason: OtherPolicy, text: "made under the policy", then: func(t *testing.T, a *attempt) {
		a.forgetEvidence(t)
		a.question.Policy = must.Get(ParsePolicy([]byte(strings.Replace(testPolicy, "of the tests", "of the committed file", 1))))(t)
	}},
	{name: "nothing but words", reason: BadEvidence, text: "names no file of evidence", then: func(t *testing.T, a *attempt) { a.forgetEvidence(t) }},
	{name: "a laxer policy at the signature, with all evidence", reason: BadEvidence, text: "requires the case astronaut", files: everything, then: func(t *testing.T, a *attempt) {
		a.question.Policy = must.Get(ParsePolicy([]byte(strings.Replace(testPolicy, `"coffee"`, `"coffee", "astronaut"`, 1))))(t)
	}},
}

func TestTampering(t *testing.T) {
	if len(tamperings) < 20 {
		t.Fatalf("%d ways of tampering", len(tamperings))
	}
	for _, tt := range tamperings {
		t.Run(tt.name, func(t *testing.T) {
			c := newCandidate(t)
			if tt.before != nil {
				tt.before(t, c)
			}
			a := newAttempt(t, c)
			if tt.then != nil {
				tt.then(t, a)
			}
			_, err := a.verify(t, tt.files...)
			if err == nil {
				t.Fatal("accepted")
			}
			found := false
			for _, line := range strings.Split(err.Error(), "\n") {
				found = found || strings.HasPrefix(line, "refused ("+string(tt.reason)+"): ") && strings.Contains(line, tt.text)
			}
			var refusal *Refusal
			if !found || !errors.As(err, &refusal) {
				t.Errorf("want (%s) with %q, got:\n%v", tt.reason, tt.text, err)
			}
		})
	}
}

// Without tampering the same release is accepted, by either kind of key, with every file, with some and with none.
func TestVerify(t *testing.T) {
	a := newAttempt(t, newCandidate(t))
	if a.statement.Result != Passed {
		t.Fatalf("%s: %v %v", a.statement.Result, a.statement.Warned, a.statement.Failed)
	}
	for _, key := range []*PrivateKey{a.key, a.other} {
		a.key, a.question.Key = key, key.Public()
		a.sign(t)
		for _, files := range [][]string{nil, {"apexx.bin"}, {"evidence"}, {"evidence/gate"}, {"evidence/gate", "evidence/replay"}, everything} {
			answer, err := a.verify(t, files...)
			if err != nil || answer.Result != Passed || len(answer.Checked)+len(answer.Unchecked) != len(a.statement.Subjects) {
				t.Errorf("%s, %v: %+v, %v", key.Public().Type, files, answer, err)
			}
			if len(files) == len(everything) && (len(answer.Unchecked) > 0 || answer.Rejudged != 9) {
				t.Errorf("%s, %v: %d judged again, %v not looked at", key.Public().Type, files, answer.Rejudged, answer.Unchecked)
			}
		}
	}
}
