package reports

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

// outside matches what would run code or ask the network. Namespaces are names, not addresses.
var outside = regexp.MustCompile(`(?i)<(script|iframe|object|embed|img|link rel="stylesheet")|\bsrc=|href="[^#d]|href="data:[^,]|url\(|@import|\son[a-z]+="|javascript:`)

// checkPage holds what is true of every page.
func checkPage(t *testing.T, page string) {
	t.Helper()
	bare := strings.NewReplacer("xmlns:xlink=", "", "xmlns=", "").Replace(page)
	if at := outside.FindStringIndex(bare); at != nil {
		t.Errorf("the page reaches outside: %q", bare[max(at[0]-60, 0):min(at[1]+60, len(bare))])
	}
	for _, want := range []string{`<html lang="en">`, "prefers-color-scheme: dark", "@media print", "<h1>", "</html>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, cell := range regexp.MustCompile(`<th[ >][^>]*>?`).FindAllString(page, -1) {
		if !strings.Contains(cell, "scope=") {
			t.Errorf("a header cell without a scope: %s", cell)
		}
	}
	for _, tag := range []string{"table", "tr", "section", "figure", "svg", "td", "th", "ul", "dl", "g"} {
		if open, closed := len(regexp.MustCompile(`<`+tag+`[ >]`).FindAllString(page, -1)), strings.Count(page, "</"+tag+">"); open != closed {
			t.Errorf("%d <%s> and %d </%s>", open, tag, closed, tag)
		}
	}
}

func TestGateHTML(t *testing.T) {
	for _, o := range synthetic.Outcomes {
		page := written(t, GateHTML, synthetic.Gate(1, o))
		checkPage(t, page)
		if !strings.Contains(page, "<strong>"+outcomeWord(o)+"</strong>") {
			t.Errorf("%s: the page does not say %s", o, outcomeWord(o))
		}
	}
	page := written(t, GateHTML, synthetic.Gate(1, gate.ParityFailed))
	order := []string{"PARITY FAILED", "fails parity: det.cls.2", "One backend moved", "reference/<wbr>nano/<wbr>fp32/<wbr>384x640/<wbr>b1/<wbr>network<small", "ort/<wbr>nano/<wbr>fp32/<wbr>512x512/<wbr>b1/<wbr>complete<small", "<svg", "A/A reference", "AMD EPYC"}
	at := 0
	for _, want := range order {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Fatalf("%q is not after what comes before it in %q", want, order)
		}
		at += i
	}
	for _, s := range gate.CellStates {
		if !strings.Contains(page, "</b>"+string(s)+"</span>") {
			t.Errorf("no cell is %s", s)
		}
	}
	if again := written(t, GateHTML, synthetic.Gate(1, gate.ParityFailed)); again != page {
		t.Error("the same record gave different pages")
	}
}

