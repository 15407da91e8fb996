// Command apexx runs the Apex-X model on several execution backends and proves that they compute the same thing.
//
//	apexx run       one backend on pictures, tensors or the frames of a sequence: detections, tracks, overlays, every output
//	apexx matrix    several backends against each other over many cases, with a report
//	apexx eval      how good detections and masks are on a data set, and what a precision costs
//	apexx sweep     how fast backends are, over shapes, batches, precisions and scopes
//	apexx gate      refuse a change that makes any backend wrong or slower
//	apexx baseline  what a class of machines is expected to reach: record, show, compare
//	apexx trend     the history of measurements, what changed it, and the ratchet against the last release
//	apexx export    the model as one ONNX file with a manifest
//	apexx calibrate the ranges of values that int8 and fp8 need
//	apexx plan      how a backend executes the model, step by step, and how long each step takes
//	apexx replay    what the released model comes from: record it, and check that it comes out again
//	apexx attest    the evidence of a release as a signed statement, and its verification
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
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go obey(signals, cancel)
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// echo is how long one wish to end may go on arriving: timeout(1) signals the program and then its process group.
const echo = 200 * time.Millisecond

// obey lets the first signal end the command in order, and the second one end the program at once, whatever it waits for.
func obey(signals <-chan os.Signal, cancel context.CancelFunc) {
	<-signals
	first := time.Now()
	cancel()
	input.Interrupt()
	for range signals {
		if time.Since(first) > echo {
			fmt.Fprintln(os.Stderr, "apexx: ended at once by a second signal")
			os.Exit(exit.Interrupted)
		}
	}
}
