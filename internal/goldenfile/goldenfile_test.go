package goldenfile

import (
	"os"
	"testing"
)

// failing notes what a test would have been told.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper()               {}
func (f *failing) Errorf(string, ...any) { f.failed = true }
func (f *failing) Fatal(...any)          { f.failed = true; panic(f) }

func fails(check func(tb testing.TB)) bool {
	f := &failing{}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(f) {
				panic(r)
			}
		}()
		check(f)
	}()
	return f.failed
}

func TestCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(tb testing.TB) { Check(tb, "folder/name.txt", "text\n") }
	if !fails(write) {
		t.Error("a file that is not there passes")
	}
	*Update = true
	failed := fails(write)
	*Update = false
	if failed {
		t.Error("-update fails")
	}
	if fails(write) || fails(func(tb testing.TB) { Check(tb, "folder/name.txt", []byte("text\n")) }) {
		t.Error("what -update wrote does not pass")
	}
	if !fails(func(tb testing.TB) { Check(tb, "folder/name.txt", "text") }) {
		t.Error("another text passes")
	}
	if _, err := os.Stat("testdata/folder/name.txt"); err != nil {
		t.Error(err)
	}
}
