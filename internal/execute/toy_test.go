package execute

import (
	"os"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest/toydevice"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// TestToyDeviceInAMatrix compares a backend that pretends to be a device with the reference, in this process and in a worker: every cell
// passes, every intermediate is compared, and the record says what was executed where.
func TestToyDeviceInAMatrix(t *testing.T) {
	c := fakeCase(t)
	c.Image = noise(4, 1, 3, 128, 128)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	isolated := worker.Spec{Name: toydevice.Name, Command: []string{self, WorkerCommand, "--backend", toydevice.Name}}
	for name, toy := range map[string]backends.Backend{"in process": toydevice.New(), "in a worker": worker.New(isolated)} {
		t.Run(name, func(t *testing.T) {
			r := &MatrixRunner{Cases: map[string]Subject{"c": c}, Taps: true, Open: func(name string) (backends.Backend, error) {
				if name == toydevice.Name {
					return toy, nil
				}
				return Open(name, Options{})
			}}
			columns := []parity.Column{{Backend: "reference", Precision: backends.FP64}, {Backend: "reference", Precision: backends.FP32}, {Backend: toydevice.Name, Precision: backends.FP32}}
			m, err := parity.Run(t.Context(), parity.MatrixSpec{Cases: []parity.Case{ParityCase(c)}, Columns: columns, Runner: r, Replayer: r})
			if err != nil {
				t.Fatal(err)
			}
			for _, cell := range m.Cells {
				if cell.State != evidence.Pass {
					t.Errorf("%v is %s: %s", cell.Pair, cell.State, cell.Detail)
				}
			}
			e := m.Executions[len(m.Executions)-1]
			if p := e.Plan; p == nil || p.Nodes[backends.Native] == 0 || p.Nodes[backends.Fallback] == 0 || e.DevBytes == 0 {
				t.Errorf("the record of the device: %+v, plan %+v", e, p)
			}
		})
	}
}
