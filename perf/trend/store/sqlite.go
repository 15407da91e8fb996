package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// openSQLite opens a file. The rollback journal, unlike the write-ahead log, leaves one file that can be copied as an artifact.
func openSQLite(path string, reader bool) (*Store, error) {
	if path == "" {
		return nil, errors.New("the name of the history is empty; give --store FILE")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && reader:
		return nil, fmt.Errorf("history %s: %w", path, errMissing)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file; name a file for the history", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	options := url.Values{"_pragma": {"busy_timeout(20000)", "foreign_keys(1)", "synchronous(FULL)"}}
	if reader {
		options.Set("mode", "rw") // where it is allowed, for undoing what a killed process left halfway
		options.Add("_pragma", "query_only(1)")
	} else {
		options.Set("_txlock", "immediate") // two writers wait for each other instead of failing halfway
	}
	address := url.URL{Scheme: "file", Path: absolute, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, explainSQLite(path, err)
	}
	db.SetMaxOpenConns(1)
	return &Store{db: db, name: path, dialect: dialect{foreign: foreignSQLite, explain: explainSQLite, tables: tablesSQLite}}, nil
}

func tablesSQLite(ctx context.Context, tx *sql.Tx) (present bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = 'trend_schema'`).Scan(&present)
	return present, err
}

// foreignSQLite refuses a file with tables of something else: a database of one program is not another's to write to.
func foreignSQLite(ctx context.Context, tx *sql.Tx) error {
	var name string
	err := tx.QueryRowContext(ctx, `SELECT name FROM sqlite_master LIMIT 1`).Scan(&name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return foreign(fmt.Sprintf("an SQLite database with %q", name))
}

// explainSQLite says what SQLite's result codes mean for the user. A full disk becomes ENOSPC.
func explainSQLite(name string, err error) error {
	if err == nil {
		return nil
	}
	var coded *sqlite.Error
	if !errors.As(err, &coded) {
		return fmt.Errorf("history %s: %w", name, err)
	}
	if coded.Code() == sqlite3.SQLITE_READONLY_ROLLBACK {
		return fmt.Errorf("history %s: an addition to it was interrupted, and undoing that needs permission to write", name)
	}
	switch coded.Code() & 0xff { // the primary result code
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("history %s: %w", name, foreign("not an SQLite database"))
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("history %s is damaged: restore it from a copy, or add the results to a new one: %w", name, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("history %s: %w; free some space; nothing was changed", name, syscall.ENOSPC)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("history %s cannot be written: %w", name, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("history %s cannot be opened: is its folder there and writable? %w", name, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("history %s: another process held it for more than 20 s; try again: %w", name, err)
	}
	return fmt.Errorf("history %s: %w", name, err)
}
