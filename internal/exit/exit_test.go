package exit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/apex-x/apexx/backends"
)

func TestCode(t *testing.T) {
	plain := errors.New("plain")
	absent := &backends.Unavailable{Backend: "ort", Reason: backends.LibraryNotFound}
	full := &fs.PathError{Op: "write", Path: "out", Err: syscall.ENOSPC}
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"nothing":                  {nil, OK},
		"with a code of nothing":   {With(Internal, nil), OK},
		"plain":                    {plain, Usage},
		"coded":                    {With(NoBaseline, plain), NoBaseline},
		"wrapped":                  {fmt.Errorf("case x: %w", With(Inconclusive, plain)), Inconclusive},
		"silent":                   {Silent(Failed), Failed},
		"coded twice":              {With(Usage, With(Internal, plain)), Usage},
		"unavailable":              {absent, Unavailable},
		"unavailable and coded":    {With(Usage, fmt.Errorf("x: %w", absent)), Unavailable},
		"full disk":                {fmt.Errorf("write: %w", full), Unavailable},
		"full disk and coded":      {With(Usage, full), Unavailable},
		"full quota":               {syscall.EDQUOT, Unavailable},
		"failing disk":             {syscall.EIO, Unavailable},
		"interrupted":              {context.Canceled, Interrupted},
		"interrupted and coded":    {With(Internal, fmt.Errorf("run: %w", context.Canceled)), Interrupted},
		"joined with interruption": {errors.Join(plain, context.Canceled), Interrupted},
	} {
		if got := Code(tt.err); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

func TestError(t *testing.T) {
	cause := errors.New("cause")
	if err := With(Usage, cause); err.Error() != "cause" || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if err := Silent(Failed); err.Error() != "exit code 1" || errors.Unwrap(err) != nil {
		t.Errorf("%v", err)
	}
}
