package trend

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/internal/exit"
)

// received reads sweeps in the order in which a store receives them, an hour apart.
func received(t *testing.T, list ...*Run) []Run {
	t.Helper()
	var runs []Run
	for i, r := range list {
		r.Received = epoch.AddDate(0, 6, 0).Add(time.Duration(i) * time.Hour)
		runs = append(runs, *r)
	}
	return runs
}

// TestHistory lists what an odd history must not hide: each ends with what the ratchet says.
func TestHistory(t *testing.T) {
	of := func(day int, commit string, factor float64) *Run {
		return read(t, scaleSweep(sweepOf(day, commit, 2), factor), Origin{})
	}
	release := func() *Run { r := of(0, "aa00", 1); r.Release = "v1"; return r }
	dated := func(r *Run, year int) *Run { r.When = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); return r }
	at := func(r *Run, depth int) *Run { r.Place.Depth = depth; return r }
	removed := func(r *Run) *Run { r.Removed = "a build ran beside it"; return r }
	shard := func(r *Run, keep string) *Run {
		r.Points = slices.DeleteFunc(r.Points, func(p Point) bool { return !strings.HasPrefix(p.Metric, keep) })
		return r
	}
	gateRun := func() *Run { r := of(3, "aa03", 1); r.Source = FromGate; return r }
	for _, c := range []struct {
		name string
		runs []Run
		want int
	}{
		{"equal", received(t, release(), of(1, "aa01", 1)), exit.OK},
		{"slower", received(t, release(), of(1, "aa01", 1.5)), exit.Failed},
		{"a run of the year 2036 before it", received(t, release(), dated(of(1, "aa01", 1), 2036), of(2, "aa02", 1.5)), exit.Failed},
		{"dated 1970", received(t, release(), of(1, "aa01", 1), dated(of(2, "aa02", 1.5), 1970)), exit.Failed},
		{"dated before the release", received(t, release(), dated(of(2, "aa02", 1.5), 2025)), exit.Failed},
		{"the first of two shards", received(t, release(), shard(of(1, "aa01", 1.5), "reference"), shard(of(1, "aa01", 1), "ort")), exit.Failed},
		{"the second of two shards", received(t, release(), shard(of(1, "aa01", 1), "reference"), shard(of(1, "aa01", 1.5), "ort")), exit.Failed},
		{"two shards as fast as before", received(t, release(), shard(of(1, "aa01", 1), "reference"), shard(of(1, "aa01", 1), "ort")), exit.OK},
		{"one shard alone", received(t, release(), shard(of(1, "aa01", 1), "reference")), exit.Failed},
		{"a release of two shards", received(t, shard(release(), "reference"), shard(release(), "ort"), of(1, "aa01", 1.5)), exit.Failed},
		{"shards of two commits in turns", received(t, release(), shard(of(1, "aa01", 1), "reference"), shard(of(2, "aa02", 1.5), "reference"),
			shard(of(1, "aa01", 1), "ort"), shard(of(2, "aa02", 1), "ort")), exit.Failed},
		{"a slow shard before the other of another commit", received(t, release(), shard(of(2, "aa02", 1.5), "reference"), of(1, "aa01", 1)), exit.OK},
		{"a backend that went at the newest commit", received(t, release(), of(1, "aa01", 1), shard(of(2, "aa02", 1), "ort")), exit.Failed},
		{"a gate after a slow sweep", received(t, release(), of(1, "aa01", 1.5), gateRun()), exit.Failed},
		{"a gate alone, without a release", received(t, gateRun()), exit.NoBaseline},
		{"an old commit measured late", received(t, at(release(), 10), at(of(2, "aa02", 1.5), 12), at(of(1, "aa01", 1), 11)), exit.Failed},
		{"the mended commit measured first", received(t, at(release(), 10), at(of(2, "aa02", 1), 12), at(of(1, "aa01", 1.5), 11)), exit.OK},
		{"a slow run that was removed", received(t, release(), of(1, "aa01", 1), removed(of(2, "aa02", 1.5))), exit.OK},
		{"a fast run that was removed", received(t, release(), of(1, "aa01", 1.5), removed(of(2, "aa02", 1))), exit.Failed},
		{"a release that was removed", received(t, removed(release()), of(1, "aa01", 1)), exit.NoBaseline},
		{"everything removed", received(t, removed(release()), removed(of(1, "aa01", 1))), exit.NoBaseline},
	} {
		for i := range c.runs { // the files of two shards differ, as all others do
			c.runs[i].SHA256 = fmt.Sprintf("%064x", i)
		}
		report, err := Analyze(c.runs, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := report.RatchetExitCode(); got != c.want {
			t.Errorf("%s: %d, want %d: %+v", c.name, got, c.want, report.Classes[0].Ratchets)
		}
		if n := len(report.Classes[0].Runs); n != len(c.runs) {
			t.Errorf("%s: %d of %d runs are listed", c.name, n, len(c.runs))
		}
	}
}

