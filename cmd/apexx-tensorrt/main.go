//go:build tensorrt

// Command apexx-tensorrt is the worker of the backend tensorrt: it serves apexx, which starts it, on standard input and output. It is an executable of its own
// because it needs NVIDIA's driver and TensorRT, and apexx does not. Build it with make tensorrt.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/backends/tensorrt/driver"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/exit"
)

func main() {
	driver.Relaunch()
	if err := worker.ServeStdio(context.Background(), tensorrt.New(driver.New())); err != nil {
		fmt.Fprintln(os.Stderr, "apexx-tensorrt:", err)
		os.Exit(exit.Internal)
	}
}
