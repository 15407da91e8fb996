// Package store keeps the runs of a history in an SQLite file or, for a fleet of machines, in a PostgreSQL database.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Store keeps runs. Several processes may use one at the same time.
type Store struct {
	db      *sql.DB
	dialect dialect
	name    string // for errors; without a password
	now     func() time.Time
}

// dialect is what differs between the databases. Statements have ? for parameters.
type dialect struct {
	numbered bool                                         // parameters are $1, $2, …
	lock     string                                       // statement that excludes other migrations and receipts until the transaction ends; "" where transactions exclude each other
	foreign  func(context.Context, *sql.Tx) error         // refuses a database of something else
	explain  func(name string, err error) error           // turns a driver's error into one that says what to do
	tables   func(context.Context, *sql.Tx) (bool, error) // tells whether the tables of a history are there
}

// Open opens the history at where for adding: the name of an SQLite file, or a URL postgres://USER@HOST/DATABASE. The first use
// creates the file and the tables, and a history of an older apexx is brought to the present schema.
func Open(ctx context.Context, where string) (*Store, error) {
	return open(ctx, where, false)
}

// OpenReader opens an existing history for reading alone.
func OpenReader(ctx context.Context, where string) (*Store, error) {
	return open(ctx, where, true)
}

func open(ctx context.Context, where string, reader bool) (*Store, error) {
	var s *Store
	var err error
	if strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://") {
		s, err = openPostgres(where)
	} else {
		s, err = openSQLite(where, reader)
	}
	if err != nil {
		return nil, err
	}
	s.now = time.Now
	prepare := func(tx *sql.Tx) error { return s.migrate(ctx, tx, migrations) }
	if reader {
		prepare = func(tx *sql.Tx) error { return s.current(ctx, tx) }
	}
	if err := s.transact(ctx, prepare); err != nil {
		_ = s.db.Close() // the first error says more
		return nil, err
	}
	return s, nil
}

// Close releases the database.
func (s *Store) Close() error { return s.db.Close() }

// transact runs work in a transaction that excludes other writers.
func (s *Store) transact(ctx context.Context, work func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.dialect.explain(s.name, err)
	}
	if err := work(tx); err != nil {
		_ = tx.Rollback() // the first error says more
		return s.dialect.explain(s.name, err)
	}
	return s.dialect.explain(s.name, tx.Commit())
}

// sql gives a statement the dialect's parameters.
func (s *Store) sql(statement string) string {
	if !s.dialect.numbered {
		return statement
	}
	var b strings.Builder
	n := 0
	for _, c := range statement {
		if c != '?' {
			b.WriteRune(c)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}

// errForeign is wrapped by errors about databases and files that hold something else than a history.
var errForeign = errors.New("not a history of apexx trend")

func foreign(what string) error {
	return fmt.Errorf("%w: %s; name another --store", errForeign, what)
}
