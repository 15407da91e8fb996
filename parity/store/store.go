// Package store keeps the finished cases of a matrix in a folder, so that one that was interrupted goes on where it stopped.
//
// The folder has a journal (package journal) while the matrix is unfinished: what it compares, setting by setting, and then every case that was
// compared, with its pictures. A matrix that comes to its end takes the journal away: its results are in its report.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/apex-x/apexx/internal/journal"
	"github.com/apex-x/apexx/parity"
)

// Setting is one thing that the two halves of a matrix must have in common.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

const (
	logSchema = "apexx.matrix-log/1"
	logFile   = "log.jsonl"
)

type header struct {
	Schema   string    `json:"schema"`
	Settings []Setting `json:"settings"`
}

// entry is a line after the header.
type entry struct {
	parity.FinishedCase
	Pictures json.RawMessage `json:"pictures,omitempty"` // of the caller's kind
}

// Store is the journal of a matrix.
type Store struct {
	Finished map[string]parity.FinishedCase
	Pictures map[string]json.RawMessage // by case

	path    string
	journal *journal.Journal
}

// Open makes a folder the store of a matrix, or goes on with the one in it. The store belongs to this process until Close or Finish. Its errors
// say what does not fit: another writer (journal.ErrBusy), other settings, a damaged log.
func Open(dir string, settings []Setting) (*Store, error) {
	j, lines, err := journal.Open(dir, logFile)
	if err != nil {
		return nil, fmt.Errorf("matrix store: %w", err)
	}
	s := &Store{Finished: map[string]parity.FinishedCase{}, Pictures: map[string]json.RawMessage{}, path: filepath.Join(dir, logFile), journal: j}
	if len(lines) > 0 {
		err = s.read(lines, settings)
	} else {
		err = j.Append(header{logSchema, settings})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("matrix store %s: %w", dir, err), j.Close())
	}
	return s, nil
}

func (s *Store) read(lines [][]byte, settings []Setting) error {
	var h header
	if err := json.Unmarshal(lines[0], &h); err != nil || h.Schema != logSchema {
		return fmt.Errorf("%s is not the log of a matrix (want the schema %s); choose another folder", logFile, logSchema)
	}
	if err := fits(h.Settings, settings); err != nil {
		return err
	}
	for i, line := range lines[1:] {
		var e entry
		err := json.Unmarshal(line, &e)
		if _, twice := s.Finished[e.Case]; err == nil && (twice || e.Case == "") {
			err = fmt.Errorf("its case %q comes twice, or has no name", e.Case)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w; remove it and compare again", logFile, i+2, err)
		}
		s.Finished[e.Case] = e.FinishedCase
		if e.Pictures != nil {
			s.Pictures[e.Case] = e.Pictures
		}
	}
	return nil
}

// absent is the value of a setting that one side does not have.
const absent = "absent"

// fits tells the first setting that is another, with both values: what is compared under two settings is a mixture that nothing tells apart.
func fits(before, now []Setting) error {
	value := func(list []Setting, name string) string {
		if i := slices.IndexFunc(list, func(s Setting) bool { return s.Name == name }); i >= 0 {
			return list[i].Value
		}
		return absent
	}
	for _, s := range slices.Concat(before, now) {
		b, n := value(before, s.Name), value(now, s.Name)
		if b == n {
			continue
		}
		const digest, enough = 64, 12
		if len(b) == digest && len(n) == digest {
			b, n = b[:enough], n[:enough]
		}
		return fmt.Errorf("it was begun with %s %s, and here it is %s: go on as it was begun, choose another folder, or remove its %s", s.Name, b, n, logFile)
	}
	return nil
}

// Add appends a case that was compared, with pictures that can be written as JSON, nil for none.
func (s *Store) Add(f parity.FinishedCase, pictures any) error {
	e := entry{FinishedCase: f}
	if pictures != nil {
		var err error
		if e.Pictures, err = json.Marshal(pictures); err != nil {
			return err
		}
	}
	if err := s.journal.Append(e); err != nil {
		return err
	}
	s.Finished[f.Case] = f
	return nil
}

// Finish releases the store of a matrix that came to its end, and takes its journal away.
func (s *Store) Finish() error { return errors.Join(os.Remove(s.path), s.Close()) }

// Close releases the store, and keeps what it has.
func (s *Store) Close() error { return s.journal.Close() }
