package evidence

import (
	"context"
	"errors"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
)

// Outcome is how a run ended and why.
type Outcome struct {
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // a code of backends.Reasons, or a word of this package
	Signal string `json:"signal,omitempty"` // what ended a crashed process: "SIGSEGV", "panic", "exit status 3", "out of memory"
	Detail string `json:"detail,omitempty"` // for people, one line
}

// The reasons of outcomes that are no codes of backends.Reasons.
const (
	ReasonError      = "error"           // the backend or the worker answered with an error
	ReasonDeadline   = "deadline"        // no answer in time
	ReasonCancelled  = "cancelled"       // the command was interrupted
	ReasonNoOutputs  = "no_outputs"      // a run claimed to have ended and gave nothing
	ReasonNoState    = "no_state"        // a runner answered with a state that no run can end in
	ReasonNoExpected = "no_expectations" // a case has no stored outputs to compare with
	ReasonUnsteady   = "unsteady"        // a backend that ran other cases was not to be had for this one
)

// Of maps the error of a run to its outcome; nil is Measured. It is the only such mapping. The context comes first: once it has
// ended, whatever broke broke because of that. A process that does not even start is a matter of the environment, and one that
// ends later is a crash.
func Of(ctx context.Context, err error) Outcome {
	var unavailable *backends.Unavailable
	var died *worker.Died
	var answer *worker.Error
	switch {
	case err == nil:
		return Outcome{State: Measured}
	case ctx.Err() != nil:
		return Outcome{State: Cancelled, Reason: ReasonCancelled, Detail: context.Cause(ctx).Error()}
	case errors.As(err, &unavailable):
		return Outcome{State: Unsupported, Reason: string(unavailable.Reason), Detail: unavailable.Detail}
	case errors.As(err, &died) && died.Limit > 0:
		return Outcome{State: Hung, Reason: ReasonDeadline, Detail: died.Error()}
	case errors.As(err, new(*Panic)), errors.As(err, &answer) && answer.Code == worker.CodePanic: // a worker that dies of it carries it as the cause
		return Outcome{State: Crashed, Signal: "panic", Detail: err.Error()}
	case errors.As(err, &died) && died.Cause != nil: // it was ended for what it answered
		return Outcome{State: Errored, Reason: ReasonError, Detail: died.Error()}
	case errors.As(err, &died):
		return Outcome{State: Crashed, Signal: died.Ending(), Detail: died.Error()}
	}
	return Outcome{State: Errored, Reason: ReasonError, Detail: err.Error()}
}

// ofGraph are the reasons that concern what was asked, which differs from case to case. All others concern the backend as a whole:
// one that ran once cannot have them.
var ofGraph = []backends.Reason{backends.PrecisionUnsupported, backends.OperatorUnsupported}

// Settle corrects the outcomes of one backend and precision over several cases: where at least one ran, another that was not to be
// had is no lack of the environment, which could be left out of a verdict, but a fault.
func Settle(outcomes []*Outcome) {
	ran := false
	for _, o := range outcomes {
		ran = ran || o.State == Measured
	}
	for _, o := range outcomes {
		if ran && o.State == Unsupported && !slices.Contains(ofGraph, backends.Reason(o.Reason)) {
			o.Detail = o.Reason + ": " + o.Detail
			o.State, o.Reason = Errored, ReasonUnsteady
		}
	}
}
