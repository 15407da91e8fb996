package worker

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes give a worker its own process group, which is killed as a whole and which the terminal's Ctrl-C does not
// reach, and a signal when the parent dies, as a second rope beside its closed input.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reap waits for the child, ends what it leaves running in its group and frees its process id.
func (p *process) reap() {
	pid := p.cmd.Process.Pid
	if !pollEnd(pid) {
		ended(pid, 0)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	unix.Kill(-pid, unix.SIGKILL) // until the Wait below, the id names no other group
	p.cmd.Wait()                  // its error is in ProcessState
	p.reaped = true
}

// pollEnd waits for the end of a child by polling, for the reason that pollable tells. It returns false where the kernel does not allow that
// (before Linux 5.10), or the runtime.
func pollEnd(pid int) bool {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	c, err := f.SyscallConn()
	return err == nil && c.Read(func(uintptr) bool { return ended(pid, unix.WNOHANG) }) == nil
}

// ended tells whether a child has ended, which can be waited for afterwards. With no options it waits for that.
func ended(pid, options int) bool {
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|options, nil); err != unix.EINTR {
			return err != nil || info.Signo != 0 // an error is that there is no such child
		}
	}
}

// killGroup kills the child and what it started.
func (p *process) killGroup() { unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) }

// exiting tells whether the child is on its way out: whatever ends it is decided, and a signal changes nothing. All files of such a process may
// be closed long before a driver has let go of it.
func (p *process) exiting() bool {
	const taskExiting = 0x4 // PF_EXITING of include/linux/sched.h, in the seventh number behind the name
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if err != nil || len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err == nil && flags&taskExiting != 0
}

// pause stops the child and what it started where they are, and resume lets them go on.
func (p *process) pause()  { p.signal(unix.SIGSTOP) }
func (p *process) resume() { p.signal(unix.SIGCONT) }

func (p *process) signal(s unix.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		unix.Kill(-p.cmd.Process.Pid, s)
	}
}

// limitProcess applies the limits of a hello to this process.
func limitProcess(req helloRequest) error {
	if req.OOMScoreAdj > 0 {
		const path = "/proc/self/oom_score_adj"
		old, err := os.ReadFile(path)
		if n, convErr := strconv.Atoi(strings.TrimSpace(string(old))); err == nil && convErr == nil && n < req.OOMScoreAdj {
			os.WriteFile(path, []byte(strconv.Itoa(req.OOMScoreAdj)), 0) // a wish: some sandboxes refuse it
		}
	}
	if req.MemoryLimit <= 0 {
		return nil
	}
	mapped, err := mappedBytes()
	if err != nil {
		return err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil {
		return fmt.Errorf("reading the limit of address space: %w", err)
	}
	limit.Cur = min(mapped+uint64(req.MemoryLimit), limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_AS, &limit); err != nil {
		return fmt.Errorf("limiting address space to %d bytes: %w", limit.Cur, err)
	}
	return nil
}

// mappedBytes returns the size of this process's address space.
func mappedBytes() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseUint(pages, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return n * uint64(os.Getpagesize()), nil
}

// pollable returns a pipe that the runtime waits for by polling, so that no thread of the process sits in a read of it. While one does, a
// collection of garbage stands still for a minute now and then (go1.26.8: once in some thousand collections). Other files it returns as
// they are.
func pollable(f *os.File) *os.File {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return f
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return f
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return f
	}
	return os.NewFile(uintptr(fd), f.Name())
}

// claimStdout moves the protocol's channel away from descriptor 1, where C libraries print, and lets what they print there
// go to standard error.
func claimStdout() (*os.File, error) {
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	if err := unix.Dup3(2, 1, 0); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("standard output: %w", err)
	}
	return os.NewFile(uintptr(fd), "worker-channel"), nil
}
