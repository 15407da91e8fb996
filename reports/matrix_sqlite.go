package reports

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver, in Go alone

	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// MatrixSQLite writes the matrix as an SQLite database: tables matrix (one row), cells, outputs, decisions and executions; the second and third
// refer to a cell by its id. What is not there is null, and so is a NaN, which SQLite lacks.
func MatrixSQLite(w io.Writer, d *Document) error {
	dir, err := os.MkdirTemp("", "apexx-matrix-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "matrix.sqlite")
	if err := fillSQLite(path, clean(d)); err != nil {
		return fmt.Errorf("write the matrix as SQLite: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

func fillSQLite(path string, d *Document) (err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	m := d.Matrix
	cells := make([]*parity.Cell, len(m.Cells))
	ids := map[*parity.Cell]int64{}
	for i := range m.Cells {
		cells[i] = &m.Cells[i]
		ids[cells[i]] = int64(i)
	}
	executions := make([]*parity.ExecutionRecord, len(m.Executions))
	for i := range m.Executions {
		executions[i] = &m.Executions[i]
	}
	err = errors.Join(
		insertAll(tx, "matrix", []*Document{d}, matrixColumns),
		insertAll(tx, "cells", cells, append([]column[*parity.Cell]{{"id", "INTEGER PRIMARY KEY", func(c *parity.Cell) any { return ids[c] }}}, cellColumns...)),
		insertAll(tx, "outputs", compared(outputRows(m)), append([]column[outputRow]{{"cell", "INTEGER REFERENCES cells (id)", func(r outputRow) any { return ids[r.cell] }}}, outputColumns...)),
		insertAll(tx, "decisions", decisionRows(m), append([]column[decisionRow]{{"cell", "INTEGER REFERENCES cells (id)", func(r decisionRow) any { return ids[r.cell] }}}, decisionColumns...)),
		insertAll(tx, "executions", executions, executionColumns),
	)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// matrixColumns are what is said of the whole.
var matrixColumns = []column[*Document]{
	{"verdict", "TEXT", func(d *Document) any { return evidence.Verdict(d.ExitCode()) }},
	{"exit_code", "INTEGER", func(d *Document) any { return int64(d.ExitCode()) }},
	{"policy", "TEXT", func(d *Document) any { return judgedBy(d.Matrix) }},
	{"missing", "TEXT", func(d *Document) any { return strings.Join(d.Matrix.Missing(), ", ") }},
	{"made", "TEXT", func(d *Document) any { return d.when() }},
	{"version", "TEXT", func(d *Document) any { return d.Version }},
	{"command", "TEXT", func(d *Document) any { return d.Command }},
}

// compared leaves out the rows of cells without outputs: in a database the cell has a row of its own.
func compared(rows []outputRow) []outputRow {
	var list []outputRow
	for _, r := range rows {
		if r.output != nil {
			list = append(list, r)
		}
	}
	return list
}

// insertAll makes a table and fills it.
func insertAll[R any](tx *sql.Tx, name string, rows []R, columns []column[R]) error {
	var declared, marks []string
	for _, c := range columns {
		declared, marks = append(declared, fmt.Sprintf("%q %s", c.name, c.kind)), append(marks, "?")
	}
	if _, err := tx.Exec(fmt.Sprintf("CREATE TABLE %s (%s)", name, strings.Join(declared, ", "))); err != nil {
		return err
	}
	insert, err := tx.Prepare(fmt.Sprintf("INSERT INTO %s VALUES (%s)", name, strings.Join(marks, ", ")))
	if err != nil {
		return err
	}
	defer insert.Close()
	values := make([]any, len(columns))
	for _, row := range rows {
		for i, c := range columns {
			values[i] = c.of(row)
			if v, ok := values[i].(float64); ok && math.IsNaN(v) {
				values[i] = nil
			}
		}
		if _, err := insert.Exec(values...); err != nil {
			return err
		}
	}
	return nil
}
