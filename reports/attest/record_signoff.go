package attest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apex-x/apexx/reports"
)

// SignOffSchema names the version of a sign-off.
const SignOffSchema = "apexx.signoff/1"

// signOffRecord is what a person answers for. That the person did is as true as the signature of the release is.
type signOffRecord struct {
	Schema    string    `json:"schema"`
	Item      string    `json:"item"`
	Release   string    `json:"release"`
	Commit    string    `json:"commit"`
	By        string    `json:"by"`
	When      time.Time `json:"when"`
	Approved  bool      `json:"approved"`
	Statement string    `json:"statement"` // what was looked at and found
}

func readSignOff(data []byte) (record, error) {
	var s signOffRecord
	if err := decodeStrictly(data, &s); err != nil {
		return nil, err
	}
	switch {
	case s.Schema != SignOffSchema:
		return nil, fmt.Errorf("the schema is %q, want %q", s.Schema, SignOffSchema)
	case !slices.ContainsFunc(signed, func(i Item) bool { return i.Key == s.Item }):
		return nil, fmt.Errorf("%q is nothing to sign off", s.Item)
	case s.By == "" || s.When.IsZero() || s.Statement == "":
		return nil, errors.New("it does not say who found what, and when")
	}
	return s, nil
}

func (s signOffRecord) items() []string { return []string{s.Item} }
func (s signOffRecord) origin() origin  { return origin{build: &reports.Build{Revision: s.Commit}} }
func (s signOffRecord) tests() []test   { return nil }

func (s signOffRecord) judge(r *rules) (Status, string) {
	switch {
	case s.Release != r.release:
		return Fail, fmt.Sprintf("it is for the release %q", s.Release)
	case !s.Approved:
		return Fail, fmt.Sprintf("%s did not approve: %s", s.By, s.Statement)
	}
	return Pass, fmt.Sprintf("%s: %s", s.By, s.Statement)
}
