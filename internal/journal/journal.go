// Package journal keeps a log of JSON objects, one a line, that survives whatever ends its writer.
//
// A line is complete and on disk before Append returns. A line that an interruption tore is dropped at the next Open, and one
// that could not be written whole, such as on a full disk, is taken back. A journal belongs to one process at a time.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/filelock"
	"github.com/apex-x/apexx/internal/input"
)

// Journal is an open log.
type Journal struct {
	path string
	file *os.File
	size int64 // of the complete lines
	lock *os.File
}

// ErrBusy says that another process writes to the folder.
var ErrBusy = errors.New("another process is writing to it")

// Open opens or makes the log NAME in a folder, which is made too, and returns its complete lines. The folder belongs to this
// process until Close; where another has it, the error wraps ErrBusy.
func Open(dir, name string) (_ *Journal, lines [][]byte, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	j := &Journal{path: filepath.Join(dir, name)}
	if j.lock, err = lockFolder(dir); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			j.Close()
		}
	}()
	text, err := input.Read(j.path, input.Journal)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	if j.file, err = os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, nil, err
	}
	complete := text[:bytes.LastIndexByte(text, '\n')+1]
	j.size = int64(len(complete))
	if j.size > 0 {
		lines = bytes.Split(complete[:j.size-1], []byte("\n"))
	} else if err := atomicfile.SyncDir(dir); err != nil { // what is on disk can be found there
		return nil, nil, err
	}
	return j, lines, j.rewind()
}

// Claim makes a folder and lets it belong to this process until release, without a log: for what is written at the end alone. Where another process
// has it, the error wraps ErrBusy.
func Claim(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	return func() { lock.Close() }, nil
}

func lockFolder(dir string) (*os.File, error) {
	lock, err := filelock.Try(filepath.Join(dir, ".lock"))
	if errors.Is(err, filelock.ErrHeld) {
		err = ErrBusy
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return lock, nil
}

// Append writes v as a line and waits until it is on disk.
func (j *Journal) Append(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", j.path, err)
	}
	line = append(line, '\n')
	if _, err = j.file.Write(line); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return errors.Join(j.explain(err), j.rewind())
	}
	j.size += int64(len(line))
	return nil
}

func (j *Journal) explain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	advice := "what was written before is kept: the same command goes on"
	if errors.Is(err, syscall.ENOSPC) {
		advice = "free some space; " + advice
	}
	return fmt.Errorf("write %s: %w; %s", j.path, err, advice)
}

// rewind makes the complete lines the whole file.
func (j *Journal) rewind() error {
	if err := j.file.Truncate(j.size); err != nil {
		return err
	}
	_, err := j.file.Seek(j.size, 0)
	return err
}

// Close releases the folder.
func (j *Journal) Close() error {
	var err error
	if j.file != nil {
		err = j.file.Close()
	}
	return errors.Join(err, j.lock.Close())
}
