package worker

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/apex-x/apexx/internal/printable"
)

// process is a child with pipes on its standard input and output and its standard error captured.
type process struct {
	cmd    *exec.Cmd
	stdin  *os.File // our end
	stdout *os.File // our end
	stderr *tail

	stderrPipe *os.File      // our end
	stderrEnd  chan struct{} // closed when all of standard error is in stderr
	exited     chan struct{} // closed when the child has been waited for
	oomKills   int64         // the kernel's count when the child started

	ending  ending
	killing chan struct{} // closed by the first kill

	mu       sync.Mutex
	reaped   bool      // the process id may be another's by now
	killed   bool      // by us, while it ran
	killedAt time.Time // of the first kill; zero before
}

// ending says how long the end of a worker may take.
type ending struct {
	asked     time.Duration // to end by itself once it was asked to, again once its input was closed, and once it closed its output
	cancelled time.Duration // to end by itself once the context that it was started with is done
	killed    time.Duration // to be gone once it was killed
	hurried   time.Duration // the same where whoever waits has no time any more
}

// usualEnding is generous where nothing but the kernel is between a process and its end. The kernel takes apart what a process had of a driver,
// which no signal interrupts: seconds for a few GB on a device that many use. It calls a task hung itself after two minutes (hung_task_timeout_secs),
// and until then the process has its memory and its device, so that who starts another one right away has it compute beside the old one.
var usualEnding = ending{asked: 2 * time.Second, cancelled: 250 * time.Millisecond, killed: 2 * time.Minute, hurried: 2 * time.Second}

// startProcess starts argv in a process group of its own.
func startProcess(argv, env []string) (*process, error) {
	p := &process{stderr: &tail{}, exited: make(chan struct{}), stderrEnd: make(chan struct{}), oomKills: oomKills(), ending: usualEnding,
		killing: make(chan struct{})}
	var files []*os.File
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			files = append(files, r, w)
		}
		return r, w, err
	}
	childIn, stdin, err := pipe()
	if err != nil {
		return nil, err
	}
	stdout, childOut, err := pipe()
	if err != nil {
		closeAll()
		return nil, err
	}
	stderr, childErr, err := pipe()
	if err != nil {
		closeAll()
		return nil, err
	}
	p.cmd = &exec.Cmd{Path: argv[0], Args: argv, Env: append(os.Environ(), env...), SysProcAttr: processAttributes()}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = childIn, childOut, childErr
	p.stdin, p.stdout, p.stderrPipe = stdin, stdout, stderr

	// The kernel sends the parent-death signal when the thread that started the child ends. Threads of Go end when a goroutine
	// that is locked to one returns; a new goroutine is never on such a thread.
	started := make(chan error)
	go func() { started <- p.cmd.Start() }()
	if err := <-started; err != nil {
		closeAll()
		return nil, err
	}
	childIn.Close()
	childOut.Close()
	childErr.Close()
	go func() {
		io.Copy(p.stderr, &lastWords{pipe: stderr})
		stderr.Close()
		close(p.stderrEnd)
	}()
	go p.wait()
	return p, nil
}

// wait learns of the child's end from the child itself. Its pipes may stay open for longer, in the hands of a process that it started
// and that left its group; the deadlines end whoever waits for them to close. (Where pipes have no deadlines, as on Windows, they stay.)
func (p *process) wait() {
	p.reap()
	end := time.Now()
	p.stdin.SetWriteDeadline(end)
	p.stdout.SetReadDeadline(end)
	p.stderrPipe.SetReadDeadline(end)
	close(p.exited)
}

// end waits for the child to end by itself, and kills it after the grace, or joins those who have killed it. It returns whether the child is
// gone, with all that the kernel held for it: one that is stuck in a driver may outlive its killing. Once ctx is done, nobody has time to
// wait for that.
func (p *process) end(ctx context.Context, grace time.Duration) bool {
	if p.goneWithin(grace, p.killing) {
		return true
	}
	killed := p.kill()
	return p.goneWithin(time.Until(killed.Add(p.ending.killed)), ctx.Done()) ||
		ctx.Err() != nil && p.goneWithin(time.Until(killed.Add(p.ending.hurried)), nil)
}

// goneWithin waits for the child to be gone, until a time has passed or stop is closed.
func (p *process) goneWithin(wait time.Duration, stop <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-stop:
	case <-timer.C:
	}
	return p.gone()
}

// gone tells whether the child has been waited for.
func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill ends the child and what it started. It returns when that was first done. One that was ending by itself was not ended by us, however long
// that takes.
func (p *process) kill() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killedAt.IsZero() {
		p.killedAt = time.Now()
		close(p.killing)
		p.killed = !p.reaped && !p.exiting()
	}
	if !p.reaped {
		p.killGroup()
	}
	return p.killedAt
}

// report describes the death after end: how it ended, and what it said.
func (p *process) report(d *Died) {
	gone := p.gone()
	if gone { // else the pipe stays open for as long as it is there
		select {
		case <-p.stderrEnd:
		case <-time.After(p.ending.asked): // something that the child started holds it open where pipes have no deadlines
		}
	}
	d.Pid, d.Stderr, d.ExitCode = p.cmd.Process.Pid, printable.Text(p.stderr.String()), -1
	if !gone {
		return
	}
	d.ExitCode = p.cmd.ProcessState.ExitCode()
	if s, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		d.Signal = s.Signal()
	}
}

// ranOutOfMemory judges from what a process left behind whether it ended for want of memory: its runtime said so, or the
// kernel's out-of-memory killer was at work while something other than us killed it.
func (p *process) ranOutOfMemory(d *Died, limited bool) bool {
	said := strings.ToLower(d.Stderr)
	for _, s := range []string{"out of memory", "cannot allocate memory", "std::bad_alloc"} {
		if strings.Contains(said, s) {
			return true
		}
	}
	if limited && (strings.Contains(said, "pthread_create failed") || strings.Contains(said, "failed to create new os thread")) {
		return true // no address space for another stack
	}
	return d.Signal == syscall.SIGKILL && oomKills() > p.oomKills
}

// oomKills returns how many processes the kernel's out-of-memory killer has ended since boot, 0 where it does not tell.
func oomKills() int64 {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(text, []byte("\noom_kill "))
	if !found {
		return 0
	}
	var n int64
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// wasKilled tells whether we ended the process. It may have ended by itself just then, which its status tells.
func (p *process) wasKilled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killed
}
