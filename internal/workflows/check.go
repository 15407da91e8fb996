package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// Finding is one violation of a rule.
type Finding struct {
	Path    string // of the workflow, as given to Check
	Line    int    // counted from 1
	Column  int    // counted from 1
	Rule    string // name of the rule, as in the package comment
	Message string // what was found and what to do
}

// String returns the finding on one line, in the form that editors and compilers use.
func (f *Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s [%s]", f.Path, f.Line, f.Column, f.Message, f.Rule)
}

// rule is one rule. It calls report for each violation.
type rule struct {
	name  string
	check func(f *file, report report)
}

type report func(pos *actionlint.Pos, format string, args ...any)

var rules = []rule{
	{"pinned-action", checkPinnedAction},
	{"permissions", checkPermissions},
	{"secrets", checkSecrets},
	{"privileged-trigger", checkPrivilegedTrigger},
	{"fork-runner", checkForkRunner},
	{"runner-labels", checkRunnerLabels},
	{"timeout", checkTimeout},
	{"concurrency", checkConcurrency},
	{"persist-credentials", checkPersistCredentials},
	{"full-history", checkFullHistory},
	{"script-injection", checkScriptInjection},
	{"upload-always", checkUploadAlways},
	{"path-filter", checkPathFilter},
	{"required-check", checkRequiredCheck},
}

// Check runs every rule over the source of one workflow and returns the findings in the order of the file. The path is only
// named in them. The error tells that the source is no workflow.
func Check(path string, source []byte) ([]*Finding, error) {
	f, err := parse(path, source)
	if err != nil {
		return nil, err
	}
	var findings []*Finding
	for _, r := range rules {
		r.check(f, func(pos *actionlint.Pos, format string, args ...any) {
			findings = append(findings, &Finding{path, pos.Line, pos.Col, r.name, fmt.Sprintf(format, args...)})
		})
	}
	slices.SortStableFunc(findings, func(a, b *Finding) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Rule, b.Rule))
	})
	return findings, nil
}
