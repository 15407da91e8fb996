package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/printable"
)

// Code classes an error that a worker reports. The set may grow with the protocol's minor version.
type Code string

// The codes. After CodePanic the worker ends; after all others it goes on.
const (
	CodeBadInput    Code = "bad_input"    // the caller's graph, options or tensors are at fault
	CodeFailed      Code = "failed"       // the backend failed
	CodePanic       Code = "panic"        // the backend panicked
	CodeUnavailable Code = "unavailable"  // carries an *backends.Unavailable
	CodeBadMessage  Code = "bad_message"  // a message breaks the protocol
	CodeUnknownKind Code = "unknown_kind" // the worker does not know this kind of request
)

var codes = []Code{CodeBadInput, CodeFailed, CodePanic, CodeUnavailable, CodeBadMessage, CodeUnknownKind}

// Error is what a worker answered instead of a result. It wraps an *backends.Unavailable where the worker's error did.
type Error struct {
	Backend string
	Code    Code
	Message string // one line
	Detail  string // for a report, such as the stack of a panic; may be empty

	unavailable *backends.Unavailable
}

// Error returns the message, which for a backend's own error is its text there.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the *backends.Unavailable that the worker's error wrapped, if any.
func (e *Error) Unwrap() error {
	if e.unavailable == nil { // not a nil *Unavailable in a non-nil error
		return nil
	}
	return e.unavailable
}

// wireError is the body of an error reply.
type wireError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Detail  string `json:"detail,omitempty"`
	// Of CodeUnavailable:
	Backend      string `json:"backend,omitempty"`
	Reason       string `json:"reason,omitempty"`
	ReasonDetail string `json:"reason_detail,omitempty"`
}

// toWire prepares err for the reply to a request. Errors of this package keep their code; others are the backend's.
func toWire(err error) wireError {
	var u *backends.Unavailable
	if errors.As(err, &u) {
		return wireError{Code: CodeUnavailable, Message: oneLine(err.Error()), Backend: u.Backend, Reason: string(u.Reason),
			ReasonDetail: u.Detail}
	}
	var e *Error
	if errors.As(err, &e) {
		return wireError{Code: e.Code, Message: oneLine(err.Error()), Detail: e.Detail}
	}
	return wireError{Code: CodeFailed, Message: oneLine(err.Error())}
}

// err rebuilds the error: the *backends.Unavailable itself where nothing wrapped it, else an *Error.
func (w wireError) err(backend string) error {
	e := &Error{Backend: backend, Code: w.Code, Message: oneLine(w.Message), Detail: printable.Text(w.Detail)}
	if !slices.Contains(codes, e.Code) {
		e.Code = CodeFailed
	}
	if e.Message == "" {
		e.Message = fmt.Sprintf("the worker of backend %s answered with an error without text (code %.40q)", backend, w.Code)
	}
	if w.Code == CodeUnavailable {
		e.unavailable = &backends.Unavailable{Backend: oneLine(w.Backend), Reason: backends.Reason(oneLine(w.Reason)), Detail: oneLine(w.ReasonDetail)}
		if oneLine(e.unavailable.Error()) == e.Message {
			return e.unavailable
		}
	}
	return e
}

func badInput(err error) error {
	return &Error{Code: CodeBadInput, Message: err.Error()}
}

func badMessage(format string, args ...any) error {
	return &Error{Code: CodeBadMessage, Message: fmt.Sprintf(format, args...)}
}

// oneLine joins the lines of a text that a user reads in one. Everything that a worker says and that is not compared with something
// passes it, or printable.Text where lines matter: a terminal or a report takes it as it is.
func oneLine(s string) string { return printable.Line(strings.Join(strings.Fields(s), " ")) }

// ErrClosed is the cause of a Died whose worker was closed by its own side.
var ErrClosed = errors.New("the worker was closed")

// Died is the end of a worker's process while it was needed, or its misbehaviour that made the client end it. Every later
// call on that worker and its sessions returns the same *Died.
type Died struct {
	Backend  string
	Pid      int
	Stage    string         // what was asked of it: "hello", "probe", "compile", "upload", "execute", "download", "measure", "close"
	Signal   syscall.Signal // what ended the process; 0 where it exited or could not be waited for
	ExitCode int            // of an exit; -1 after a signal
	Limit    time.Duration  // the time in which it had to answer and did not, at least 1 ms; 0 where it was not killed for being late
	OOM      bool           // it ran into its memory limit or was ended by the kernel's out-of-memory killer
	Stderr   string         // the last lines that it wrote to standard error, by printable.Text
	Cause    error          // why the client ended it, such as context.Canceled, or the panic that it reported; or nil
}

