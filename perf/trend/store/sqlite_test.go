package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/apex-x/apexx/perf/trend"
)

func TestSQLiteRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE invoices (id INTEGER)`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for _, c := range []struct{ name, where, want string }{
		{"text", file("text", []byte(strings.Repeat("no database\n", 100))), "not an SQLite database"},
		{"another program's", other, `not a history of apexx trend: an SQLite database with "invoices"`},
		{"a folder", dir, "is not a file"},
		{"no folder", filepath.Join(dir, "nowhere", "a.db"), "cannot be opened: is its folder there"},
		{"no name", "", "is empty"},
	} {
		for kind, open := range map[string]func(context.Context, string) (*Store, error){"writer": Open, "reader": OpenReader} {
			s, err := open(t.Context(), c.where)
			if err == nil {
				s.Close()
			}
			want := c.want
			if kind == "reader" && c.name == "no folder" {
				want = "there is none yet"
			}
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, %s: %v, want %q", c.name, kind, err, want)
			}
		}
	}
	db, err = sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables int
	if err := db.QueryRow(`SELECT count(*) FROM sqlite_master`).Scan(&tables); err != nil || tables != 1 {
		t.Errorf("the other program's database has %d tables now (%v)", tables, err)
	}
}

func TestSQLiteDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open1(t, path)
	for n := range 200 {
		add(t, s, runOf(n), Added)
	}
	s.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(data); i++ {
		data[i] = 0xA5
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenReader(t.Context(), path); err == nil {
		defer s.Close()
		_, err = s.Runs(t.Context(), Filter{})
	}
	if err == nil || !strings.Contains(err.Error(), "is damaged: restore it") {
		t.Errorf("damaged pages: %v", err)
	}
}

func TestSQLiteFull(t *testing.T) {
	s := open1(t, filepath.Join(t.TempDir(), "a.db"))
	add(t, s, runOf(1), Added)
	if _, err := s.db.Exec(`PRAGMA max_page_count = 9`); err != nil { // what SQLite calls full, without filling a disk
		t.Fatal(err)
	}
	big := runOf(2)
	for i := range 500 {
		big.Points = append(big.Points, trend.Point{Metric: fmt.Sprintf("c%d.p50_ms", i), Unit: trend.Milliseconds, Value: 1})
	}
	_, err := s.Add(t.Context(), big)
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want one that is ENOSPC", err)
	}
	if got := runs(t, s, Filter{}); len(got) != 1 {
		t.Errorf("%d runs after a full disk, want the one before it", len(got))
	}
}

func TestSQLiteReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("as root, permissions do not bind; the reader's part of the test still holds")
	}
	path := filepath.Join(t.TempDir(), "a.db")
	s := open1(t, path)
	add(t, s, runOf(1), Added)
	s.Close()
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	reader, err := OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if got := runs(t, reader, Filter{}); len(got) != 1 {
		t.Errorf("%d runs", len(got))
	}
	if _, err := reader.Add(t.Context(), runOf(2)); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("adding to a reader: %v", err)
	}
}

// What a killed process left halfway is undone by whoever comes next, a reader too.
func TestSQLiteAfterKill(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	s := open1(t, path)
	before := runOf(1)
	add(t, s, before, Added)
	tx, err := s.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	// More pages than the cache holds, so that some are written to the file before the end of the transaction.
	if _, err := tx.Exec(`PRAGMA cache_size = 5`); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if _, err := tx.Exec(`INSERT INTO trend_points VALUES (?, ?, 'ms', 1, 1, 1, 'null')`, runOf(1).SHA256, fmt.Sprintf("half-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(t.TempDir(), "a.db") // as it would be found after a kill
	for _, suffix := range []string{"", "-journal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+suffix, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	reader, err := OpenReader(t.Context(), copied)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if got := runs(t, reader, Filter{}); !reflect.DeepEqual(got, []trend.Run{*before}) {
		t.Errorf("after a kill: %+v", got)
	}
}
