package testenv

import (
	"os"
	"testing"
)

func TestClean(t *testing.T) {
	for _, name := range []string{"GIT_DIR", "GITHUB_ACTIONS", "MAKEFLAGS", "BASE", "LANG"} {
		t.Setenv(name, "x")
	}
	path := os.Getenv("PATH")
	t.Run("within", func(t *testing.T) {
		Clean(t)
		for _, name := range []string{"GIT_DIR", "GITHUB_ACTIONS", "MAKEFLAGS", "BASE", "LANG"} {
			if value, there := os.LookupEnv(name); there {
				t.Errorf("%s is %q", name, value)
			}
		}
		if os.Getenv("PATH") != path || os.Getenv("LC_ALL") != "C" {
			t.Errorf("PATH is %q, LC_ALL %q", os.Getenv("PATH"), os.Getenv("LC_ALL"))
		}
	})
	if os.Getenv("GIT_DIR") != "x" || os.Getenv("LANG") != "x" {
		t.Error("the variables did not come back")
	}
}
