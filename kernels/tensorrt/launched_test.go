//go:build cgo && linux

package tensorrt

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends/cuda/emulation"
)

// TestEveryKernel: the subjects launch each kernel that a plugin launches, so that a tool that watches them on a device sees all.
func TestEveryKernel(t *testing.T) {
	if os.Getenv(pluginsVariable) != "" {
		t.Skip("the emulation alone tells what was launched")
	}
	path, left := built(t), launchedByPlugins(t)
	l := opened(t, path)
	for _, s := range subjects(t) {
		for _, at := range layouts {
			if len(left) == 0 {
				return
			}
			operands := make([]Tensor, len(s.inputs))
			for i, x := range s.inputs {
				how := layout{"", Float, Linear}
				if slices.Contains(s.maps, i) && (at.format != HWC8 || x.Rank() == 4) {
					how = at
				}
				operands[i] = operand(x, how)
			}
			if _, err := l.Run(s.plugin, s.values, operands, Options{}); err != nil {
				continue // a layout that the plugin does not take
			}
			seen, err := emulation.Launched(path, left)
			if err != nil {
				t.Fatal(err)
			}
			left = slices.DeleteFunc(left, func(name string) bool { return slices.Contains(seen, name) })
		}
	}
	if len(left) > 0 {
		t.Errorf("no subject launches %q", left)
	}
}

// launchedByPlugins are the kernels that the sources of the plugins name.
func launchedByPlugins(t *testing.T) []string {
	t.Helper()
	sources, err := filepath.Glob("*.h")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`(?m)^ .*APEXX_LAUNCH\(\w+, (\w+),`)
	var names []string
	for _, file := range sources {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	if len(names) < 15 {
		t.Fatalf("only %q are launched by name: has the macro another name?", names)
	}
	return names
}
