package locate

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/budget"
)

// free runs the candidate under the reference's decisions, with taps on every value between units and without, and holds the values
// to what both runs may have gathered.
func (t *trace) free() error {
	return t.pass("candidate, free", func() error {
		opts := t.spec.Candidate.Options
		opts.Replay = parity.RankedDecisions(t.spec.Graph)
		inputs, err := backends.ReplayInputs(t.spec.Graph, opts.Replay, t.spec.Inputs, t.decided)
		if err != nil {
			return err
		}
		plain, untapped, err := executePlanned(t.ctx, t.spec.Candidate.Backend, t.spec.Graph, inputs, opts)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Candidate, err)
		}
		opts.Taps = taps(t.between())
		tapped, plan, err := executePlanned(t.ctx, t.spec.Candidate.Backend, t.spec.Graph, inputs, opts)
		if err != nil {
			return fmt.Errorf("%s, tapped: %w", t.Candidate, err)
		}
		t.changedBy(untapped, plan, plain, tapped)
		return t.accumulated(byName(tapped))
	})
}

// changedBy notes what the taps changed: steps of the plan, and bits of the outputs.
func (t *trace) changedBy(untapped, tapped backends.Plan, before, after tensor.List) {
	for i := range untapped.Steps {
		if s := &untapped.Steps[i]; t.Library == "" && !hasStep(tapped, s) {
			t.Changed = append(t.Changed, fmt.Sprintf("step %s (%s) is executed otherwise when it is tapped", s.Name, s.Op))
		}
	}
	for _, o := range before {
		if other := after.Get(o.Name); other == nil || !tensor.Identical(o.Tensor, other) {
			t.Changed = append(t.Changed, fmt.Sprintf("output %s has other bits when the values between steps are tapped", o.Name))
		}
	}
	slices.Sort(t.Changed)
	t.Changed = slices.Compact(t.Changed)
}

// accumulated compares the free runs. Both stray from exact arithmetic, each by its spread, so that their difference has √2 of it.
func (t *trace) accumulated(got map[string]*tensor.Tensor) error {
	for _, u := range t.units {
		if u.step.Skipped != "" {
			continue
		}
		for _, v := range u.Outputs {
			value := got["tap."+v.Name]
			if err := sameType(value, v); err != nil {
				return fmt.Errorf("%s, free: %w", t.Candidate, err)
			}
			want := budget.Exact(t.teacher[v])
			if s := t.spreads[v]; s != nil {
				want.Spread = widened(s)
				for i := range want.Spread {
					want.Spread[i] *= math.Sqrt2
				}
			}
			u.step.Accumulated.add(v.Name, t.budget.Judge(value, want, budget.Margin{Store: 2 * t.margin(u).Store, Times: budget.Dependent}))
		}
	}
	t.amplify()
	if at, _ := t.first(); at < 0 {
		t.Strays = t.stray()
	}
	t.State = t.state()
	return nil
}
