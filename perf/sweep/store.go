package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apex-x/apexx/internal/journal"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// Header says what a sweep measures and where. Its store resumes only under an equal plan, on the same class of machines, with the same
// build, libraries, instruction set and GOMAXPROCS.
type Header struct {
	Schema      string          `json:"schema"` // logSchema
	When        time.Time       `json:"when"`
	Version     string          `json:"version"`
	Program     string          `json:"program_sha256"` // of the executable: builds of one commit may differ
	Command     string          `json:"command"`
	Environment env.Environment `json:"environment"`
	Class       env.Class       `json:"class"`
	Plan        Plan            `json:"plan"`
	// Files are the workers and libraries that the plan's backends compute with: SHA-256 by backend, of further libraries by backend and key.
	Files map[string]string `json:"files,omitempty"`
}

const (
	logSchema = "apexx.sweep-log/3"
	logFile   = "log.jsonl"
)

// Store is the journal of a sweep: the header, then every measurement as it was made, so that an interruption costs no more
// than the one in progress.
type Store struct {
	Header       Header // of the first invocation
	Measurements []perf.Measurement
	ParityRuns   []measure.ParityRun
	Quality      []accuracy.Run
	Resumed      bool

	journal *journal.Journal
}

// entry is a line after the header.
type entry struct {
	Measurement *perf.Measurement  `json:"measurement,omitempty"`
	ParityRun   *measure.ParityRun `json:"parity_run,omitempty"`
	Quality     *accuracy.Run      `json:"quality,omitempty"`
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
	err := json.Unmarshal(lines[0], &s.Header)
	switch {
	case olderLacks[s.Header.Schema] != "":
		return fmt.Errorf("%s has the schema %s: %s, and %s asks for it; choose another folder, or remove this one", logFile, s.Header.Schema, olderLacks[s.Header.Schema], logSchema)
	case err != nil || s.Header.Schema != logSchema:
		return fmt.Errorf("%s is not the log of a sweep (want the schema %s); choose another folder", logFile, logSchema)
	}
	if err := s.Header.fits(&want); err != nil {
		return err
	}
	taken := map[step]bool{}
	for i, line := range lines[1:] {
		e, err := readEntry(line, &s.Header.Plan)
		if err == nil && taken[e.step()] {
			err = errors.New("its step comes twice")
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w; remove the folder and measure again", logFile, i+2, err)
		}
		taken[e.step()] = true
		switch {
		case e.Measurement != nil:
			s.Measurements = append(s.Measurements, *e.Measurement)
		case e.ParityRun != nil:
			s.ParityRuns = append(s.ParityRuns, *e.ParityRun)
		default:
			s.Quality = append(s.Quality, *e.Quality)
		}
	}
	return nil
}

// step is what a line of the log is about: a replicate of a cell, its parity run, or its evaluation.
type step struct {
	cell      perf.Cell
	replicate int // parityStep, qualityStep or baseStep for what is none
}

const (
	parityStep  = -1
	qualityStep = -2
	baseStep    = -3 // the evaluation of what cells are compared with
)

func (e entry) step() step {
	switch {
	case e.Measurement != nil:
		return step{e.Measurement.Cell, e.Measurement.Replicate}
	case e.ParityRun != nil:
		return step{e.ParityRun.Cell, parityStep}
	case e.Quality.Arm == perf.Base:
		return step{e.Quality.Cell, baseStep}
	}
	return step{e.Quality.Cell, qualityStep}
}

// readEntry reads a line of the log of a plan.
func readEntry(line []byte, p *Plan) (e entry, err error) {
	if err := json.Unmarshal(line, &e); err != nil {
		return e, err
	}
	if e.kinds() != 1 {
		return e, errors.New("it holds none of a measurement, a parity run and an evaluation, or several")
	}
	if e.Quality != nil {
		return e, p.checkRun(e.Quality)
	}
	if at := e.step(); !slices.Contains(p.Cells, at.cell) || e.Measurement != nil && !(0 <= at.replicate && at.replicate < p.Replicates) {
		return e, fmt.Errorf("the plan has no replicate %d of cell %s", at.replicate, at.cell)
	}
	if e.Measurement != nil {
		return e, p.check(e.Measurement)
	}
	return e, checkParityRun(e.ParityRun)
}

// kinds counts what a line holds.
func (e entry) kinds() (n int) {
	for _, there := range []bool{e.Measurement != nil, e.ParityRun != nil, e.Quality != nil} {
		if there {
			n++
		}
	}
	return n
}

func checkParityRun(t *measure.ParityRun) error {
	if err := t.Parity.Check(); err != nil {
		return err
	}
	return t.Work.Check()
}

// Add appends a measurement. One that no machine can give becomes an error of its cell: nothing enters the log that could not be
// summed up and written later.
func (s *Store) Add(m perf.Measurement) error {
	if err := s.Header.Plan.check(&m); err != nil {
		m = m.Refused(err)
	}
	if err := s.journal.Append(entry{Measurement: &m}); err != nil {
		return err
	}
	s.Measurements = append(s.Measurements, m)
	return nil
}

// AddParityRun appends what a parity run showed. Numbers that no run can have fail the cell's parity: its outputs claim them.
func (s *Store) AddParityRun(t measure.ParityRun) error {
	if err := checkParityRun(&t); err != nil {
		t = measure.ParityRun{Cell: t.Cell, Parity: perf.Parity{State: evidence.Fail, Detail: err.Error()}}
	}
	if err := s.journal.Append(entry{ParityRun: &t}); err != nil {
		return err
	}
	s.ParityRuns = append(s.ParityRuns, t)
	return nil
}

// AddQuality appends what a cell found in the data set. What no evaluation can give is an error of its cell.
func (s *Store) AddQuality(r accuracy.Run) error {
	if err := s.Header.Plan.checkRun(&r); err != nil {
		r = accuracy.Run{Cell: r.Cell, Arm: r.Arm, State: evidence.Errored, Reason: "implausible", Detail: err.Error()}
	}
	if err := s.journal.Append(entry{Quality: &r}); err != nil {
		return err
	}
	s.Quality = append(s.Quality, r)
	return nil
}

// Steps counts what the sweep consists of, a parity run, the replicates and the evaluation of every cell, and what the store holds of it.
func (s *Store) Steps() (done, total int) {
	p := &s.Header.Plan
	return len(s.Measurements) + len(s.ParityRuns) + len(s.Quality), len(p.Cells)*(p.Replicates+1) + len(p.evaluations())
}

// Close releases the store.
func (s *Store) Close() error { return s.journal.Close() }
