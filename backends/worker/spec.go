package worker

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
)

// Spec says what a worker is and how long one may take. Name alone is enough for a backend with an executable of its own.
type Spec struct {
	Name    string   // the backend that the worker has to speak for, such as "ort"
	Command []string // executable and arguments, such as [apexx worker --backend ort]; empty: Find(Name)
	Env     []string // KEY=VALUE, added to this process's environment

	// Deadline bounds every single request, such as one Execute; a context may bound it further. 0 means no bound for Compile and
	// Execute, which may rightly take long, and StartTimeout for Probe.
	Deadline time.Duration
	// CompileDeadline bounds Compile where it may take longer than the other requests: some libraries measure for minutes. 0 means Deadline.
	CompileDeadline time.Duration
	// StartTimeout bounds the time from starting the process to its hello, on a machine that may be busy. 0 means 30 s.
	StartTimeout time.Duration
	// MemoryLimit bounds the bytes of address space that the worker may map beyond what it has mapped when it says hello (a Go
	// program reserves more than it uses, so an absolute bound would say little). Values from 1 to MinMemoryLimit count as
	// MinMemoryLimit, 0 as no bound. Elsewhere than on Linux a worker with a limit does not start. Not for workers that use
	// CUDA, which reserves far more than it uses.
	MemoryLimit int64

	// OnStuck is told of a process that cannot be killed, by the goroutine that closes the worker; with nil, Close fails. It is for callers whose
	// results stand whatever becomes of the process. One that goes on to time something needs the error.
	OnStuck func(*Stuck)
}

// MinMemoryLimit is the smallest memory limit: a Go heap grows by 64 MiB of address space at a time, a thread takes up to 72.
const MinMemoryLimit = 256 << 20

const defaultStartTimeout = 30 * time.Second

func (s Spec) startTimeout() time.Duration {
	if s.StartTimeout > 0 {
		return s.StartTimeout
	}
	return defaultStartTimeout
}

// questionTimeout bounds requests that compute nothing.
func (s Spec) questionTimeout() time.Duration {
	if s.Deadline > 0 {
		return s.Deadline
	}
	return s.startTimeout()
}

func (s Spec) compileTimeout() time.Duration { return cmp.Or(s.CompileDeadline, s.Deadline) }

func (s Spec) memoryLimit() int64 {
	if s.MemoryLimit <= 0 {
		return 0
	}
	return max(s.MemoryLimit, MinMemoryLimit)
}

// command returns the argument vector with the executable's path resolved.
func (s Spec) command() ([]string, error) {
	if len(s.Command) == 0 {
		return Find(s.Name)
	}
	path, err := exec.LookPath(s.Command[0])
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return nil, startFailed(s.Name, backends.WorkerNotFound, err)
	} else if err != nil {
		return nil, startFailed(s.Name, backends.WorkerStartFailed, err)
	}
	return append([]string{path}, s.Command[1:]...), nil
}

var backendName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// Find returns the command that starts the worker of a backend which lives in its own executable: the path in the variable
// APEXX_WORKER_NAME (such as APEXX_WORKER_CUDA), or apexx-NAME beside the running executable, or apexx-NAME in PATH. Where
// there is none, the error is an *backends.Unavailable with the reason worker_not_found that lists where it looked.
func Find(backend string) ([]string, error) {
	if !backendName.MatchString(backend) {
		return nil, fmt.Errorf("%q is not the name of a backend (want lower-case letters, digits, - and _)", backend)
	}
	notFound := func(format string, args ...any) error {
		return &backends.Unavailable{Backend: backend, Reason: backends.WorkerNotFound, Detail: fmt.Sprintf(format, args...)}
	}
	variable := "APEXX_WORKER_" + strings.ToUpper(strings.ReplaceAll(backend, "-", "_"))
	if path := os.Getenv(variable); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return nil, notFound("%s names %q, which cannot be run: %v", variable, path, errors.Unwrap(err))
		}
		return []string{path}, nil
	}
	name := "apexx-" + backend
	var beside string
	if self, err := os.Executable(); err == nil {
		beside = filepath.Dir(self)
		if path, err := exec.LookPath(filepath.Join(beside, name)); err == nil {
			return []string{path}, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return []string{path}, nil
	}
	return nil, notFound("no executable %s in %s or PATH; build it, or set %s to its path", name, beside, variable)
}
