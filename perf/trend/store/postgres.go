package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// openPostgres prepares a connection; the first transaction makes it.
func openPostgres(where string) (*Store, error) {
	config, err := pgx.ParseConfig(where)
	if err != nil {
		// The cause may quote the URL, password included.
		return nil, errors.New("the URL of the history is not valid; want postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	name := fmt.Sprintf("postgres://%s/%s", config.Host, config.Database)
	return &Store{db: stdlib.OpenDB(*config), name: name, dialect: dialect{
		numbered: true,
		lock:     fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, lockKey),
		foreign:  func(context.Context, *sql.Tx) error { return nil }, // a database is shared; our tables have names of their own
		explain:  explainPostgres,
		tables:   tablesPostgres,
	}}, nil
}

// lockKey names the lock of migrations and additions: the bytes "apexxtrd".
const lockKey = 0x6170657878747264

func tablesPostgres(ctx context.Context, tx *sql.Tx) (present bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT to_regclass('trend_schema') IS NOT NULL`).Scan(&present)
	return present, err
}

// ErrUnreachable is wrapped by errors about a PostgreSQL server that does not answer or does not let us in.
var ErrUnreachable = errors.New("the database cannot be reached")

// explainPostgres says what went wrong in one line. A full disk becomes ENOSPC.
func explainPostgres(name string, err error) error {
	var refused *pgconn.ConnectError
	var coded *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return fmt.Errorf("history %s: %w: %s", name, ErrUnreachable, strings.Join(strings.Fields(err.Error()), " "))
	case errors.As(err, &coded) && coded.Code == "53100":
		return fmt.Errorf("history %s: %w on the server; nothing was changed", name, syscall.ENOSPC)
	}
	return fmt.Errorf("history %s: %w", name, err)
}
