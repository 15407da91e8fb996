package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// migrations bring a database from version i to i+1. A released one is never changed; what comes next is appended.
var migrations = [][]string{{
	`CREATE TABLE trend_runs (
		sha256      TEXT    NOT NULL PRIMARY KEY,
		source      TEXT    NOT NULL,
		taken_us    BIGINT  NOT NULL,
		commit_id   TEXT    NOT NULL,
		dirty       INTEGER NOT NULL,
		version     TEXT    NOT NULL,
		branch      TEXT    NOT NULL,
		release_tag TEXT    NOT NULL,
		class_id    TEXT    NOT NULL,
		class_kind  TEXT    NOT NULL,
		software    TEXT    NOT NULL,
		artifact    TEXT
	)`,
	`CREATE TABLE trend_points (
		run        TEXT             NOT NULL REFERENCES trend_runs (sha256),
		metric     TEXT             NOT NULL,
		unit       TEXT             NOT NULL,
		value      DOUBLE PRECISION NOT NULL,
		samples    BIGINT           NOT NULL,
		replicates BIGINT           NOT NULL,
		medians    TEXT             NOT NULL,
		PRIMARY KEY (run, metric)
	)`,
	`CREATE INDEX trend_runs_by_class ON trend_runs (class_id, taken_us)`,
}, {
	// Runs are ordered by when they were received. Of those that are there this is not known: they keep their order, at the very beginning of
	// time. They were added without a branch where nobody named one, and decided the verdict of main.
	`ALTER TABLE trend_runs ADD COLUMN received_us BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE trend_runs ADD COLUMN committed_us BIGINT`,
	`ALTER TABLE trend_runs ADD COLUMN depth BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE trend_runs ADD COLUMN left_out TEXT NOT NULL DEFAULT 'null'`,
	`ALTER TABLE trend_runs ADD COLUMN removed TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE trend_runs ADD COLUMN marked TEXT NOT NULL DEFAULT ''`,
	`UPDATE trend_runs SET received_us = (SELECT count(*) FROM trend_runs AS other WHERE other.taken_us < trend_runs.taken_us
		OR other.taken_us = trend_runs.taken_us AND other.sha256 <= trend_runs.sha256)`,
	`UPDATE trend_runs SET branch = 'main' WHERE branch = ''`,
	`CREATE INDEX trend_runs_by_receipt ON trend_runs (received_us)`,
}, {
	// Metrics of one name are compared, and those of executions alone have the names that whole runs had.
	`UPDATE trend_runs SET removed = 'its times are of whole runs; since then executions are timed alone' WHERE removed = '' AND source IN ('sweep', 'gate')`,
}}

// migrate creates the tables or brings them to the newest of the steps' versions.
func (s *Store) migrate(ctx context.Context, tx *sql.Tx, steps [][]string) error {
	if s.dialect.lock != "" {
		if _, err := tx.ExecContext(ctx, s.dialect.lock); err != nil {
			return err
		}
	}
	present, err := s.dialect.tables(ctx, tx)
	if err != nil {
		return err
	}
	version := 0
	if present {
		if version, err = schemaVersion(ctx, tx); err != nil {
			return err
		}
	} else {
		if err := s.dialect.foreign(ctx, tx); err != nil {
			return err
		}
		for _, statement := range []string{`CREATE TABLE trend_schema (version INTEGER NOT NULL)`, `INSERT INTO trend_schema VALUES (0)`} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	if version > len(steps) {
		return errNewer(version, len(steps))
	}
	if version == len(steps) {
		return nil
	}
	for _, step := range steps[version:] {
		for _, statement := range step {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	_, err = tx.ExecContext(ctx, s.sql(`UPDATE trend_schema SET version = ?`), len(steps))
	return err
}

// current refuses a database without our tables or with those of another version.
func (s *Store) current(ctx context.Context, tx *sql.Tx) error {
	present, err := s.dialect.tables(ctx, tx)
	if err != nil {
		return err
	}
	if !present {
		if err := s.dialect.foreign(ctx, tx); err != nil {
			return err
		}
		return errMissing
	}
	version, err := schemaVersion(ctx, tx)
	switch {
	case err != nil:
		return err
	case version > len(migrations):
		return errNewer(version, len(migrations))
	case version < len(migrations):
		return fmt.Errorf("its schema has version %d, want %d: the next apexx trend add brings it up to date", version, len(migrations))
	}
	return nil
}

func schemaVersion(ctx context.Context, tx *sql.Tx) (version int, err error) {
	err = tx.QueryRowContext(ctx, `SELECT version FROM trend_schema`).Scan(&version)
	return version, err
}

var errMissing = errors.New("there is none yet; apexx trend add begins one")

func errNewer(version, known int) error {
	return fmt.Errorf("its schema has version %d, and this apexx knows up to %d: use a newer apexx", version, known)
}
