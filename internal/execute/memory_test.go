package execute

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/env"
)

func TestMemoryLimit(t *testing.T) {
	for _, name := range backends.Known {
		limited := name == "reference" || name == "ort"
		got := MemoryLimit(name)
		if limited && got < env.Memory() || !limited && got != 0 || (got > 0) != (limited && runtime.GOOS == "linux") {
			t.Errorf("%s: %d bytes", name, got)
		}
	}
}

// TestOutOfMemory has real workers run a cell that fits its limit and one that does not, which ends alone.
func TestOutOfMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory limits of workers need Linux")
	}
	small := fakeCase(t)
	large := &source.Case{Input: source.Input{Name: "large", Image: tensor.New(tensor.Float32, 1, 3, 4096, 4096)}, Model: small.Model, Decode: model.DefaultDecode()}
	r := &MatrixRunner{Cases: map[string]Subject{"c": small, "large": large}, Open: func(name string) (backends.Backend, error) {
		s := WorkerSpec(name, 10*time.Minute)
		s.MemoryLimit = 1 << 30
		return worker.New(s), nil
	}}
	for _, name := range InProcess().Names() {
		b, err := Open(name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if a := b.Probe(context.Background()); !a.Available {
			t.Logf("%s is unavailable: %s: %s", name, a.Reason, a.Detail)
			continue
		}
		for _, c := range []string{"large", "c"} {
			start := time.Now()
			e := r.Execute(context.Background(), &parity.Case{Name: c}, name, backends.FP32)
			t.Log(name, c, time.Since(start), e.State, e.Signal, e.Reason, e.Detail)
			if c == "c" && e.State != evidence.Measured {
				t.Errorf("%s, what fits: %s, %s", name, e.State, e.Detail)
			}
			if said := strings.ToLower(e.Signal + e.Detail); c == "large" && (e.State == evidence.Measured || !strings.Contains(said, "memory") && !strings.Contains(said, "alloc")) {
				t.Errorf("%s, what does not fit: %s, %s, %s", name, e.State, e.Signal, e.Detail)
			}
		}
	}
}
