//go:build cuda

// Command apexx-cuda is the worker of the backend cuda: it serves apexx, which starts it, on standard input and output. It is an executable of its
// own because it needs NVIDIA's driver, and apexx does not. Build it with make cuda.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/cuda/driver"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/exit"
)

func main() {
	if err := worker.ServeStdio(context.Background(), cuda.New(driver.New())); err != nil {
		fmt.Fprintln(os.Stderr, "apexx-cuda:", err)
		os.Exit(exit.Internal)
	}
}
