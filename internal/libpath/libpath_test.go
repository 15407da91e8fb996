package libpath

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestOwnFolders(t *testing.T) {
	for _, tt := range []struct{ got, want []string }{
		{Upwards("/a/b"), []string{"/a/b/.deps", "/a/.deps", "/.deps"}},
		{Upwards("/"), []string{"/.deps"}},
		{Beside("/a/b/apexx"), []string{"/a/b/.deps"}},
		{Beside("/a/.bin/apexx"), []string{"/a/.bin/.deps", "/a/.deps"}},
		{Beside("/.bin/apexx"), []string{"/.bin/.deps", "/.deps"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%v, want %v", tt.got, tt.want)
		}
	}
	if exe := Executable(); !filepath.IsAbs(exe) {
		t.Errorf("the program is %q", exe)
	}
}

func TestLoader(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "x.conf")
	if err := os.WriteFile(conf, []byte("# comment\n/opt/x\n  /opt/y\ninclude z\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := Loader("/first::/second", conf)
	if want := []string{"/first", "/second", "/opt/x", "/opt/y", "/usr/local/lib"}; !slices.Equal(got[:5], want) {
		t.Errorf("loader folders %v, want %v first", got, want)
	}
}

// TestGlob: a folder's name is no pattern.
func TestGlob(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[1]*")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "lib.so.1"), filepath.Join(dir, "lib.so.2")}
	for _, file := range want {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := Glob(dir, "lib.so.*"); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
