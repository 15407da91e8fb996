package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/journal"
)

// replayedRecord reads the file of --replay, which may be gzip-compressed, and refuses one that is no record, or lies. Flags other than those of where to
// write to would say something that the record has settled, and are refused.
func replayedRecord[R any](c *cli.Context, read func(io.Reader) (*R, error), writing ...string) (*R, error) {
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if c.IsSet(name) && name != "replay" && !slices.Contains(writing, name) {
			return nil, usagef("--%s does not go with --replay: a record is judged as it was made", name)
		}
	}
	data, err := input.ReadRecord(c.String("replay"))
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	record, err := read(bytes.NewReader(data))
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("replay %s: %w", c.String("replay"), err))
	}
	return record, nil
}

// claimFolder makes a folder before anything costs time, so that an unwritable place costs nothing but a line, and keeps it from other processes until
// release. "" is none.
func claimFolder(dir string) (release func(), err error) {
	if dir == "" {
		return func() {}, nil
	}
	release, err = journal.Claim(dir)
	return release, exit.With(exit.Usage, err)
}

// claimForRecord claims a folder for what a record is rendered to. One with the log of a run is that run's: its log and the files of another record
// would be taken for one. In the record's own the page of its run stays, which may show what no record has, such as pictures.
func claimForRecord(c *cli.Context, dir string) (release func(), err error) {
	mark, refusal := "log.jsonl", "the log of another run"
	if dir != "" && sameFile(dir, filepath.Dir(c.String("replay"))) {
		mark, refusal = "index.html", "the page of the run itself, which shows more than a record"
	}
	_, err = os.Lstat(filepath.Join(dir, mark))
	switch {
	case dir == "" || errors.Is(err, fs.ErrNotExist):
		return claimFolder(dir)
	case err != nil:
		return nil, exit.With(exit.Usage, err)
	}
	return nil, usagef("%s has %s: choose another folder", dir, refusal)
}
