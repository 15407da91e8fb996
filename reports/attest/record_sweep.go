package attest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/reports"
)

// sweepRecord is a sweep, whose summaries were derived anew from its samples.
type sweepRecord struct{ *sweep.Result }

func readSweep(data []byte) (record, error) {
	r, err := sweep.Read(bytes.NewReader(data))
	return sweepRecord{r}, err
}

func (s sweepRecord) items() []string { return []string{PerformanceReport} }

func (s sweepRecord) origin() origin {
	o := origin{build: &reports.Build{Revision: s.Environment.Commit, Modified: s.Environment.Dirty}}
	for _, profile := range slices.Sorted(maps.Keys(s.Plan.Weights)) {
		o.models = append(o.models, reports.ModelDigests{Config: s.Plan.ConfigSHA256[profile], Weights: s.Plan.Weights[profile]})
	}
	return o
}

func (s sweepRecord) judge(r *rules) (Status, string) {
	if faults := s.Environment.Injected(); faults != "" {
		return Fail, injected(faults)
	}
	measured := 0
	worstOf, why := Pass, ""
	for i := range s.Cells {
		c := &s.Cells[i]
		status := s.status(c)
		if status == Pass {
			measured++
		}
		if worst(worstOf, status) != worstOf {
			worstOf, why = status, fmt.Sprintf("%s is %s, its parity %s", c.Name, c.State, c.Parity.State)
			if c.Summary != nil {
				why += fmt.Sprintf(", in %d of %d replicates", c.Summary.Replicates, s.Plan.Replicates)
			}
		}
	}
	if worstOf != Pass {
		return worstOf, why
	}
	for _, name := range r.policy.Sweep.Cells {
		if !slices.ContainsFunc(s.Cells, func(c sweep.CellResult) bool { return c.Name == name && s.status(&c) == Pass }) {
			return Fail, fmt.Sprintf("the policy requires the cell %s, which was not measured", name)
		}
	}
	return Pass, fmt.Sprintf("%d of %d cells were measured in %d replicates, with parity", measured, len(s.Cells), s.Plan.Replicates)
}

// status is what a cell shows; N/A for one that cannot be had where the sweep ran. A finished sweep has every replicate of its plan.
func (s sweepRecord) status(c *sweep.CellResult) Status {
	switch {
	case c.State == evidence.Unsupported || c.State == evidence.NotRun:
		return NA
	case c.State == evidence.Measured && c.Summary != nil && c.Summary.Replicates < s.Plan.Replicates:
		return Fail
	case c.State == evidence.Measured && c.Parity.State.Holds() && c.Summary != nil:
		return Pass
	case c.State == evidence.Measured && c.Parity.State == evidence.Unverified:
		return Pending
	}
	return Fail
}

func (s sweepRecord) tests() []test {
	var list []test
	for i := range s.Cells {
		if status := s.status(&s.Cells[i]); status != NA {
			list = append(list, test{s.Cells[i].Name, status})
		}
	}
	return list
}
