package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

func TestLook(t *testing.T) {
	dir := os.Getenv("APEXX_LOOK")
	if dir == "" {
		t.Skip("APEXX_LOOK names no folder")
	}
	for _, o := range synthetic.Outcomes {
		sub := filepath.Join(dir, "gate-"+string(o))
		os.MkdirAll(sub, 0o755)
		if _, err := WriteGateDir(sub, synthetic.Gate(1, o)); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]func(string) error{
		"gate-hostile":  func(d string) error { _, err := WriteGateDir(d, synthetic.HostileGate(1)); return err },
		"sweep":         func(d string) error { _, err := WriteSweepDir(d, synthetic.Sweep(1)); return err },
		"sweep-hostile": func(d string) error { _, err := WriteSweepDir(d, synthetic.HostileSweep(1)); return err },
	} {
		sub := filepath.Join(dir, name)
		os.MkdirAll(sub, 0o755)
		if err := f(sub); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	GateTable(&b, synthetic.Gate(1, gate.ParityFailed), TableOptions{Width: 120})
	GateTable(&b, synthetic.Gate(1, gate.ParityFailed), TableOptions{Width: 80})
	GateTable(&b, synthetic.HostileGate(1), TableOptions{Width: 80})
	os.WriteFile(filepath.Join(dir, "table.txt"), b.Bytes(), 0o644)
}
