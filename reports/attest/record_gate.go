package attest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports"
)

// gateRecord is a gate run, whose verdict was judged anew from its samples.
type gateRecord struct{ *gate.Record }

func readGate(data []byte) (record, error) {
	rec, err := gate.Read(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if why := gate.Differs(rec.Verdict, gate.Judge(rec)); why != "" {
		return nil, errors.New(why)
	}
	return gateRecord{rec}, nil
}

func (g gateRecord) items() []string {
	if slices.ContainsFunc(g.Cells, func(c perf.Cell) bool { return perf.OnDevice(c.Backend) }) {
		return []string{GPUGate}
	}
	return []string{CPUGate}
}

func (g gateRecord) origin() origin {
	o := origin{build: &reports.Build{Revision: g.Head.Revision, Modified: g.Head.Modified}}
	for _, profile := range slices.Sorted(maps.Keys(g.Models)) {
		o.models = append(o.models, reports.ModelDigests(g.Models[profile]))
	}
	if len(o.models) == 0 {
		o.models = []reports.ModelDigests{{}}
	}
	return o
}

func (g gateRecord) judge(r *rules) (Status, string) {
	rule, ok := r.policy.Gates[g.items()[0]]
	if !ok {
		return Fail, fmt.Sprintf("the policy has no rule for %s, so nothing tells what it has to show", g.items()[0])
	}
	v := g.Verdict
	sum := fmt.Sprintf("%s: %s", v.Outcome, first(v.Reasons))
	switch v.ExitCode {
	case exit.OK:
	case exit.Inconclusive:
		return Pending, sum
	default:
		return Fail, sum
	}
	if why := g.against(rule); why != "" {
		return Fail, why
	}
	return Pass, fmt.Sprintf("%s (base %.12s)", sum, g.Base.Revision)
}

// against finds what the policy of a release does not let pass, "" where there is nothing.
func (g gateRecord) against(rule GateRule) string {
	switch {
	case g.Injected() != "": // into the head alone, or it would not have passed
		return injected(g.Injected())
	case g.Base.Revision == "" || g.Base.Modified:
		return "its base does not say which commit it is: nothing known was compared with"
	case g.Base.Revision == g.Head.Revision:
		return "base and head are the same commit: nothing was compared"
	case !(g.Policy.Alpha >= rule.MinAlpha && g.Policy.Alpha <= rule.MaxAlpha):
		return fmt.Sprintf("it was judged with α = %g, the policy accepts %g to %g", g.Policy.Alpha, rule.MinAlpha, rule.MaxAlpha)
	case !(g.Verdict.Resolution <= rule.MaxResolution):
		return fmt.Sprintf("a slowdown of %.3g %% could have been missed, the policy accepts %.3g %%", 100*g.Verdict.Resolution, 100*rule.MaxResolution)
	case g.Accepted != "" && !slices.Contains(rule.AcceptedChanges, g.Accepted):
		return fmt.Sprintf("it let the head compute something else than the base, for a reason that the policy does not hold: %q", g.Accepted)
	}
	if why := g.Lax(rule.MaxDelta); why != "" {
		return "it was judged more laxly than the policy accepts: " + why
	}
	for _, name := range rule.Cells {
		if !slices.ContainsFunc(g.Verdict.Cells, func(c gate.Cell) bool { return c.Name == name && c.Final() != nil }) {
			return fmt.Sprintf("the policy requires the cell %s, which was not measured", name)
		}
	}
	return ""
}

func first(reasons []string) string {
	if len(reasons) == 0 {
		return "no reason is given"
	}
	return reasons[0]
}

// gateStates says what each state of a cell is to a release; what cannot be measured here is none of its tests.
var gateStates = map[gate.CellState]Status{
	gate.CellParityFailed: Fail, gate.CellQualityLost: Fail, gate.CellRegressed: Fail, gate.CellBroken: Fail,
	gate.CellUnverified: Pending, gate.CellNoisy: Pending, gate.CellUnconfirmed: Pending,
	gate.CellCleared: Pass, gate.CellFaster: Pass, gate.CellClear: Pass,
}

func (g gateRecord) tests() []test {
	var list []test
	for _, c := range g.Verdict.Cells {
		if status, ok := gateStates[c.State]; ok {
			list = append(list, test{c.Name, status})
		}
	}
	return list
}
