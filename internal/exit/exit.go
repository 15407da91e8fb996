// Package exit maps the outcome of a command to its exit code, in one place.
package exit

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/apex-x/apexx/backends"
)

// The exit codes of every command.
const (
	OK           = 0 // everything asked for was done and passed
	Failed       = 1 // a regression or a parity failure
	Usage        = 2 // wrong usage or bad input: flags, configuration, weights, images
	Inconclusive = 3 // measured, but not decidable
	NoBaseline   = 4 // nothing to compare with
	Unavailable  = 5 // a backend or something else of the environment is not there
	Internal     = 6 // a crash, a hang or a fault of the program

	Interrupted = 130 // by SIGINT or SIGTERM, as shells have it
)

// Error carries an exit code with the error that explains it. A nil Err means that the output said it already.
type Error struct {
	Code int
	Err  error
}

// Error returns the text of the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// With attaches a code to an error; nil stays nil.
func With(code int, err error) error {
	if err == nil {
		return nil
	}
	return &Error{code, err}
}

// Silent ends with a code and no message.
func Silent(code int) error { return &Error{Code: code} }

// Code returns the exit code of a command's error: 130 for an interruption, 5 for a backend that cannot be had and for a full
// or failing disk, else the outermost code attached to it, else 2, since what is wrong then is what was given.
func Code(err error) int {
	var coded *Error
	var unavailable *backends.Unavailable
	switch {
	case err == nil:
		return OK
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.As(err, &unavailable):
		return Unavailable
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EIO):
		return Unavailable
	case errors.As(err, &coded):
		return coded.Code
	}
	return Usage
}
