// Package filelock lets one process at a time do something: who holds the lock of a file does it, and a process that dies lets go of it.
package filelock

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// ErrHeld says that another process, or another lock of this one, holds the file.
var ErrHeld = errors.New("another process holds the lock")

// Try creates a file where there is none and locks it until it is closed. Where another holds it, the error is ErrHeld. Who holds it may remove the file
// before closing it.
func Try(path string) (*os.File, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	if err = lock(f); err == nil {
		err = stillThere(f, path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// open opens a file to be locked, for which reading it is enough: in a folder that users share, one whose owner died before removing it would keep all
// others out for good.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, fs.ErrPermission) {
		if readable, failed := os.Open(path); failed == nil {
			return readable, nil
		}
	}
	return f, err
}

// stillThere fails with ErrHeld for a file that was removed between its opening and its locking: another may hold the one that has its name now.
func stillThere(f *os.File, path string) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(opened, named) {
		return ErrHeld
	}
	return nil
}

// interval is how often Wait tries.
const interval = 50 * time.Millisecond

// Wait locks like Try, as soon as no other holds the file. held is called once if another does; nil for nobody. It ends early with the error of the context.
func Wait(ctx context.Context, path string, held func()) (*os.File, error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return f, err
		}
		if held != nil {
			held()
			held = nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}