// TestDeviceIsASeries checks that the device's time is judged beside the host's, and the other way round.
func TestDeviceIsASeries(t *testing.T) {
	of := func(day int, commit string, host, device float64) *Run {
		s := sweepOf(day, commit, 2)
		for i := range s.Measurements {
			m := &s.Measurements[i]
			for j := range m.Samples {
				m.DeviceSamples = append(m.DeviceSamples, device*m.Samples[j]/2)
				m.Samples[j] *= host
			}
		}
		sum(s)
		return read(t, s, Origin{})
	}
	release := of(0, "aa00", 1, 1)
	release.Release = "v1"
	for want, run := range map[string]*Run{"": of(1, "aa01", 1, 1), ".p50_ms": of(1, "aa01", 3, 1), ".device_p50_ms": of(1, "aa01", 1, 3)} {
		report, err := Analyze(received(t, release, run), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range report.Classes[0].Ratchets[0].Checks {
			if slow := want != "" && strings.HasSuffix(c.Metric, want); slow && c.State != RatchetFailed || want == "" && c.State != RatchetPassed {
				t.Errorf("%q: %+v", want, c)
			}
		}
	}
}

func TestRemovedHasNoSeries(t *testing.T) {
	runs := history("cpu-x", "cpu", 10, 11, 12, 13)
	runs[1].Removed = "a build ran beside it"
	report, err := Analyze(runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := report.Classes[0].Series[0]; !slices.Equal(s.Values, []float64{10, 12, 13}) || !slices.Equal(s.Runs, []int{0, 2, 3}) || len(report.Classes[0].Runs) != 4 {
		t.Errorf("%+v", s)
	}
	if _, _, err := Export(runs, runs[1].SHA256); err == nil || !strings.Contains(err.Error(), "was removed: a build ran beside it") {
		t.Errorf("export of it: %v", err)
	}
	runs[3].Removed = "so was the last"
	if _, run, err := Export(append(runs[:0:0], runs...), ""); err == nil || run != nil || !strings.Contains(err.Error(), runs[2].ID()) {
		t.Errorf("the newest that is left: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	received := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		run  RunRef
		want string
	}{
		"nothing odd":         {RunRef{When: received, Received: received}, ""},
		"an old file":         {RunRef{When: received.AddDate(-5, 0, 0), Received: received}, ""},
		"an hour ahead":       {RunRef{When: received.Add(time.Hour), Received: received}, ""},
		"1970":                {RunRef{When: time.Unix(0, 0).UTC(), Received: received}, "its date is 1970-01-01: a clock was not set"},
		"2036":                {RunRef{When: received.AddDate(10, 0, 0), Received: received}, "its date is 2036-11-01, and it was received on 2026-11-01"},
		"a commit of 2036":    {RunRef{When: received, Received: received, Place: Place{1, received.AddDate(10, 0, 0)}}, "the date of its commit is 2036-11-01, and it was received on 2026-11-01"},
		"a commit of 1970":    {RunRef{When: received, Received: received, Place: Place{1, time.Unix(1, 0).UTC()}}, "the date of its commit is 1970-01-01: a clock was not set"},
		"from an older store": {RunRef{When: received, Received: time.UnixMicro(3).UTC()}, ""},
	} {
		if got := strings.Join(c.run.Warnings(), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestOrder checks that runs whose commits are known are in their order, and that the others stay where they are.
func TestOrder(t *testing.T) {
	for _, c := range []struct{ depths, want []int }{
		{[]int{0, 0, 0}, []int{0, 1, 2}},
		{[]int{3, 2, 1}, []int{2, 1, 0}},
		{[]int{5, 0, 4}, []int{2, 1, 0}},
		{[]int{0, 9, 0, 7, 8, 0}, []int{0, 3, 2, 4, 1, 5}},
		{[]int{4, 4, 3, 4}, []int{2, 0, 1, 3}},
	} {
		var runs []*Run
		for i, d := range c.depths {
			runs = append(runs, &Run{RunRef: RunRef{Version: fmt.Sprint(i), Place: Place{Depth: d}}})
		}
		var got []int
		for _, r := range inOrder(runs) {
			n := math.NaN()
			fmt.Sscan(r.Version, &n)
			got = append(got, int(n))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("depths %v: %v, want %v", c.depths, got, c.want)
		}
	}
}
