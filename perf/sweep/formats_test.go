package sweep_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"

	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

// mixed is a result with a backend that is not there.
func mixed() *sweep.Result {
	return sweeptest.New(3, sweeptest.Spec{Backends: []string{"reference", "ort", "cuda"}, Sides: []int{256}, Replicates: 3, Samples: 20})
}

func write(t *testing.T, f func(io.Writer, *sweep.Result) error, r *sweep.Result) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	goldenfile.Check(t, "sweep.md", write(t, sweep.WriteMarkdown, mixed()))
	goldenfile.Check(t, "sweep.csv", write(t, sweep.WriteCSV, mixed()))
	goldenfile.Check(t, "sweep.jsonl", write(t, sweep.WriteJSONL, mixed()))
	goldenfile.Check(t, "sweep.bench.txt", write(t, sweep.WriteBenchmark, mixed()))
	goldenfile.Check(t, "gpu.md", write(t, sweep.WriteMarkdown, sweeptest.New(4, sweeptest.Spec{GPU: true, Backends: []string{"reference", "cuda"}, Samples: 200})))
}

func TestWriteErrorsAreReported(t *testing.T) {
	full := errors.New("full")
	for name, f := range map[string]func(io.Writer, *sweep.Result) error{"json": sweep.WriteJSON, "jsonl": sweep.WriteJSONL, "csv": sweep.WriteCSV,
		"markdown": sweep.WriteMarkdown, "benchmark": sweep.WriteBenchmark} {
		if err := f(failing{full}, mixed()); !errors.Is(err, full) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestJSONRoundTrip(t *testing.T) {
	for _, r := range []*sweep.Result{mixed(), sweeptest.New(5, sweeptest.Spec{GPU: true, Backends: []string{"reference", "cuda"}})} {
		got, err := sweep.Read(bytes.NewReader(write(t, sweep.WriteJSON, r)))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Error("reading gave another result than was written")
		}
	}
}

// What is written of a record says so where people read it, and is what was written of the sweep in every other respect.
func TestRecordsSayThatTheyAre(t *testing.T) {
	live, record := mixed(), mixed()
	record.Again = "v0.2.0"
	const text = "from its record, by apexx v0.2.0: nothing was measured for it, and gpu_report.json and cpu_report.json are not made of a record"
	if got, want := record.RecordLine(), "record: measured 2026-03-01 12:00:00 UTC on "+record.Class.ID+"; judged again "+text; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	markdown := string(write(t, sweep.WriteMarkdown, record))
	line := "- judged again: " + strings.ReplaceAll(text, "_", `\_`) + "\n"
	if got, want := strings.Replace(markdown, line, "", 1), string(write(t, sweep.WriteMarkdown, live)); !strings.Contains(markdown, line) || got != want {
		t.Errorf("%s\nwant %s", markdown, want)
	}
	for name, f := range map[string]func(io.Writer, *sweep.Result) error{"json": sweep.WriteJSON, "jsonl": sweep.WriteJSONL, "csv": sweep.WriteCSV, "benchmark": sweep.WriteBenchmark} {
		if got, want := write(t, f, record), write(t, f, live); !bytes.Equal(got, want) {
			t.Errorf("%s of a record:\n%s\nwant:\n%s", name, got, want)
		}
	}
}

func TestJSONLHoldsEveryCell(t *testing.T) {
	r := mixed()
	d := json.NewDecoder(bytes.NewReader(write(t, sweep.WriteJSONL, r)))
	for _, c := range r.Cells {
		var line sweep.CellLine
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Schema != sweep.CellSchemaID || line.ClassID != r.Class.ID || !reflect.DeepEqual(line.CellResult, c) {
			t.Errorf("%s: %+v", c.Name, line)
		}
	}
	if d.More() {
		t.Error("more lines than cells")
	}
}

func TestCSVIsSafe(t *testing.T) {
	r := mixed()
	r.Cells[len(r.Cells)-1].Detail = "=HYPERLINK(\"http://x\",\"y\")\nsecond, line"
	r.Cells[len(r.Cells)-2].Detail = "\t@SUM(A1)"
	r.Environment.Commit = "-1+2"
	rows, err := csv.NewReader(bytes.NewReader(write(t, sweep.WriteCSV, r))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+len(r.Cells) {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows[1:] {
		for i, field := range row {
			if field != "" && strings.ContainsRune("=+-@\t\r", rune(field[0])) {
				t.Errorf("%s: field %q runs in a spreadsheet", rows[0][i], field)
			}
		}
	}
	at := slices.Index(rows[0], "detail")
	if got := rows[len(rows)-1][at]; got != "'=HYPERLINK(\"http://x\",\"y\")\nsecond, line" {
		t.Errorf("detail %q", got)
	}
}

func TestMarkdownEscapes(t *testing.T) {
	r := mixed()
	r.Command, r.Cells[len(r.Cells)-1].Detail = "apexx <script>\n# no", "a | b | c \x1b[2J\u202e"
	text := string(write(t, sweep.WriteMarkdown, r))
	if strings.Contains(text, "<script>") || strings.Contains(text, "\n# no") || strings.Contains(text, "a | b") ||
		strings.ContainsAny(text, "\x1b\u202e") {
		t.Error(text)
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "|") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 15 {
			t.Errorf("a row of another width: %s", line)
		}
	}
}

// TestBenchmarkFormat reads what WriteBenchmark wrote with the reader that benchstat has.
func TestBenchmarkFormat(t *testing.T) {
	r := sweeptest.New(6, sweeptest.Spec{GPU: true, Backends: []string{"reference", "cuda"}, Batches: []int{4}, Replicates: 4})
	r.Environment.CPU.Model = "A\nB  C"
	r.Environment.Libraries = append(r.Environment.Libraries, env.Software{Key: "Python: 3", Value: "x"})
	r.Environment.Variables = []env.Software{{Key: "CUDA_LAUNCH_BLOCKING", Value: "1"}}
	reader := benchfmt.NewReader(bytes.NewReader(write(t, sweep.WriteBenchmark, r)), "sweep")
	lines := 0
	for reader.Scan() {
		res, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			t.Fatalf("%v", reader.Result())
		}
		m := r.Measurements[lines]
		lines++
		if got := res.GetConfig("cpu"); got != "A B C" {
			t.Errorf("cpu %q", got)
		}
		if res.GetConfig("class") != r.Class.ID || res.GetConfig("lib-driver") != "580.95.05" || res.GetConfig("lib-python--3") != "x" ||
			res.GetConfig("env-cuda-launch-blocking") != "1" {
			t.Errorf("configuration %v", res.Config)
		}
		base, parts := res.Name.Parts()
		var name []string
		for _, p := range parts {
			name = append(name, string(p))
		}
		want := "/backend=" + m.Cell.Backend + "/profile=nano/precision=fp32/shape=" + m.Cell.Shape() + "/batch=4/scope=" + string(m.Cell.Scope) + "-16"
		if string(base) != "Apexx" || strings.Join(name, "") != want {
			t.Errorf("%s%s, want %s", base, name, want)
		}
		median, ok := res.Value("sec/op")
		s := slices.Sorted(slices.Values(m.Samples))
		if want := (s[19] + s[20]) / 2 / 1e9; !ok || math.Abs(median/want-1) > 1e-9 {
			t.Errorf("%s: %g s, want %g", res.Name, median, want)
		}
		if p95, _ := res.Value("p95-sec"); math.Abs(p95/(s[37]/1e9)-1) > 1e-9 { // ⌊0.95·39⌋ = 37
			t.Errorf("%s: p95 %g s", res.Name, p95)
		}
		for _, unit := range []string{"first-run-sec", "B/op", "allocs/op", "peak-bytes"} {
			if _, ok := res.Value(unit); !ok {
				t.Errorf("%s: no %s", res.Name, unit)
			}
		}
		if _, ok := res.Value("device-peak-bytes"); ok != (m.Cell.Backend == "cuda") {
			t.Errorf("%s: device-peak-bytes %v", res.Name, ok)
		}
	}
	if err := reader.Err(); err != nil || lines != len(r.Measurements) {
		t.Errorf("%d lines of %d, %v", lines, len(r.Measurements), err)
	}
}

func TestBenchmarkThreads(t *testing.T) {
	r := sweeptest.New(1, sweeptest.Spec{Sides: []int{256}, Scopes: []perf.Scope{perf.TilePack}, Replicates: 1})
	r.Plan.Threads = 7
	if text := string(write(t, sweep.WriteBenchmark, r)); !strings.Contains(text, "scope=tile-pack-7 40 ") {
		t.Error(text)
	}
}
