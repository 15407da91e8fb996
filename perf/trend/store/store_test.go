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
	"sync"
	"testing"
	"time"

	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/trend"
)

// each runs a test on an SQLite file and, where APEXX_TEST_POSTGRES is the URL of a database, on a fresh schema of it.
func each(t *testing.T, test func(t *testing.T, where string)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, filepath.Join(t.TempDir(), "a history?with #odd% name.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		url := os.Getenv("APEXX_TEST_POSTGRES")
		if url == "" {
			t.Skip("APEXX_TEST_POSTGRES does not name a database such as postgres://user@localhost/test")
		}
		db, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		schema := fmt.Sprintf("trend_test_%d", time.Now().UnixNano())
		if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			again, err := sql.Open("pgx", url)
			if err == nil {
				_, err = again.Exec("DROP SCHEMA " + schema + " CASCADE")
				again.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
		separator := "?"
		if strings.Contains(url, "?") {
			separator = "&"
		}
		test(t, url+separator+"search_path="+schema)
	})
}

func runOf(n int) *trend.Run {
	return &trend.Run{RunRef: trend.RunRef{SHA256: fmt.Sprintf("%064x", n), Source: trend.FromSweep, When: time.Date(2026, 3, 1+n, 5, 0, 0, 123456000, time.UTC),
		Commit: fmt.Sprintf("commit%d", n), Dirty: n%2 == 1, Version: "v0.3.0", Branch: "main", Software: "go 1.26"}, Class: "cpu-x", Kind: env.SharedCPU,
		Points: []trend.Point{
			{Metric: "a.p50_ms", Unit: trend.Milliseconds, Value: 1.0 / 3, Samples: 600, Replicates: 3, Medians: []float64{0.3, 0.1 + 0.2, 0.4}},
			{Metric: "b.host_peak_mib", Unit: trend.Mebibytes, Value: 200.5},
		}}
}

func open1(t *testing.T, where string) *Store {
	t.Helper()
	s, err := Open(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func add(t *testing.T, s *Store, run *trend.Run, want Addition) {
	t.Helper()
	if got, err := s.Add(t.Context(), run); err != nil || got != want {
		t.Fatalf("Add = %q, %v; want %q", got, err, want)
	}
}

func runs(t *testing.T, s *Store, f Filter) []trend.Run {
	t.Helper()
	got, err := s.Runs(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAddAndRead(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		s := open1(t, where)
		artifact := runOf(3)
		artifact.Source = trend.FromArtifact
		var err error
		artifact.Artifact, err = trend.ParseArtifact([]byte(`{"schema_version":1,"suite":"s","timestamp_utc":"2026-03-04T05:00:00Z","overall_status":"pass",
			"total_metrics":1,"failed_metrics":0,"metrics":[{"metric":"a.p50_ms","status":"pass","current_ms":0.10,"baseline_ms":null,"allowed_max_ms":null,"regression_ratio":null}]}`))
		if err != nil {
			t.Fatal(err)
		}
		other := runOf(1)
		other.Class, other.Branch = "gpu-y", "topic"
		other.Place = trend.Place{Depth: 7, Committed: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
		second := runOf(2)
		second.LeftOut = []string{"c is fail"}
		for _, run := range []*trend.Run{other, second, artifact} {
			add(t, s, run, Added)
		}
		want := []trend.Run{*other, *second, *artifact}
		if got := runs(t, s, Filter{}); !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v\nwant %+v", got, want)
		}
		if got := runs(t, s, Filter{Class: "gpu-y"}); !reflect.DeepEqual(got, want[:1]) {
			t.Errorf("of class gpu-y: %+v", got)
		}
		if got := runs(t, s, Filter{Branch: "main"}); !reflect.DeepEqual(got, want[1:]) {
			t.Errorf("of branch main: %+v", got)
		}
		reader, err := OpenReader(t.Context(), where)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		if got := runs(t, reader, Filter{}); !reflect.DeepEqual(got, want) {
			t.Errorf("another reader sees %+v", got)
		}
	})
}

func TestAddTwice(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		s := open1(t, where)
		add(t, s, runOf(1), Added)
		add(t, s, runOf(1), Known)
		release := runOf(1)
		release.Release = "v1.0"
		add(t, s, release, Tagged)
		add(t, s, release, Known)
		add(t, s, runOf(1), Known) // does not unmark it
		release.Release = "v1.1"
		if _, err := s.Add(t.Context(), release); err == nil || !strings.Contains(err.Error(), "is release v1.0 already, not v1.1") {
			t.Errorf("another tag: %v", err)
		}
		if got := runs(t, s, Filter{}); len(got) != 1 || got[0].Release != "v1.0" || len(got[0].Points) != 2 {
			t.Errorf("after all that: %+v", got)
		}
	})
}

