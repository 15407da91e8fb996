// Package input opens the files that a user names, and only what a file of that kind can be.
//
// A name may lead anywhere: to a pipe that never ends or never begins, to a device, to gigabytes. Open looks before it opens, never
// waits, holds every kind of file to its own size, and knows what people give by mistake: a compressed file, a pointer of Git LFS
// instead of the file, text with a byte order mark.
package input

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/apex-x/apexx/internal/printable"
)

// Kind is what a file is read as.
type Kind struct {
	Name string // with its article: "a configuration"
	Max  int64  // size in bytes
	text bool   // a byte order mark is no part of it
}

// The kinds of files that apexx reads. Their sizes are some times the largest that use makes of them; what a file asks to be
// allocated is bounded where it is decoded.
var (
	Configuration = Kind{"a configuration", 1 << 20, true}
	CaseSettings  = Kind{"the settings of a case", 1 << 20, true}
	Calibration   = Kind{"a calibration", 4 << 20, true}
	Baseline      = Kind{"a baseline", 16 << 20, true}
	Record        = Kind{"a record of measurements", 128 << 20, true}
	Journal       = Kind{"the log of a sweep", 512 << 20, true}
	Tracks        = Kind{"a file of tracks", 256 << 20, true}
	Annotations   = Kind{"an annotation file", 16 << 30, true}
	Picture       = Kind{"a picture", 256 << 20, false}
	Model         = Kind{"an ONNX model", 2 << 30, false} // the limit of the format, which is that of protocol buffers
	Library       = Kind{"a library", 8 << 30, false}
	Tensors       = Kind{"a tensor file", 256 << 30, false}
)

// Open opens a regular file of at most k.Max bytes for reading, at its beginning. It does not wait for a pipe to be written to.
// Every error names the path and is one line: the file cannot be opened (wraps the cause, such as fs.ErrNotExist), is no regular
// file, is too large, or is disguised.
func Open(path string, k Kind) (*os.File, error) {
	f, err := k.open(path, false)
	if err != nil {
		return nil, err
	}
	head := make([]byte, len(lfsPointer))
	n, err := f.ReadAt(head, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil {
		err = k.unmask(path, head[:n])
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read returns the content of a file that Open accepts, or of an open pipe: standard input by its name, or what a shell makes of
// <(…). The content may not grow beyond the limit meanwhile. After Interrupt the error of a pipe is context.Canceled.
func Read(path string, k Kind) ([]byte, error) {
	data, err := k.read(path)
	if err != nil {
		return nil, err
	}
	return data, k.unmask(path, data)
}

// ReadRecord is Read of a Record that may be gzip-compressed, whatever its name: it returns what was packed, which is held to the same size.
func ReadRecord(path string) ([]byte, error) {
	data, err := Record.read(path)
	if err == nil && compressed(data) {
		data, err = Record.unpack(path, data)
	}
	if err != nil {
		return nil, err
	}
	return data, Record.unmask(path, data)
}

// unpack returns the content of a gzip file.
func (k Kind) unpack(path string, packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%s is gzip-compressed and damaged: %w", printable.Line(path), err)
	}
	data, err := io.ReadAll(io.LimitReader(z, k.Max+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is gzip-compressed and damaged: %w", printable.Line(path), err)
	case int64(len(data)) > k.Max:
		return nil, fmt.Errorf("%s is gzip-compressed, and what is in it is larger than the %s that %s may have", printable.Line(path), size(k.Max), k.Name)
	}
	return data, nil
}

// read returns the bytes of a file or an open pipe, whatever they are.
func (k Kind) read(path string) ([]byte, error) {
	f, err := k.open(path, true)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer interruptible(f)()
	data, err := io.ReadAll(io.LimitReader(f, k.Max+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, context.Canceled
	case err != nil:
		return nil, err
	case int64(len(data)) > k.Max:
		return nil, k.tooLarge(path)
	}
	return data, nil
}

// open opens a regular file, or with pipes set an open pipe, without waiting.
func (k Kind) open(path string, pipes bool) (*os.File, error) {
	pipes = pipes && isDescriptor(path)
	info, err := os.Stat(path) // a device may act on being opened
	if err != nil {
		return nil, named(err)
	}
	if err := k.check(path, info, pipes); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, named(err)
	}
	info, err = f.Stat() // another file may have taken its place
	if err == nil {
		err = k.check(path, info, pipes)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// named makes the name in an error of package os fit to be printed.
func named(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return &fs.PathError{Op: p.Op, Path: printable.Line(p.Path), Err: p.Err}
	}
	return err
}

// isDescriptor tells the names of a process's own open files from those of the file system.
func isDescriptor(path string) bool {
	path = filepath.Clean(path)
	return path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
}

func (k Kind) check(path string, info fs.FileInfo, pipes bool) error {
	switch mode := info.Mode(); {
	case pipes && mode&fs.ModeNamedPipe != 0:
		return nil
	case mode.IsRegular() && info.Size() > k.Max:
		return k.tooLarge(path)
	case !mode.IsRegular():
		return fmt.Errorf("%s is %s; want %s in a regular file", printable.Line(path), describe(mode), k.Name)
	}
	return nil
}

func (k Kind) tooLarge(path string) error {
	return fmt.Errorf("%s is larger than the %s that %s may have", printable.Line(path), size(k.Max), k.Name)
}

func size(bytes int64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%d GiB", bytes>>30)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

func describe(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "no file with content"
}

const lfsPointer = "version https://git-lfs.github.com/spec/"

// unmask recognises by its first bytes what is not the file that was meant.
func (k Kind) unmask(path string, head []byte) error {
	path = printable.Line(path)
	marked := func(mark string) bool { return k.text && bytes.HasPrefix(head, []byte(mark)) }
	switch {
	case bytes.HasPrefix(head, []byte(lfsPointer)):
		return fmt.Errorf("%s is a Git LFS pointer, not %s; get the file with git lfs pull", path, k.Name)
	case compressed(head):
		return fmt.Errorf("%s is gzip-compressed; want %s as it is, so gunzip it first", path, k.Name)
	case marked("\xef\xbb\xbf"):
		return fmt.Errorf("%s begins with a byte order mark; save it as UTF-8 without one", path)
	case marked("\xff\xfe"), marked("\xfe\xff"):
		return fmt.Errorf("%s is UTF-16 text; save it as UTF-8", path)
	}
	return nil
}

// compressed tells a member of a gzip file by its fixed bytes (RFC 1952, 2.3): the magic number and deflate, no reserved flag, and one
// of the values of XFL. The last tells it from a tensor file whose header happens to have that length: there a brace follows.
func compressed(head []byte) bool {
	return len(head) >= 10 && bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}) && head[3]&0xe0 == 0 && bytes.IndexByte([]byte{0, 2, 4}, head[8]) >= 0
}
