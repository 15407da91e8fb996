package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/trend"
)

// Addition says what became of a run.
type Addition string

// What Add can do.
const (
	Added  Addition = "added"
	Known  Addition = "known"  // the very file was added before; nothing was changed
	Tagged Addition = "tagged" // the file was added before, and is a release from now on
)

// Add keeps a run, in whole or, with an error, not at all, and notes in it when it was received. A file that is there already is not added
// again; where it was removed, the run says so.
func (s *Store) Add(ctx context.Context, run *trend.Run) (outcome Addition, err error) {
	err = s.transact(ctx, func(tx *sql.Tx) error {
		outcome, err = s.add(ctx, tx, run)
		return err
	})
	return outcome, err
}

func (s *Store) add(ctx context.Context, tx *sql.Tx, run *trend.Run) (Addition, error) {
	var artifact *string
	if run.Artifact != nil {
		text, err := json.Marshal(run.Artifact)
		if err != nil {
			return "", err
		}
		artifact = new(string(text))
	}
	leftOut, err := json.Marshal(run.LeftOut)
	if err != nil {
		return "", err
	}
	received, err := s.receive(ctx, tx)
	if err != nil {
		return "", err
	}
	dirty := 0
	if run.Dirty {
		dirty = 1
	}
	var committed *int64
	if !run.Place.Committed.IsZero() {
		committed = new(run.Place.Committed.UnixMicro())
	}
	result, err := tx.ExecContext(ctx, s.sql(`INSERT INTO trend_runs
		(sha256, source, taken_us, received_us, committed_us, depth, commit_id, dirty, version, branch, release_tag, class_id, class_kind, software,
		left_out, artifact)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`),
		run.SHA256, run.Source, run.When.UnixMicro(), received.UnixMicro(), committed, run.Place.Depth, run.Commit, dirty, run.Version, run.Branch,
		run.Release, run.Class, run.Kind, run.Software, string(leftOut), artifact)
	if err != nil {
		return "", err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		if err != nil {
			return "", err
		}
		return s.tag(ctx, tx, run)
	}
	run.Received = received
	for _, p := range run.Points {
		medians, err := json.Marshal(p.Medians)
		if err != nil {
			return "", err
		}
		if _, err := tx.ExecContext(ctx, s.sql(`INSERT INTO trend_points (run, metric, unit, value, samples, replicates, medians)
			VALUES (?, ?, ?, ?, ?, ?, ?)`), run.SHA256, p.Metric, p.Unit, p.Value, p.Samples, p.Replicates, string(medians)); err != nil {
			return "", err
		}
	}
	return Added, nil
}

