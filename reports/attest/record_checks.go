package attest

import (
	"fmt"
	"slices"
	"time"

	"github.com/apex-x/apexx/reports"
)

// ChecksSchema names the version of a record of checks, which .ci/checks writes.
const ChecksSchema = "apexx.checks/1"

// checksRecord holds how commands such as the linters ended.
type checksRecord struct {
	Schema   string    `json:"schema"`
	Revision string    `json:"revision"`
	Modified bool      `json:"modified"`
	When     time.Time `json:"when"`
	Checks   []check   `json:"checks"`
}

type check struct {
	Name     string `json:"name"`
	Command  string `json:"command"`
	ExitCode int    `json:"exit_code"`
}

func readChecks(data []byte) (record, error) {
	var c checksRecord
	if err := decodeStrictly(data, &c); err != nil {
		return nil, err
	}
	if c.Schema != ChecksSchema {
		return nil, fmt.Errorf("the schema is %q, want %q", c.Schema, ChecksSchema)
	}
	return c, nil
}

func (c checksRecord) items() []string { return []string{LintTests} }
func (c checksRecord) origin() origin {
	return origin{build: &reports.Build{Revision: c.Revision, Modified: c.Modified}}
}

func (c checksRecord) tests() []test {
	var list []test
	for _, one := range c.Checks {
		list = append(list, test{one.Name, map[bool]Status{true: Pass, false: Fail}[one.ExitCode == 0]})
	}
	return list
}

func (c checksRecord) judge(r *rules) (Status, string) {
	for _, one := range c.Checks {
		if one.ExitCode != 0 {
			return Fail, fmt.Sprintf("%s (%s) ended with %d", one.Name, one.Command, one.ExitCode)
		}
	}
	for _, name := range r.policy.Checks {
		if !slices.ContainsFunc(c.Checks, func(one check) bool { return one.Name == name }) {
			return Fail, fmt.Sprintf("the policy requires the check %s, which did not run", name)
		}
	}
	return Pass, fmt.Sprintf("%d checks ended with 0", len(c.Checks))
}
