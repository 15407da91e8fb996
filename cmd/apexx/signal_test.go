package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a program may take to come to a moment, or to end after a signal.
const patience = 2 * time.Minute

// interrupt interrupts a program at a moment, as Ctrl-C does; it must end with code 130.
func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	p := startUntil(ts, args[0], args[1:])
	ts.Check(p.cmd.Process.Signal(syscall.SIGINT))
	p.endsWith(ts, "apexx: interrupted\n")
}

// interruptTwice does so when the program waits for something that does not come: the first signal does not end it, another does.
func interruptTwice(ts *testscript.TestScript, _ bool, args []string) {
	p := startUntil(ts, args[0], args[1:])
	ts.Check(p.cmd.Process.Signal(syscall.SIGINT))
	p.endsWith(ts, "apexx: ended at once by a second signal\n", func() { p.cmd.Process.Signal(syscall.SIGTERM) })
}

// killed ends a program at a moment without a warning. One that was faster than this process saw the moment starts anew, without its folder.
func killed(ts *testscript.TestScript, _ bool, args []string) {
	file, _, _ := strings.Cut(args[0], ":")
	for range 10 {
		p := startUntil(ts, args[0], args[1:])
		ts.Check(p.cmd.Process.Kill())
		if <-p.ended; !p.cmd.ProcessState.Exited() {
			return
		}
		ts.Check(os.RemoveAll(filepath.Dir(ts.MkAbs(file))))
	}
	ts.Fatalf("it always ended before it was killed")
}

// program runs beside the script.
type program struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan error
}

// startUntil starts a program, with a pipe as standard input, and returns at a moment or when it ends: once a file has some lines (FILE:N), once
// the program has computed for a while (computes) or a process of its own has (worker), or once nothing in any of them runs any more (waits).
func startUntil(ts *testscript.TestScript, when string, args []string) *program {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	p := &program{cmd: exec.Command(path, args[1:]...), ended: make(chan error, 1)}
	p.cmd.Dir, p.cmd.Env = ts.MkAbs("."), os.Environ()
	for _, name := range []string{"APEXX_ORT_LIB", "APEXX_WORKER_TENSORRT", "ENGINES", "FAULT"} {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	p.cmd.Stdout, p.cmd.Stderr = ts.Stdout(), &p.stderr
	_, err = p.cmd.StdinPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	go func() { p.ended <- p.cmd.Wait() }()
	reached := momentOf(ts, when, p.cmd.Process.Pid)
	for end := time.Now().Add(patience); !reached() && len(p.ended) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.cmd.Process.Kill()
			ts.Fatalf("%s never came; it said: %s", when, &p.stderr)
		}
	}
	return p
}

// endsWith waits until the program ends with the code of an interruption and such a text. again, if any, is done now and then until it does.
func (p *program) endsWith(ts *testscript.TestScript, want string, again ...func()) {
	var err error
	for end, over := time.Now().Add(patience), false; !over; {
		select {
		case err = <-p.ended:
			over = true
		case <-time.After(2 * echo):
			for _, do := range again {
				do()
			}
			if time.Now().After(end) {
				p.cmd.Process.Kill()
			}
		}
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 || p.stderr.String() != want {
		ts.Fatalf("ended with %v, want exit code 130; it said: %s", err, &p.stderr)
	}
}

// computed is how long a program has to have computed to be in the midst of it: far more than it takes to start one.
const computed = 200 * time.Millisecond

// momentOf returns what tells whether the moment has come. Without /proc computing and waiting cannot be seen, and a second has to do.
func momentOf(ts *testscript.TestScript, when string, pid int) func() bool {
	begin, still := time.Now(), 0
	file, text, lines := strings.Cut(when, ":")
	n, err := strconv.Atoi(text)
	switch {
	case lines && err == nil:
		return func() bool {
			data, _ := os.ReadFile(ts.MkAbs(file)) // there is none at first
			return bytes.Count(data, []byte("\n")) >= n
		}
	case !exists("/proc/self/stat"):
		return func() bool { return time.Since(begin) > time.Second }
	case when == "computes":
		return func() bool { return processorTime(pid) > computed }
	case when == "worker":
		return func() bool {
			for _, child := range descendants(pid)[1:] {
				if processorTime(child) > computed {
					return true
				}
			}
			return false
		}
	case when == "waits":
		return func() bool {
			if still++; anyRuns(pid) {
				still = 0
			}
			return still > 100
		}
	}
	ts.Fatalf("unknown moment %s: want FILE:N, computes, worker or waits", when)
	return nil
}

// procStat returns the fields of a stat file of /proc from the state on; none once the process or thread is gone.
func procStat(path string) []string {
	text, _ := os.ReadFile(path)
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// processorTime returns what a process has used, in user and in system mode, by the hundredths of a second in which Linux tells it.
func processorTime(pid int) time.Duration {
	fields := procStat("/proc/" + strconv.Itoa(pid) + "/stat")
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// descendants returns a process and all that it and its children have started.
func descendants(pid int) []int {
	children := map[string][]int{}
	found, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range found {
		if fields := procStat(path); len(fields) > 1 {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			children[fields[1]] = append(children[fields[1]], child)
		}
	}
	family := []int{pid}
	for i := 0; i < len(family); i++ {
		family = append(family, children[strconv.Itoa(family[i])]...)
	}
	return family
}

// anyRuns tells whether a thread of a process or of its descendants runs, waits for its turn or for a disk: neither sleeps nor is stopped.
func anyRuns(pid int) bool {
	for _, p := range descendants(pid) {
		threads, _ := filepath.Glob("/proc/" + strconv.Itoa(p) + "/task/*/stat")
		for _, path := range threads {
			if fields := procStat(path); len(fields) > 0 && fields[0] != "S" && fields[0] != "T" {
				return true
			}
		}
	}
	return false
}
