package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
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
	Marked Addition = "marked" // the file was added before, and is a release from now on
)

// Add keeps a run, in whole or, with an error, not at all. A file that is there already is not added again.
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
	dirty := 0
	if run.Dirty {
		dirty = 1
	}
	result, err := tx.ExecContext(ctx, s.sql(`INSERT INTO trend_runs
		(sha256, source, taken_us, commit_id, dirty, version, branch, release_tag, class_id, class_kind, software, artifact)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`),
		run.SHA256, run.Source, run.When.UnixMicro(), run.Commit, dirty, run.Version, run.Branch, run.Release, run.Class, run.Kind,
		run.Software, artifact)
	if err != nil {
		return "", err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		if err != nil {
			return "", err
		}
		return s.mark(ctx, tx, run)
	}
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

// mark makes a known run a release where that is asked for. A release keeps its tag.
func (s *Store) mark(ctx context.Context, tx *sql.Tx, run *trend.Run) (Addition, error) {
	var tag string
	if err := tx.QueryRowContext(ctx, s.sql(`SELECT release_tag FROM trend_runs WHERE sha256 = ?`), run.SHA256).Scan(&tag); err != nil {
		return "", err
	}
	switch {
	case run.Release == "" || run.Release == tag:
		return Known, nil
	case tag != "":
		return "", fmt.Errorf("run %s is release %s already, not %s", run.ID(), tag, run.Release)
	}
	_, err := tx.ExecContext(ctx, s.sql(`UPDATE trend_runs SET release_tag = ? WHERE sha256 = ?`), run.Release, run.SHA256)
	return Marked, err
}

// Filter chooses runs. The zero value is all of them.
type Filter struct {
	Class  string // ID of a machine class
	Branch string
}

// Runs returns the runs that fit the filter with their points, in the order of their time.
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
	rows, err := tx.QueryContext(ctx, s.sql(`SELECT sha256, source, taken_us, commit_id, dirty, version, branch, release_tag, class_id,
		class_kind, software, artifact FROM trend_runs
		WHERE (? = '' OR class_id = ?) AND (? = '' OR branch = ?) ORDER BY taken_us, sha256`), f.Class, f.Class, f.Branch, f.Branch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r trend.Run
		var us int64
		var kind string
		var artifact sql.NullString
		if err := rows.Scan(&r.SHA256, &r.Source, &us, &r.Commit, &r.Dirty, &r.Version, &r.Branch, &r.Release, &r.Class, &kind,
			&r.Software, &artifact); err != nil {
			return nil, err
		}
		r.When, r.Kind = time.UnixMicro(us).UTC(), env.Kind(kind)
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
