package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/caps"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
)

// choiceFlags choose the backend, in commands that execute one.
func choiceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "backend", Usage: "backend `NAME`: " + strings.Join(backends.Known, ", ") + " (default: runtime.backend of the configuration)"},
		&cli.StringFlag{Name: "select", Usage: "`POLICY` where the backend is not there: strict, which ends with 5, or permissive, which takes the next of tensorrt, cuda, ort-cuda, ort, reference " +
			"(default: strict with --backend, else runtime.fallback_policy of the configuration)"},
		&cli.StringFlag{Name: "precision", Value: "fp32", Usage: "`NAME`: fp64, fp32, tf32, fp16, bf16, int8 or fp8, as far as the backend has it (caps tells)"},
	}
}

// choice is what choiceFlags say, and then what was selected.
type choice struct {
	requested string
	policy    caps.Policy
	precision backends.Precision
	model     *source.Model // open where it said which backend to take, else nil: a backend that is not there is told before anything is read

	selection caps.Selection
	isolate   bool // the backend runs in a worker, whatever --isolate says
	backend   backends.Backend
	extra     map[string]string // options of the backend
}

// chosenBackend reads choiceFlags. Whoever names the backend, the flag or the configuration, says what happens where it is not there.
func chosenBackend(c *cli.Context) (*choice, error) {
	var ch choice
	var err error
	if ch.precision, err = backends.ParsePrecision(c.String("precision")); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	ch.requested, ch.policy = c.String("backend"), caps.Strict
	if !c.IsSet("backend") {
		if ch.model, err = openModel(c); err != nil {
			return nil, err
		}
		ch.requested, ch.policy = ch.model.Config.Runtime.Backend, caps.Policy(ch.model.Config.Runtime.FallbackPolicy)
	}
	if c.IsSet("select") {
		if ch.policy = caps.Policy(c.String("select")); !slices.Contains(caps.Policies, ch.policy) {
			return nil, usagef("unknown --select %q (want %s or %s)", ch.policy, caps.Strict, caps.Permissive)
		}
	}
	if ch.requested, err = knownBackend(c, ch.requested); err != nil {
		return nil, err
	}
	_, err = extraOptions(c, ch.requested) // wrong ones are told whatever is there
	return &ch, err
}

// selectBackend opens the backend that the policy selects, and says on the error stream where it is another than the requested one. A backend
// without the precision is not there for it.
func (ch *choice) selectBackend(c *cli.Context) error {
	var failed error // to open a backend at all
	usable := func(name string) *backends.Unavailable {
		if ch.extra, failed = extraOptions(c, name); failed != nil {
			return &backends.Unavailable{Backend: name, Reason: backends.WorkerStartFailed, Detail: failed.Error()}
		}
		if ch.backend, failed = openBackend(c, name, execute.Options{Isolate: ch.isolate || c.Bool("isolate"), Deadline: c.Duration("deadline")}); failed != nil {
			return &backends.Unavailable{Backend: name, Reason: backends.WorkerStartFailed, Detail: failed.Error()}
		}
		a := ch.backend.Probe(c.Context)
		var missing *backends.Unavailable
		switch err := a.Err(name); {
		case errors.As(err, &missing):
		case !slices.Contains(a.Precisions, ch.precision):
			missing = &backends.Unavailable{Backend: name, Reason: backends.PrecisionUnsupported,
				Detail: fmt.Sprintf("precision %q (want %s)", ch.precision, backends.ChoiceOf(a.Precisions))}
		}
		return missing
	}
	var err error
	if ch.selection, err = caps.Select(ch.requested, ch.policy, usable); err != nil {
		return errors.Join(c.Context.Err(), err)
	}
	if s := ch.selection.Sentence(); s != "" {
		fmt.Fprintf(c.App.ErrWriter, "apexx: %s\n", s)
	}
	return nil
}

// open selects the backend, and then opens the model where it is not open already, with the calibration that the precision needs.
func (ch *choice) open(c *cli.Context) (*source.Model, error) {
	if err := ch.selectBackend(c); err != nil {
		return nil, err
	}
	if ch.model == nil {
		var err error
		if ch.model, err = openModel(c); err != nil {
			return nil, err
		}
	}
	return ch.model, namedCalibration(c, ch.model, ch.precision)
}

// execution is what the flags say of one session: its backend, threads and decoding.
type execution struct {
	*choice
	threads int
	decode  model.Decode
}

// chosenExecution reads choiceFlags, backendFlags and decodeFlags.
func chosenExecution(c *cli.Context) (x execution, err error) {
	if x.choice, err = chosenBackend(c); err != nil {
		return x, err
	}
	if x.threads, err = threadsOf(c); err != nil {
		return x, err
	}
	x.decode, err = decodeOf(c)
	return x, err
}

// options are those of the session, once it is open.
func (x execution) options() backends.Options {
	return backends.Options{Precision: x.precision, Threads: x.threads, Extra: x.extra}
}

// openBackend opens a backend whose results stand whatever becomes of the process that gave them: one that cannot be killed is told on the error
// stream. What times things has to know of it, and starts its workers itself (specOf).
func openBackend(c *cli.Context, name string, o execute.Options) (backends.Backend, error) {
	o.OnStuck = func(s *worker.Stuck) { fmt.Fprintf(c.App.ErrWriter, "apexx: warning: %v\n", s) }
	return execute.Open(name, o)
}

// available is nil where a backend can be used here.
func available(ctx context.Context, b backends.Backend, name string) error {
	return answered(ctx, b.Probe(ctx), name)
}

// answered is the error of what a backend answered to a probe. What an interruption keeps from answering is not absent.
func answered(ctx context.Context, a backends.Availability, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.Err(name)
}