// A run is kept in whole or not at all.
func TestAddIsAtomic(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		s := open1(t, where)
		bad := runOf(1)
		bad.Points = append(bad.Points, bad.Points[0]) // the second insertion of the metric fails
		if _, err := s.Add(t.Context(), bad); err == nil {
			t.Fatal("a metric was added twice")
		}
		if got := runs(t, s, Filter{}); len(got) != 0 {
			t.Errorf("half of a run stayed: %+v", got)
		}
		add(t, s, runOf(1), Added)
	})
}

// Stores opened at once by several processes, the first of which creates the tables, lose nothing.
func TestConcurrentAdds(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		const writers, perWriter = 6, 5
		var group sync.WaitGroup
		errs := make(chan error, writers)
		for w := range writers {
			group.Go(func() {
				s, err := Open(context.Background(), where)
				if err != nil {
					errs <- err
					return
				}
				defer s.Close()
				for i := range perWriter {
					for _, n := range []int{w*perWriter + i, 1000} { // one of its own and one that all add
						if _, err := s.Add(context.Background(), runOf(n)); err != nil {
							errs <- err
							return
						}
					}
				}
			})
		}
		group.Wait()
		close(errs)
		for err := range errs {
			t.Error(err)
		}
		if got := runs(t, open1(t, where), Filter{}); len(got) != writers*perWriter+1 {
			t.Errorf("%d runs, want %d", len(got), writers*perWriter+1)
		}
	})
}

func TestMigrations(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		s := open1(t, where)
		add(t, s, runOf(1), Added)
		migrateTo := func(steps [][]string) error {
			return s.transact(t.Context(), func(tx *sql.Tx) error { return s.migrate(t.Context(), tx, steps) })
		}
		newer := append(migrations[:len(migrations):len(migrations)], []string{`ALTER TABLE trend_runs ADD COLUMN note TEXT NOT NULL DEFAULT 'none'`})
		for range 2 { // the second time there is nothing to do
			if err := migrateTo(newer); err != nil {
				t.Fatal(err)
			}
		}
		var note string
		if err := s.db.QueryRow(`SELECT note FROM trend_runs`).Scan(&note); err != nil || note != "none" {
			t.Errorf("after the migration: %q, %v", note, err)
		}
		for name, open := range map[string]func(context.Context, string) (*Store, error){"writer": Open, "reader": OpenReader} {
			if _, err := open(t.Context(), where); err == nil || !strings.Contains(err.Error(), "use a newer apexx") {
				t.Errorf("%s of a newer history: %v", name, err)
			}
		}
		if _, err := s.db.Exec(`UPDATE trend_schema SET version = 0`); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenReader(t.Context(), where); err == nil || !strings.Contains(err.Error(), "brings it up to date") {
			t.Errorf("reader of an older history: %v", err)
		}
		broken := [][]string{{`CREATE TABLE half (a TEXT)`, `CREATE NONSENSE`}}
		if err := migrateTo(broken); err == nil {
			t.Error("a failing migration gave no error")
		}
		if _, err := s.db.Exec(`SELECT * FROM half`); err == nil {
			t.Error("half of a migration stayed")
		}
	})
}

// TestReceipt checks that runs come back in the order in which they were received, whatever they say of their time and whatever the clock does.
func TestReceipt(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		s := open1(t, where)
		clock := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		for n, ago := range []time.Duration{0, 0, time.Hour, -time.Minute} { // at once, and after the clock was set back
			s.now = func() time.Time { return clock.Add(-ago) }
			run := runOf(n)
			run.When = clock.AddDate(10-n, 0, 0) // the first is of 2036
			add(t, s, run, Added)
		}
		got := runs(t, s, Filter{})
		for i, r := range got {
			if r.SHA256 != runOf(i).SHA256 || i > 0 && !r.Received.After(got[i-1].Received) || r.Received.Sub(clock).Abs() > time.Minute {
				t.Errorf("run %d: %s, received %v", i, r.ID(), r.Received)
			}
		}
	})
}

