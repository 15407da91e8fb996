package execute

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/backendtest/toydevice"
)

// children lists the processes of this one, those that nobody has waited for included.
func children() (all []string) {
	lists, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is well-formed
	for _, path := range lists {
		text, _ := os.ReadFile(path) // nothing for a thread that has just ended
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

// TestAskLeavesNothing asks a worker what it can do, after which no process of it computes beside what is timed next.
func TestAskLeavesNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "apexx-"+toydevice.Name)
	if err := os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\nexec '%s' %s --backend %s\n", self, WorkerCommand, toydevice.Name), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("APEXX_WORKER_"+strings.ToUpper(toydevice.Name), program)
	before := children()
	if a := ask(t.Context(), toydevice.Name); !a.Available || len(a.Facts) == 0 {
		t.Errorf("%+v", a)
	}
	for _, pid := range children() {
		if !slices.Contains(before, pid) {
			t.Errorf("process %s is left", pid)
		}
	}
}