// Ending tells in few words how the process ended: out of memory, by a signal, or with an exit status.
func (d *Died) Ending() string {
	switch {
	case d.OOM:
		return "out of memory"
	case d.Signal != 0:
		return d.Signal.String()
	}
	return fmt.Sprintf("exit status %d", d.ExitCode)
}

// Error tells in one line what ended the process during which stage, and the telling line of what it printed.
func (d *Died) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "the worker of backend %s died during %s: ", d.Backend, d.Stage)
	var panicked *Error
	switch {
	case d.Limit > 0:
		fmt.Fprintf(&s, "no answer within %v, killed", rounded(d.Limit))
	case errors.As(d.Cause, &panicked):
		s.WriteString(panicked.Message)
		return s.String()
	case d.Cause != nil && errors.Is(d.Cause, context.Canceled):
		s.WriteString("cancelled, killed")
	case d.Cause != nil:
		s.WriteString(oneLine(d.Cause.Error()))
	case d.OOM:
		fmt.Fprintf(&s, "out of memory (%s)", d.ending())
	default:
		s.WriteString(d.ending())
	}
	if line := headline(d.Stderr); line != "" {
		s.WriteString(": " + line)
	}
	return s.String()
}

// rounded leaves of a duration what a person reads: seconds, and of less than one milliseconds.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

func (d *Died) ending() string {
	if d.Signal != 0 {
		return fmt.Sprintf("signal %d, %v", int(d.Signal), d.Signal)
	}
	return fmt.Sprintf("exit code %d", d.ExitCode)
}

// Unwrap returns the cause, so that errors.Is finds context.DeadlineExceeded and context.Canceled.
func (d *Died) Unwrap() error { return d.Cause }

// Stuck is a process that is still there long after it was killed. Only a driver or the kernel can hold it, and with it its memory and its
// device: what it computed stands, what is timed beside it may be slower.
type Stuck struct {
	Backend string
	Pid     int
	Waited  time.Duration // since it was killed
}

// Error tells in one line which process it is and what to do about it.
func (s *Stuck) Error() string {
	return fmt.Sprintf("the worker of backend %s (process %d) is still there %v after it was killed: a driver or the kernel holds it, and with it its memory "+
		"and its device; if it does not go away, restart the machine", s.Backend, s.Pid, s.Waited.Round(time.Second))
}

// headline picks the line of a dying program's output that says why: what introduces a crash report, else the last line. That an exception of C++
// ended it is told with what the exception says, which is a line of its own.
func headline(stderr string) string {
	last, thrown := "", ""
	for line := range strings.Lines(stderr) {
		line = oneLine(line)
		if thrown != "" {
			if what, told := strings.CutPrefix(line, "what(): "); told {
				return thrown + ": " + what
			}
			return thrown
		}
		if strings.HasPrefix(line, "terminate called") {
			thrown = line
			continue
		}
		for _, prefix := range []string{"panic: ", "fatal error: ", "SIGSEGV", "runtime: out of memory"} {
			if strings.HasPrefix(line, prefix) {
				return line
			}
		}
		if line != "" {
			last = line
		}
	}
	return cmp.Or(thrown, last)
}

// refused is the error for a claim of a worker that the client does not believe. The worker goes on.
func (w *Worker) refused(claim string, err error) error {
	return errors.New(printable.Line(fmt.Sprintf("%s of the worker of backend %s: %v", claim, w.spec.Name, err)))
}

// startError is a failure to start a worker: unavailable for those who choose a backend, with the death, if there was one,
// for those who want its details.
type startError struct {
	*backends.Unavailable
	cause error
}

// Unwrap returns the *backends.Unavailable and what led to it.
func (e *startError) Unwrap() []error { return []error{e.Unavailable, e.cause} }

func startFailed(backend string, reason backends.Reason, cause error) error {
	return &startError{&backends.Unavailable{Backend: backend, Reason: reason, Detail: oneLine(cause.Error())}, cause}
}
