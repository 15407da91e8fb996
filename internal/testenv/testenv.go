// Package testenv keeps tests that run other programs, such as git, make and the scripts of .ci, apart from where they themselves run: under make,
// in a hook of git, on a CI system, in another language.
package testenv

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// kept are the variables that programs need to be found and to work, and by prefix those of the Go toolchain and of its C compiler.
var (
	kept         = []string{"PATH", "HOME", "TMPDIR", "USER", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "CC"}
	keptPrefixes = []string{"GO", "CGO_"}
)

// Clean leaves this process, until the test ends, with the variables that any program needs. Git then knows no repository and no settings but those
// of the folder that it is called in, and speaks English. As Setenv it is not for parallel tests.
func Clean(t testing.TB) {
	t.Helper()
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if slices.Contains(kept, name) || slices.ContainsFunc(keptPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		t.Setenv(name, value) // to have it back
		os.Unsetenv(name)
	}
	t.Setenv("LC_ALL", "C")
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
}
