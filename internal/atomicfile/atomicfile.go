// Package atomicfile writes files that are either complete or absent.
//
// The content goes to a temporary name in the target's own folder, is synced to disk, and takes the target's name by a
// rename; then the folder is synced. A reader sees the old file or the new one, never a part. When anything fails, the
// temporary file is removed and an existing target keeps its old content.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// WriteFile replaces the file at path by what write produces. A new file gets perm less the umask; an existing one keeps
// its permissions, and a symbolic link keeps pointing to its target, which is the file replaced. Devices and pipes, such
// as /dev/stdout, cannot be renamed onto and are written in place.
//
// The writer handed to write is buffered. The error names path and wraps its cause: write's own error, or the operating
// system's (test for a full disk with errors.Is(err, syscall.ENOSPC)).
func WriteFile(path string, perm fs.FileMode, write func(io.Writer) error) error {
	err := writeTo(path, perm, write)
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("write %s: %w; free some space or choose another folder", path, err)
	}
	return fmt.Errorf("write %s: %w", path, err)
}

// WriteBytes is WriteFile for content that is already in memory.
func WriteBytes(path string, perm fs.FileMode, data []byte) error {
	return WriteFile(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// writeTo picks the way of writing that suits what path names now.
func writeTo(path string, perm fs.FileMode, write func(io.Writer) error) error {
	if path == "" {
		return errors.New("the file name is empty")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return replace(path, perm, false, write)
	case err != nil:
		return bare(err)
	case info.IsDir():
		return errors.New("it is a folder; name a file in it")
	case !info.Mode().IsRegular():
		return inPlace(path, write)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return bare(err)
	}
	return replace(target, info.Mode().Perm(), true, write)
}

// replace writes a temporary file beside target and renames it. With exact set, perm is applied as it is, past the umask.
func replace(target string, perm fs.FileMode, exact bool, write func(io.Writer) error) (err error) {
	file, err := createTemp(target, perm)
	if err != nil {
		return bare(err)
	}
	renamed := false
	defer func() { // also when write panics
		file.Close()
		if !renamed {
			os.Remove(file.Name())
		}
	}()
	if exact {
		if err := file.Chmod(perm); err != nil {
			return bare(err)
		}
	}
	if err := writeBuffered(file, write); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return bare(err)
	}
	if err := file.Close(); err != nil { // some file systems report a full disk only here
		return bare(err)
	}
	if err := os.Rename(file.Name(), target); err != nil {
		return bare(err)
	}
	renamed = true
	return bare(SyncDir(filepath.Dir(target)))
}

// inPlace writes to a device or pipe, which has no content to protect.
func inPlace(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return bare(err)
	}
	defer file.Close()
	return writeBuffered(file, write)
}

// writeBuffered runs write on a buffer over file and flushes it.
func writeBuffered(file *os.File, write func(io.Writer) error) error {
	buffer := bufio.NewWriterSize(bareWriter{file}, 1<<16)
	if err := write(buffer); err != nil {
		return err
	}
	return buffer.Flush()
}

// bareWriter reports the cause of a failed write alone: write may wrap it, and the file's name is a temporary one.
type bareWriter struct{ file *os.File }

func (w bareWriter) Write(data []byte) (int, error) {
	n, err := w.file.Write(data)
	return n, bare(err)
}

// bare strips the operation and the (often temporary) names from an error of package os: WriteFile's error names path.
func bare(err error) error {
	switch err := err.(type) {
	case *fs.PathError:
		return err.Err
	case *os.LinkError:
		return err.Err
	}
	return err
}

// createTemp opens a new hidden file beside target. os.CreateTemp would fix the mode at 0600; here the umask applies.
func createTemp(target string, perm fs.FileMode) (*os.File, error) {
	dir, base := filepath.Split(target)
	if len(base) > 200 { // leave room for the suffix below the usual limit of 255 bytes
		base = base[:200]
	}
	for attempt := 0; ; attempt++ {
		name := dir + "." + base + "." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if err == nil || !errors.Is(err, fs.ErrExist) || attempt == 100 {
			return file, err
		}
	}
}

// SyncDir makes durable what was made or renamed in a folder. Windows and some network file systems cannot sync a folder; what
// was done stands anyway.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(dir)
	if err != nil {
		return nil // a folder may allow writing and not reading
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