func TestSweepHTML(t *testing.T) {
	page := written(t, SweepHTML, synthetic.Sweep(1))
	checkPage(t, page)
	for _, want := range []string{"FAIL", "62 cells: 56 measured, 2 failed, 3 broken, 1 unsupported", "over budget", "b1: 16.5 spent of 16", "insufficient", "it takes 662 samples, and there are 120", "no answer within 120 s",
		"b1 15.5/16", "✗ over", "explained, max abs 2.0e-05", "346.7 MiB", "Latency and throughput of nano, complete", "nano, tile-pack"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// The page of a record of a sweep is that of the sweep, and says what it is.
func TestSweepRecordHTML(t *testing.T) {
	live := synthetic.Sweep(11)
	record := *live
	record.Again = "v0.2.0"
	was, is := written(t, SweepHTML, live), written(t, SweepHTML, &record)
	fact := "\n    <div><dt>judged again</dt><dd>" + record.JudgedAgain() + "</dd></div>"
	if !strings.Contains(is, fact) {
		t.Errorf("the page does not say %q", fact)
	}
	if got := strings.Replace(is, fact, "", 1); got != was {
		t.Errorf("the page is another:\n%s\nwant:\n%s", got, was)
	}
}

func TestPagesOfHostileNames(t *testing.T) {
	for _, page := range []string{written(t, GateHTML, synthetic.HostileGate(1)), written(t, SweepHTML, synthetic.HostileSweep(1))} {
		checkPage(t, strings.NewReplacer("onerror=alert", "", "src=x", "").Replace(page)) // as text, escaped
		if strings.Contains(page, `<script>alert`) || strings.Contains(page, `<img src=x`) || !strings.Contains(page, `&lt;img src=x`) {
			t.Error("a name became markup")
		}
	}
}

func TestSweepCells(t *testing.T) {
	measured := func(change func(*sweep.CellResult)) sweep.CellResult {
		c := sweep.CellResult{State: evidence.Measured, Summary: &perf.Summary{P50: 1}, Parity: perf.Parity{State: "pass"}}
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		cell  sweep.CellResult
		class string
		word  string
	}{
		"measured":      {measured(func(*sweep.CellResult) {}), "pass", "measured"},
		"parity":        {measured(func(c *sweep.CellResult) { c.Parity.State = "fail" }), "fail", "parity"},
		"over budget":   {measured(func(c *sweep.CellResult) { c.Work = &perf.Work{Budgets: map[string]perf.Budget{"b2": {Over: true}}} }), "fail", "over budget"},
		"unverified":    {measured(func(c *sweep.CellResult) { c.Parity.State = evidence.Unverified }), "unverified", "unverified"},
		"not compared":  {measured(func(c *sweep.CellResult) { c.Parity.State = evidence.NotRun }), "unverified", "unverified"},
		"died then":     {measured(func(c *sweep.CellResult) { c.Parity.State = evidence.Crashed }), "error", "crashed"},
		"no samples":    {measured(func(c *sweep.CellResult) { c.Summary = nil }), "error", "no samples"},
		"zero":          {sweep.CellResult{}, "error", "not measured"},
		"later version": {sweep.CellResult{State: "melted"}, "error", "melted"},
		"unsupported":   {sweep.CellResult{State: evidence.Unsupported, Reason: "r", Detail: "d"}, "skipped", "unsupported"},
	} {
		if v := judgeSweepCell(c.cell); v.Class != c.class || v.Word != c.word || (v.Why == "") != (name == "measured" || name == "zero") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	good, cancelled := measured(func(*sweep.CellResult) {}), sweep.CellResult{State: evidence.Cancelled}
	for _, c := range []struct {
		cells []sweep.CellResult
		word  string
		class string
	}{
		{nil, "UNAVAILABLE", "warn"},
		{[]sweep.CellResult{good}, "PASS", "pass"},
		{[]sweep.CellResult{good, measured(func(c *sweep.CellResult) { c.Parity.State = evidence.Unverified })}, "UNVERIFIED", "warn"},
		{[]sweep.CellResult{good, measured(func(c *sweep.CellResult) { c.Parity.State = evidence.NotRun })}, "UNVERIFIED", "warn"},
		{[]sweep.CellResult{good, measured(func(c *sweep.CellResult) { c.Parity.State = evidence.Crashed })}, "BROKEN", "fail"},
		{[]sweep.CellResult{good, {State: evidence.Hung}}, "BROKEN", "fail"},
		{[]sweep.CellResult{good, measured(func(c *sweep.CellResult) { c.Parity.State = evidence.Fail })}, "FAIL", "fail"},
		{[]sweep.CellResult{good, measured(func(c *sweep.CellResult) { c.Work = &perf.Work{Budgets: map[string]perf.Budget{"b2": {Over: true}}} })}, "FAIL", "fail"},
		{[]sweep.CellResult{good, cancelled}, "INCOMPLETE", "warn"},
		{[]sweep.CellResult{{State: evidence.Unsupported}}, "UNAVAILABLE", "warn"},
	} {
		r := &sweep.Result{Cells: c.cells}
		if word, class, _ := sweepOutcome(r); word != c.word || class != c.class || (word == "PASS") != (r.ExitCode() == 0) {
			t.Errorf("%+v: %s, %s, want %s, %s", c.cells, word, class, c.word, c.class)
		}
	}
	if page := written(t, SweepHTML, (*sweep.Result)(nil)); !strings.Contains(page, "UNAVAILABLE") {
		t.Error("a nil sweep does not say that it measured nothing")
	}
}

func TestWritePerfDirs(t *testing.T) {
	dir := t.TempDir()
	gates, err := WriteGateDir(dir, synthetic.Gate(1, gate.Regression))
	if err != nil {
		t.Fatal(err)
	}
	sweeps, err := WriteSweepDir(filepath.Join(t.TempDir()), synthetic.HostileSweep(1))
	if err != nil {
		t.Fatal(err)
	}
	base := func(paths []string) (names []string) {
		for _, p := range paths {
			if info, err := os.Stat(p); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v", p, err)
			}
			names = append(names, filepath.Base(p))
		}
		return names
	}
	if got, want := base(gates), []string{"index.html", "gate.md", "junit.xml", "distributions.png", "distributions.svg", "cumulative.png", "cumulative.svg"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	names := base(sweeps)
	for _, name := range names {
		if !regexp.MustCompile(`^[A-Za-z0-9-]+\.(html|xml|png|svg)$`).MatchString(name) {
			t.Errorf("a file name of a hostile profile: %q", name)
		}
	}
	if slices.Sort(names); len(slices.Compact(names)) != len(sweeps) {
		t.Errorf("two pictures share a name: %q", names)
	}
	if _, err := WriteGateDir(filepath.Join(dir, "missing"), nil); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a missing folder: %v", err)
	}
}