func TestRemoveAndMark(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		s := open1(t, where)
		for n := range 3 {
			run := runOf(n)
			run.SHA256 = strings.Repeat(fmt.Sprint(n), 64)
			add(t, s, run, Added)
		}
		for _, c := range []struct {
			id, reason, want string
			note             func(context.Context, string, string) (trend.RunRef, error)
		}{
			{"0000", "a build ran beside it", "", s.Remove},
			{"1111", "driver 580", "", s.Mark},
			{"1111", "driver 590", "", s.Mark}, // says it better
			{"2", "short", `"2" is not the hash of a run`, s.Mark},
			{"2' OR '1'='1", "no hash", "is not the hash of a run", s.Remove},
			{"ffff", "nobody", "there is no run ffff", s.Remove},
		} {
			run, err := c.note(t.Context(), c.id, c.reason)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && !strings.HasPrefix(run.SHA256, c.id) {
				t.Errorf("%s: %+v, %v, want %q", c.id, run, err, c.want)
			}
		}
		var said []string
		for _, r := range runs(t, s, Filter{}) {
			said = append(said, r.Removed+"|"+r.Marked)
		}
		if got := strings.Join(said, ", "); got != "a build ran beside it|, |driver 590, |" {
			t.Errorf("the history says %q", got)
		}
		again := runOf(0)
		again.SHA256 = runs(t, s, Filter{})[0].SHA256
		add(t, s, again, Known)
		if again.Removed != "a build ran beside it" {
			t.Errorf("added again, it does not say why it was removed: %q", again.Removed)
		}
		twin := runOf(9)
		twin.SHA256 = "0000" + strings.Repeat("f", 60)
		add(t, s, twin, Added)
		if _, err := s.Remove(t.Context(), "0000", "x"); err == nil || !strings.Contains(err.Error(), "2 runs begin with 0000") {
			t.Errorf("an id of two runs: %v", err)
		}
	})
}

// TestFirstSchema brings a history of the first version up to date: its runs keep their order before everything that comes, and the
// branch whose verdict they decided.
func TestFirstSchema(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		s := open1(t, where)
		for _, statement := range []string{`DROP TABLE trend_points`, `DROP TABLE trend_runs`, `DROP TABLE trend_schema`} {
			if _, err := s.db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.transact(t.Context(), func(tx *sql.Tx) error { return s.migrate(t.Context(), tx, migrations[:1]) }); err != nil {
			t.Fatal(err)
		}
		for n, year := range []int{2036, 1970, 2026} {
			run := runOf(n)
			branch := []string{"", "topic", "main"}[n]
			if _, err := s.db.Exec(s.sql(`INSERT INTO trend_runs (sha256, source, taken_us, commit_id, dirty, version, branch, release_tag, class_id, class_kind, software)
				VALUES (?, 'sweep', ?, ?, 0, '', ?, '', 'cpu-x', 'cpu', '')`), run.SHA256, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), run.Commit, branch); err != nil {
				t.Fatal(err)
			}
			if _, err := s.db.Exec(s.sql(`INSERT INTO trend_points VALUES (?, 'a.p50_ms', 'ms', 1, 1, 1, 'null')`), run.SHA256); err != nil {
				t.Fatal(err)
			}
		}
		s = open1(t, where)
		add(t, s, runOf(3), Added)
		var got []string
		for _, r := range runs(t, s, Filter{}) {
			got = append(got, fmt.Sprint(r.SHA256[63:], " ", r.Branch, " ", r.Received.Year() < 2020))
		}
		if want := "1 topic true, 2 main true, 0 main true, 3 main false"; strings.Join(got, ", ") != want {
			t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
		}
	})
}

func TestReaderOfNothing(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		if _, err := OpenReader(t.Context(), where); !errors.Is(err, errMissing) {
			t.Errorf("error %v, want one that says how to begin", err)
		}
		if _, err := os.Stat(where); err == nil {
			t.Error("reading created a file")
		}
	})
}

func TestPostgresErrors(t *testing.T) {
	const password = "very-secret"
	for _, c := range []struct {
		where string
		want  error
	}{
		{"postgres://user:" + password + "@127.0.0.1:1/none?connect_timeout=2", ErrUnreachable},
		{"postgres://user:" + password + "@[::bad/none", nil},
		{"postgres://user:" + password + "@host/db?sslmode=strange", nil},
	} {
		_, err := Open(t.Context(), c.where)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.where, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: the error has the password or several lines: %v", c.where, err)
		}
	}
}
