//go:build cgo && linux

package cover

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/cuda/emulation"
	"github.com/apex-x/apexx/kernels"
)

// TestChoose holds what the subjects launch on a generation of devices against the kernels that were compiled: on the newest, all of them. Each subject
// has a kernel that no other before it has.
func TestChoose(t *testing.T) {
	compiled, err := emulation.Open("../../../kernels")
	if errors.Is(err, emulation.ErrNoCompiler) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		device kernels.Device
		never  string // part of the names of kernels that such a device has no use for
	}{
		{"H100 and H200", kernels.Device{Multiprocessors: 132, Capability: 90}, "none"},
		{"A100", kernels.Device{Multiprocessors: 108, Capability: 80}, "_sm90_"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := Choose(t.Context(), c.device)
			if err != nil {
				t.Fatal(err)
			}
			left := slices.DeleteFunc(compiled.Kernels(), func(name string) bool { return strings.Contains(name, c.never) })
			for _, s := range list {
				for _, name := range s.Kernels {
					i := slices.Index(left, name)
					if i < 0 {
						t.Fatalf("%s launches %s, which does not exist or was launched before", s.Name, name)
					}
					left = slices.Delete(left, i, i+1)
				}
			}
			if len(left) > 0 {
				t.Errorf("no subject launches %s", strings.Join(left, ", "))
			}
		})
	}
}
