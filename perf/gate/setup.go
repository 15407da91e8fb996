package gate

import (
	"context"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// Setup is a gate of two builds before it runs.
type Setup struct {
	Base, Head Program
	Models     func(Program) measure.ModelSource // the complete models that a build defines
	Oracle     backends.Backend                  // computes with float64
	Options    measure.Options                   // of which Extra, Samplers, Devices and DataSet count; the rest is the policy's
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
	r := Runner{Base: s.side(perf.Base, s.Base, &rec.Base), Head: s.side(perf.Head, s.Head, &rec.Head), Options: s.Options, Progress: s.Progress}
	if s.Base.Binary == s.Head.Binary { // one program makes one model
		r.Head.Workloads = r.Base.Workloads
	}
	err = r.Run(ctx, &rec)
	rec.Models = r.Head.Workloads.Digests()
	return &rec, err
}

func (s Setup) side(arm perf.Arm, p Program, said *Build) measure.Side {
	return measure.Side{Arm: arm, Spec: p.Worker, Workloads: measure.NewWorkloads(s.Models(p), s.Oracle),
		Variables: func(backend string) []backends.Fact { return env.ToldOf(backend, said.Variables) }}
}

// slowedStep names the step that a trial slowed; "?" where nothing told its steps.
func slowedStep(rec *Record, index int, c perf.Cell) string {
	for _, m := range rec.Screen {
		if m.Cell == c && m.Steps != nil {
			return m.Steps.List[int(stepOf(index)*float64(len(m.Steps.List)))].Name
		}
	}
	return "?"
}

// Trial runs the trial of an index: the base against itself, with the slowdown of that trial injected. Where the policy has the steps of the slowed cell
// judged, it is one of them that is slower.
func (s Setup) Trial(ctx context.Context, index int) (Trial, error) {
	slowdown, cell := PlanTrial(index, s.Record.Cells)
	s.Head = s.Base
	ofStep := s.Record.Policy.Steps.Of(cell)
	if slowdown > 0 {
		fault := fmt.Sprintf("slow=%g", 100*slowdown)
		if ofStep {
			fault += fmt.Sprintf("#%g", stepOf(index))
		}
		s.Head.Env = append(s.Base.Env[:len(s.Base.Env):len(s.Base.Env)], fmt.Sprintf("%s=%s@%s", worker.InjectVariable, fault, cell))
	}
	s.Record.Policy.Seed += uint64(index)
	start := time.Now()
	rec, err := s.Run(ctx)
	if err != nil {
		return Trial{}, err
	}
	t := TrialOf(rec, index, slowdown, cell)
	if slowdown > 0 && ofStep {
		t.Step = slowedStep(rec, index, cell)
	}
	t.Seconds = time.Since(start).Seconds()
	return t, nil
}
