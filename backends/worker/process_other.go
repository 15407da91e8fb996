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

// killGroup kills the child; what it started is left alone here.
func (p *process) killGroup() { p.cmd.Process.Kill() }

// exiting cannot be told here of a child that has not been waited for.
func (p *process) exiting() bool { return p.gone() }

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
