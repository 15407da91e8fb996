package backendtest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest/toydevice"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/worker"
)

// serveVariable makes the test binary a worker of the backend that it names.
const serveVariable = "APEXX_TEST_SERVE"

func TestMain(m *testing.M) {
	name := os.Getenv(serveVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	b, err := backends.NewRegistry(reference.New(), ort.New(), toydevice.New()).Get(name)
	if err == nil {
		err = worker.ServeStdio(context.Background(), b)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(6)
	}
	os.Exit(0)
}

// specOf tells how to start the test binary as a worker.
func specOf(t *testing.T, backend string) worker.Spec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return worker.Spec{Name: backend, Command: []string{self}, Env: []string{serveVariable + "=" + backend}}
}

// startWorker returns a worker whose sessions share a process.
func startWorker(t *testing.T, backend string) *worker.Worker {
	t.Helper()
	w, err := worker.Start(t.Context(), specOf(t, backend))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}
