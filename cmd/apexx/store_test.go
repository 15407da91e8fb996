package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/apex-x/apexx/internal/journal"
)

func countLines(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got := bytes.Count([]byte(ts.ReadFile(args[0])), []byte("\n")); (got == want) == neg {
		ts.Fatalf("%s has %d lines, want %d", args[0], got, want)
	}
}

// busy holds the folder as another process does; the lock does not tell a process from another opener.
func busy(ts *testscript.TestScript, neg bool, args []string) {
	j, _, err := journal.Open(ts.MkAbs(args[0]), "other.jsonl")
	ts.Check(err)
	defer j.Close()
	if args[1] != "status" {
		ts.Fatalf("busy DIR status …")
	}
	status(ts, neg, args[2:])
}

// killed ends a program without a warning.
func killed(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	cmd := exec.Command(path, args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	ts.Check(cmd.Start())
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(ts.MkAbs(args[1])) // there is none at first
		if bytes.Count(text, []byte("\n")) >= want || time.Now().After(end) {
			break
		}
	}
	ts.Check(cmd.Process.Kill())
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		ts.Fatalf("it ended before it was killed: %v: %s", err, &said)
	}
}

// fillDisk leaves some bytes of a file system free.
func fillDisk(ts *testscript.TestScript, _ bool, args []string) {
	free, err := strconv.Atoi(args[1])
	ts.Check(err)
	path := ts.MkAbs(args[0])
	f, err := os.Create(path)
	ts.Check(err)
	size, block := int64(0), make([]byte, 4096)
	for err == nil {
		var n int
		n, err = f.Write(block)
		size += int64(n)
	}
	ts.Check(f.Truncate(max(0, size-int64(free))))
	ts.Check(f.Close())
	ts.Logf("%s has %d bytes", filepath.Base(path), size-int64(free))
}
