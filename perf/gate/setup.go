package gate

import (
	"context"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
)

// Setup is a gate of two builds before it runs.
type Setup struct {
	Base, Head Program
	Models     func(Program) measure.ModelSource // the complete models that a build defines
	Oracle     backends.Backend                  // computes with float64
	Options    measure.Options                   // of which Extra, Samplers and Devices count; the rest is the policy's
	Progress   func(stage string, done, total int)
	Record     Record // what is known before: who, when and where, the policy, the cells, and what was asked for
}

// Run measures and judges. A crash or a hang costs a cell; Run fails on what concerns all of them.
func (s Setup) Run(ctx context.Context) (*Record, error) {
	rec := s.Record
	rec.Schema, rec.When = SchemaID, time.Now().UTC()
	var err error
	if rec.Base, err = s.Base.Describe(ctx, perf.Backends(rec.Cells)); err != nil {
		return nil, err
	}
	if rec.Head, err = s.Head.Describe(ctx, perf.Backends(rec.Cells)); err != nil {
		return nil, err
	}
	r := Runner{Base: s.side(perf.Base, s.Base), Head: s.side(perf.Head, s.Head), Options: s.Options, Progress: s.Progress}
	if s.Base.Binary == s.Head.Binary { // one program makes one model
		r.Head.Workloads = r.Base.Workloads
	}
	err = r.Run(ctx, &rec)
	rec.Models = r.Head.Workloads.Digests()
	return &rec, err
}

func (s Setup) side(arm perf.Arm, p Program) measure.Side {
	return measure.Side{Arm: arm, Spec: p.Worker, Workloads: measure.NewWorkloads(s.Models(p), s.Oracle)}
}

// Trial runs the trial of an index: the base against itself, with the slowdown of that trial injected.
func (s Setup) Trial(ctx context.Context, index int) (Trial, error) {
	slowdown, cell := PlanTrial(index, s.Record.Cells)
	s.Head = s.Base
	if slowdown > 0 {
		s.Head.Env = append(s.Base.Env[:len(s.Base.Env):len(s.Base.Env)], fmt.Sprintf("%s=slow=%g@%s", worker.InjectVariable, 100*slowdown, cell))
	}
	s.Record.Policy.Seed += uint64(index)
	start := time.Now()
	rec, err := s.Run(ctx)
	if err != nil {
		return Trial{}, err
	}
	t := TrialOf(rec, index, slowdown, cell)
	t.Seconds = time.Since(start).Seconds()
	return t, nil
}
