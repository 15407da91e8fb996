package sweep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/apex-x/apexx/internal/journal"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// Header says what a sweep measures and where. Its store resumes only under an equal plan on the same class of machine with
// the same build.
type Header struct {
	Schema      string          `json:"schema"` // logSchema
	When        time.Time       `json:"when"`
	Version     string          `json:"version"`
	Program     string          `json:"program_sha256"` // of the executable: builds of one commit may differ
	Command     string          `json:"command"`
	Environment env.Environment `json:"environment"`
	Class       env.Class       `json:"class"`
	Plan        Plan            `json:"plan"`
}

const (
	logSchema = "apexx.sweep-log/1"
	logFile   = "log.jsonl"
)

// Store is the journal of a sweep: the header, then every measurement as it was made, so that an interruption costs no more
// than the one in progress.
type Store struct {
	Header       Header // of the first invocation
	Measurements []perf.Measurement
	Testimonies  []measure.Testimony
	Resumed      bool

	journal *journal.Journal
}

// entry is a line after the header.
type entry struct {
	Measurement *perf.Measurement  `json:"measurement,omitempty"`
	Testimony   *measure.Testimony `json:"testimony,omitempty"`
}

// Open makes a folder the store of a sweep, or goes on with the sweep in it. The store belongs to this process until Close. Its
// errors say what does not fit: another writer (journal.ErrBusy), another plan, a damaged log.
func Open(dir string, h Header) (*Store, error) {
	h.Schema = logSchema
	j, lines, err := journal.Open(dir, logFile)
	if err != nil {
		return nil, fmt.Errorf("sweep store: %w", err)
	}
	s := &Store{Header: h, journal: j, Resumed: len(lines) > 0}
	if s.Resumed {
		err = s.read(lines, h)
	} else {
		err = j.Append(h)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("sweep store %s: %w", dir, err)
	}
	return s, nil
}

// read takes over what the log holds.
func (s *Store) read(lines [][]byte, want Header) error {
	s.Header = Header{}
	if err := json.Unmarshal(lines[0], &s.Header); err != nil || s.Header.Schema != logSchema {
		return fmt.Errorf("%s is not the log of a sweep (want the schema %s); choose another folder", logFile, logSchema)
	}
	if err := s.Header.fits(want); err != nil {
		return err
	}
	taken := map[step]bool{}
	for i, line := range lines[1:] {
		var e entry
		err := json.Unmarshal(line, &e)
		if err == nil {
			err = e.check(s.Header.Plan, taken)
		}
		if err != nil {
			return fmt.Errorf("%s is damaged in line %d: %w; remove the folder and measure again", logFile, i+2, err)
		}
		taken[e.step()] = true
		if e.Measurement != nil {
			s.Measurements = append(s.Measurements, *e.Measurement)
		} else {
			s.Testimonies = append(s.Testimonies, *e.Testimony)
		}
	}
	return nil
}

// step is what a line of the log is about: a replicate of a cell, or its witness run.
type step struct {
	cell      perf.Cell
	replicate int // -1: the witness run
}

func (e entry) step() step {
	if e.Measurement != nil {
		return step{e.Measurement.Cell, e.Measurement.Replicate}
	}
	return step{e.Testimony.Cell, -1}
}

// check holds an entry to what Add and AddTestimony are given: one step that the plan has and no line before, and a record that is
// sound.
func (e entry) check(p Plan, taken map[step]bool) error {
	if (e.Measurement == nil) == (e.Testimony == nil) {
		return errors.New("want either a measurement or a testimony")
	}
	s := e.step()
	switch {
	case !slices.Contains(p.Cells, s.cell):
		return fmt.Errorf("cell %s is not one of the sweep's", s.cell)
	case e.Measurement != nil && (s.replicate < 0 || s.replicate >= p.Replicates):
		return fmt.Errorf("replicate %d of cell %s, the sweep has %d", s.replicate, s.cell, p.Replicates)
	case taken[s]:
		return fmt.Errorf("what it says of cell %s was said before", s.cell)
	case e.Measurement != nil:
		return checkMeasurement(*e.Measurement)
	}
	return checkTestimony(*e.Testimony)
}

// checkTestimony holds what a witness run showed to the states of parity and to finite numbers.
func checkTestimony(t measure.Testimony) error {
	if !slices.Contains(evidence.States, t.Parity.State) {
		return fmt.Errorf("cell %s has the unknown parity %q", t.Cell, t.Parity.State)
	}
	return sound("", reflect.ValueOf(t))
}

// fits tells what keeps a sweep from going on under h.
func (h Header) fits(want Header) error {
	differs := func(what string) error {
		return fmt.Errorf("it holds a sweep with other %s; choose another folder, or remove this one", what)
	}
	a, err1 := json.Marshal(h.Plan)
	b, err2 := json.Marshal(want.Plan)
	switch {
	case err1 != nil || err2 != nil || !bytes.Equal(a, b):
		return differs("cells or settings")
	case h.Class.ID != want.Class.ID:
		return differs(fmt.Sprintf("hardware (%s, here is %s)", h.Class.ID, want.Class.ID))
	case h.Version != want.Version || h.Environment.Commit != want.Environment.Commit:
		return differs(fmt.Sprintf("build (%s, this is %s)", h.build(), want.build()))
	case h.Program != want.Program:
		return differs(fmt.Sprintf("build (of %s too, and not the same program)", h.build()))
	}
	return nil
}

// build names the program that measured, by version and commit.
func (h Header) build() string {
	commit := "no commit"
	if h.Environment.Commit != "" {
		commit = "commit " + h.Environment.Commit
	}
	return h.Version + " of " + commit
}

// Add appends a measurement.
func (s *Store) Add(m perf.Measurement) error {
	if err := s.journal.Append(entry{Measurement: &m}); err != nil {
		return err
	}
	s.Measurements = append(s.Measurements, m)
	return nil
}

// AddTestimony appends what a witness run showed.
func (s *Store) AddTestimony(t measure.Testimony) error {
	if err := s.journal.Append(entry{Testimony: &t}); err != nil {
		return err
	}
	s.Testimonies = append(s.Testimonies, t)
	return nil
}

// Close releases the store.
func (s *Store) Close() error { return s.journal.Close() }
