//go:build !linux

package worker

import (
	"errors"
	"os"
	"syscall"
)

func processAttributes() *syscall.SysProcAttr { return nil }

// reap waits for the child.
func (p *process) reap() { p.cmd.Wait() }

// kill ends the child; what it started is left alone here.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = p.cmd.Process.Kill() == nil || p.killed
}

// Elsewhere than on Linux a worker that waits is left to itself.
func (p *process) pause()  {}
func (p *process) resume() {}

func limitProcess(req helloRequest) error {
	if req.MemoryLimit > 0 {
		return errors.New("memory limits of workers need Linux")
	}
	return nil
}

func pollable(f *os.File) *os.File { return f }

func claimStdout() (*os.File, error) { return os.Stdout, nil }