// receive returns the time of a receipt: now, or where the clock went back or two runs come at once, just after the receipt before.
func (s *Store) receive(ctx context.Context, tx *sql.Tx) (time.Time, error) {
	if s.dialect.lock != "" {
		if _, err := tx.ExecContext(ctx, s.dialect.lock); err != nil {
			return time.Time{}, err
		}
	}
	var last int64
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(received_us), 0) FROM trend_runs`).Scan(&last); err != nil {
		return time.Time{}, err
	}
	return time.UnixMicro(max(s.now().UnixMicro(), last+1)).UTC(), nil
}

// tag makes a known run a release where that is asked for. A release keeps its tag.
func (s *Store) tag(ctx context.Context, tx *sql.Tx, run *trend.Run) (Addition, error) {
	var tag string
	if err := tx.QueryRowContext(ctx, s.sql(`SELECT release_tag, removed FROM trend_runs WHERE sha256 = ?`), run.SHA256).Scan(&tag, &run.Removed); err != nil {
		return "", err
	}
	switch {
	case run.Release == "" || run.Release == tag:
		return Known, nil
	case tag != "":
		return "", fmt.Errorf("run %s is release %s already, not %s", run.ID(), tag, run.Release)
	}
	_, err := tx.ExecContext(ctx, s.sql(`UPDATE trend_runs SET release_tag = ? WHERE sha256 = ?`), run.Release, run.SHA256)
	return Tagged, err
}

// Filter chooses runs. The zero value is all of them.
type Filter struct {
	Class  string // ID of a machine class
	Branch string
}

// Remove takes a run out of every judgement. It stays in the history, with the reason. The run is named by its hash or the beginning of it,
// which must be that of one run alone.
func (s *Store) Remove(ctx context.Context, id, reason string) (trend.RunRef, error) {
	return s.annotate(ctx, id, reason, `UPDATE trend_runs SET removed = ? WHERE sha256 = ?`)
}

// Mark notes what people should know of a run, named as for Remove. It stays a part of every judgement.
func (s *Store) Mark(ctx context.Context, id, reason string) (trend.RunRef, error) {
	return s.annotate(ctx, id, reason, `UPDATE trend_runs SET marked = ? WHERE sha256 = ?`)
}

var runID = regexp.MustCompile(`^[0-9a-f]{4,64}$`)

func (s *Store) annotate(ctx context.Context, id, reason, statement string) (found trend.RunRef, err error) {
	if !runID.MatchString(id) {
		return found, fmt.Errorf("%q is not the hash of a run (want 4 hexadecimal digits or more; apexx trend show --json lists them)", id)
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		runs, err := s.runs(ctx, tx, Filter{})
		if err != nil {
			return err
		}
		runs = slices.DeleteFunc(runs, func(r trend.Run) bool { return !strings.HasPrefix(r.SHA256, id) })
		switch len(runs) {
		case 0:
			return fmt.Errorf("there is no run %s", id)
		case 1:
			found = runs[0].RunRef
		default:
			return fmt.Errorf("%d runs begin with %s; give more of it", len(runs), id)
		}
		_, err = tx.ExecContext(ctx, s.sql(statement), reason, found.SHA256)
		return err
	})
	return found, err
}

// Runs returns the runs that fit the filter with their points, in the order in which they were received.
func (s *Store) Runs(ctx context.Context, f Filter) ([]trend.Run, error) {
	var runs []trend.Run
	err := s.transact(ctx, func(tx *sql.Tx) (err error) {
		if runs, err = s.runs(ctx, tx, f); err != nil {
			return err
		}
		return s.points(ctx, tx, runs)
	})
	return runs, err
}

func (s *Store) runs(ctx context.Context, tx *sql.Tx, f Filter) (runs []trend.Run, err error) {
	rows, err := tx.QueryContext(ctx, s.sql(`SELECT sha256, source, taken_us, received_us, committed_us, depth, commit_id, dirty, version, branch,
		release_tag, class_id, class_kind, software, left_out, removed, marked, artifact FROM trend_runs
		WHERE (? = '' OR class_id = ?) AND (? = '' OR branch = ?) ORDER BY received_us, sha256`), f.Class, f.Class, f.Branch, f.Branch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r trend.Run
		var taken, received int64
		var committed sql.NullInt64
		var kind, leftOut string
		var artifact sql.NullString
		if err := rows.Scan(&r.SHA256, &r.Source, &taken, &received, &committed, &r.Place.Depth, &r.Commit, &r.Dirty, &r.Version, &r.Branch,
			&r.Release, &r.Class, &kind, &r.Software, &leftOut, &r.Removed, &r.Marked, &artifact); err != nil {
			return nil, err
		}
		r.When, r.Received, r.Kind = time.UnixMicro(taken).UTC(), time.UnixMicro(received).UTC(), env.Kind(kind)
		if committed.Valid {
			r.Place.Committed = time.UnixMicro(committed.Int64).UTC()
		}
		if err := json.Unmarshal([]byte(leftOut), &r.LeftOut); err != nil {
			return nil, fmt.Errorf("run %s: its cells that were left out: %w", r.ID(), err)
		}
		if artifact.Valid {
			if r.Artifact, err = trend.ParseArtifact([]byte(artifact.String)); err != nil {
				return nil, fmt.Errorf("run %s: its artifact: %w", r.ID(), err)
			}
		}
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

// points fills in the points of the runs.
func (s *Store) points(ctx context.Context, tx *sql.Tx, runs []trend.Run) error {
	byID := map[string]*trend.Run{}
	for i := range runs {
		byID[runs[i].SHA256] = &runs[i]
	}
	rows, err := tx.QueryContext(ctx, `SELECT run, metric, unit, value, samples, replicates, medians FROM trend_points`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, medians string
		var p trend.Point
		if err := rows.Scan(&id, &p.Metric, &p.Unit, &p.Value, &p.Samples, &p.Replicates, &medians); err != nil {
			return err
		}
		run := byID[id]
		if run == nil { // of a run that the filter leaves out
			continue
		}
		if err := json.Unmarshal([]byte(medians), &p.Medians); err != nil {
			return fmt.Errorf("run %s: medians of %s: %w", run.ID(), p.Metric, err)
		}
		run.Points = append(run.Points, p)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i := range runs {
		if err := runs[i].Check(); err != nil {
			return fmt.Errorf("run %s: %w", runs[i].ID(), err)
		}
	}
	return nil
}
