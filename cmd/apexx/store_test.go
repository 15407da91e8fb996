package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

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
