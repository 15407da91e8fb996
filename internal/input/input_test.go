package input

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// small is a kind whose limit a test can reach.
var small = Kind{"a configuration", 1 << 20, true}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadGivesTheWholeFile(t *testing.T) {
	for _, content := range []string{"", "a", "version: 1\n", "\x1f\x8b", strings.Repeat("x", 1<<20)} {
		got, err := Read(write(t, content), small)
		if err != nil || string(got) != content {
			t.Errorf("%d bytes: got %d, %v", len(content), len(got), err)
		}
	}
	f, err := Open(write(t, "abc"), small)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "abc" {
		t.Errorf("Open leaves %q to read, %v", got, err)
	}
}

func gzipped(t *testing.T) string { return pack(t, "model: {}\n") }

func pack(t *testing.T, content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestContentThatWasNotMeant(t *testing.T) {
	lfs := "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
	for name, tt := range map[string]struct {
		content string
		kind    Kind
		want    string // after the path
	}{
		"too large":      {strings.Repeat("x", 1<<20+1), small, " is larger than the 1 MiB that a configuration may have"},
		"LFS":            {lfs, Tensors, " is a Git LFS pointer, not a tensor file; get the file with git lfs pull"},
		"gzip":           {gzipped(t), Record, " is gzip-compressed; want a record of measurements as it is, so gunzip it first"},
		"gzip, binary":   {gzipped(t), Tensors, " is gzip-compressed; want a tensor file as it is, so gunzip it first"},
		"UTF-8 mark":     {"\ufeffmodel: {}\n", small, " begins with a byte order mark; save it as UTF-8 without one"},
		"UTF-16 little":  {"\xff\xfem\x00", small, " is UTF-16 text; save it as UTF-8"},
		"UTF-16 big":     {"\xfe\xff\x00m", small, " is UTF-16 text; save it as UTF-8"},
		"no mark at all": {"\xff\xfe", Tensors, ""},
		// The length of a header may be the number that begins a gzip file or UTF-16 text.
		"header of 0x088b1f": {"\x1f\x8b\x08\x00\x00\x00\x00\x00{\"a\":", Tensors, ""},
		"header of 0xfeff":   {"\xff\xfe\x00\x00\x00\x00\x00\x00{\"a\":", Tensors, ""},
	} {
		path := write(t, tt.content)
		_, err := Read(path, tt.kind)
		if got := strings.TrimPrefix(errorText(err), path); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// A record is read as it is or packed; what is packed is held to the same rules.
func TestReadRecord(t *testing.T) {
	twice := pack(t, gzipped(t))
	for name, tt := range map[string]struct {
		content, got, want string // want after the path
	}{
		"plain":       {"model: {}\n", "model: {}\n", ""},
		"packed":      {gzipped(t), "model: {}\n", ""},
		"cut":         {gzipped(t)[:20], "", " is gzip-compressed and damaged: unexpected EOF"},
		"only a head": {gzipped(t)[:10], "", " is gzip-compressed and damaged: unexpected EOF"},
		"flipped":     {gzipped(t)[:len(gzipped(t))-5] + "xxxxx", "", " is gzip-compressed and damaged: gzip: invalid checksum"},
		"twice":       {twice, gzipped(t), " is gzip-compressed; want a record of measurements as it is, so gunzip it first"},
	} {
		path := write(t, tt.content)
		got, err := ReadRecord(path)
		if text := strings.TrimPrefix(errorText(err), path); text != tt.want || string(got) != tt.got {
			t.Errorf("%s: got %q, %q, want %q, %q", name, got, text, tt.got, tt.want)
		}
	}
	if _, err := small.unpack("bomb", []byte(pack(t, strings.Repeat("x", 1<<20+1)))); errorText(err) != "bomb is gzip-compressed, and what is in it is larger than the 1 MiB that a configuration may have" {
		t.Errorf("more than a record may have: %v", err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWhatIsNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	zero := filepath.Join(dir, "zero")
	if err := os.Symlink("/dev/zero", zero); err != nil {
		t.Skip(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:  dir + " is a folder; want a configuration in a regular file",
		zero: zero + " is a device; want a configuration in a regular file",
	} {
		if _, err := Read(path, small); errorText(err) != want {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
	if _, err := Read("no\n::error::x\xff", small); errorText(err) != `stat no\n::error::x\xff: no such file or directory` || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a name that is no line: %v", err)
	}
	if _, err := Read(loop, small); err == nil || !strings.Contains(err.Error(), loop) {
		t.Errorf("a link to itself: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "none"), small); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
}
