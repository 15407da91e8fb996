// Command apexx runs the Apex-X model on several execution backends and proves that they compute the same thing.
//
//	apexx run       one backend on pictures or tensors: detections, overlays, every output
//	apexx matrix    several backends against each other over many cases, with a report
//	apexx sweep     how fast backends are, over shapes, batches, precisions and scopes
//	apexx gate      refuse a change that makes any backend wrong or slower
//	apexx baseline  what a class of machines is expected to reach: record, show, compare
//	apexx trend     the history of measurements, what changed it, and the ratchet against the last release
//	apexx export    the model as one ONNX file with a manifest
//	apexx caps      what this machine can run, and why not the rest
//	apexx env       where measurements are made here: hardware, versions, GPUs, class of machines
//	apexx config    show or validate a configuration
//	apexx version   versions of the program and of what it is built from
//
// Every command ends with an exit code of the table in package exit. Results go to standard output or files, progress and
// errors to standard error.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
