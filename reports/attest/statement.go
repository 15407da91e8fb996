package attest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// PredicateType is the test result of in-toto, version 0.1 (github.com/in-toto/attestation, spec/predicates/test-result.md).
const PredicateType = "https://in-toto.io/attestation/test-result/v0.1"

// Result is the overall result of a release, as the predicate names it.
type Result string

// The results. Warned says that nothing wrong was found and something required was not shown.
const (
	Passed Result = "PASSED"
	Warned Result = "WARNED"
	Failed Result = "FAILED"
)

// Subject is a file that the statement is about.
type Subject struct {
	Name   string // unique in a statement
	SHA256 string // 64 hexadecimal digits, lower case
}

// Setting is a part of the configuration under which the result holds: the release, the policy, the model. Annotations hold what has no
// field of its own.
type Setting struct {
	Name        string
	Digest      map[string]string // by algorithm: sha256, gitCommit
	Annotations map[string]string
}

// Statement is what is signed.
type Statement struct {
	Subjects []Subject
	Result   Result
	Settings []Setting
	URL      string // of the run that made it, "" where unknown
	Passed   []string
	Warned   []string
	Failed   []string
}

// Setting returns the configuration of that name, an empty one where there is none.
func (s *Statement) Setting(name string) Setting {
	for _, c := range s.Settings {
		if c.Name == name {
			return c
		}
	}
	return Setting{Name: name}
}

// Encode writes the statement as compact JSON. Equal statements have equal bytes.
func (s *Statement) Encode() ([]byte, error) {
	predicate := &testresult.TestResult{Result: string(s.Result), Url: s.URL, PassedTests: s.Passed, WarnedTests: s.Warned, FailedTests: s.Failed}
	for _, c := range s.Settings {
		r := &intoto.ResourceDescriptor{Name: c.Name, Digest: c.Digest}
		if len(c.Annotations) > 0 {
			r.Annotations = &structpb.Struct{Fields: map[string]*structpb.Value{}}
			for k, v := range c.Annotations {
				r.Annotations.Fields[k] = structpb.NewStringValue(v)
			}
		}
		predicate.Configuration = append(predicate.Configuration, r)
	}
	fields, err := protojson.Marshal(predicate)
	if err != nil {
		return nil, err
	}
	statement := &intoto.Statement{Type: intoto.StatementTypeUri, PredicateType: PredicateType, Predicate: &structpb.Struct{}}
	if err := protojson.Unmarshal(fields, statement.Predicate); err != nil {
		return nil, err
	}
	for _, f := range s.Subjects {
		statement.Subject = append(statement.Subject, &intoto.ResourceDescriptor{Name: f.Name, Digest: map[string]string{"sha256": f.SHA256}})
	}
	return compactJSON(statement)
}

// ErrNoStatement says that a payload is no statement of a test result, or one that contradicts itself.
var ErrNoStatement = errors.New("not a statement of a test result")

// ParseStatement reads a payload strictly: unknown fields, other types, repeated subjects or tests, and digests that are none are errors.
func ParseStatement(payload []byte) (*Statement, error) {
	var statement intoto.Statement
	if err := protojson.Unmarshal(payload, &statement); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoStatement, plainly(err))
	}
	if err := statement.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoStatement, err)
	}
	if statement.GetType() != intoto.StatementTypeUri || statement.GetPredicateType() != PredicateType {
		return nil, fmt.Errorf("%w: it is a %s about a %s; want a %s about a %s", ErrNoStatement,
			statement.GetType(), statement.GetPredicateType(), intoto.StatementTypeUri, PredicateType)
	}
	fields, err := protojson.Marshal(statement.GetPredicate())
	if err != nil {
		return nil, err
	}
	var predicate testresult.TestResult
	if err := protojson.Unmarshal(fields, &predicate); err != nil {
		return nil, fmt.Errorf("%w: the predicate: %w", ErrNoStatement, plainly(err))
	}
	s := &Statement{Result: Result(predicate.GetResult()), URL: predicate.GetUrl(),
		Passed: predicate.GetPassedTests(), Warned: predicate.GetWarnedTests(), Failed: predicate.GetFailedTests()}
	for _, f := range statement.GetSubject() {
		s.Subjects = append(s.Subjects, Subject{f.GetName(), f.GetDigest()["sha256"]})
	}
	for _, c := range predicate.GetConfiguration() {
		setting := Setting{Name: c.GetName(), Digest: c.GetDigest(), Annotations: map[string]string{}}
		for k, v := range c.GetAnnotations().GetFields() {
			setting.Annotations[k] = v.GetStringValue()
		}
		s.Settings = append(s.Settings, setting)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoStatement, err)
	}
	return s, nil
}

var sha256Digits = regexp.MustCompile(`^[0-9a-f]{64}$`)

// check finds what contradicts itself: the result is that of its tests, and everything has one name.
func (s *Statement) check() error {
	names := map[string]bool{}
	for _, f := range s.Subjects {
		switch {
		case f.Name == "":
			return errors.New("a subject has no name")
		case names[f.Name]:
			return fmt.Errorf("the subject %q comes twice", f.Name)
		case !sha256Digits.MatchString(f.SHA256):
			return fmt.Errorf("the subject %q has no SHA-256", f.Name)
		}
		names[f.Name] = true
	}
	settings := map[string]bool{}
	for _, c := range s.Settings {
		if settings[c.Name] {
			return fmt.Errorf("the configuration %q comes twice", c.Name)
		}
		settings[c.Name] = true
	}
	tests := map[string]bool{}
	for _, t := range slices.Concat(s.Passed, s.Warned, s.Failed) {
		if tests[t] {
			return fmt.Errorf("the test %q comes twice", t)
		}
		tests[t] = true
	}
	return nil
}
