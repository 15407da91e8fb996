package sweep

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
)

// csvColumns are the columns of WriteCSV. A column in a unit ends with it: _px, _ms, _per_s (images per second), _bytes.
var csvColumns = []string{
	"name", "backend", "profile", "precision", "height_px", "width_px", "batch", "scope", "state", "reason", "detail", "replicates", "samples",
	"p50_ms", "p90_ms", "p95_ms", "p99_ms", "throughput_per_s", "spread_ratio", "device_p50_ms", "device_p95_ms", "end_to_end_p50_ms", "end_to_end_p95_ms", "first_run_ms", "compile_ms",
	"host_peak_bytes", "device_peak_bytes", "allocs_per_run", "alloc_bytes_per_run", "tiles_l0", "tiles_l1", "tiles_l2", "candidates",
	"parity", "parity_max_abs", "ap", "ap_delta", "ap_delta_low", "ap_delta_high", "mask_ap", "miou", "pq", "class_id", "commit", "when",
}

// WriteCSV writes one row per cell (RFC 4180), measured or not, under a header whose names carry the units. What was not measured
// is empty. Tiles and candidates are sums over the batch. A text that a spreadsheet would take for a formula gets an
// apostrophe in front.
func WriteCSV(w io.Writer, r *Result) error {
	c := csv.NewWriter(w)
	if err := c.Write(csvColumns); err != nil {
		return err
	}
	for i := range r.Cells {
		if err := c.Write(csvRow(r, &r.Cells[i])); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func csvRow(r *Result, c *CellResult) []string {
	row := []string{c.Name, c.Cell.Backend, c.Cell.Profile, string(c.Cell.Precision), strconv.Itoa(c.Cell.Height), strconv.Itoa(c.Cell.Width),
		strconv.Itoa(c.Cell.Batch), string(c.Cell.Scope), string(c.State), c.Reason, c.Detail}
	if s := c.Summary; s != nil {
		row = append(row, strconv.Itoa(s.Replicates), strconv.Itoa(s.Samples), number(s.P50), number(s.P90), number(s.P95), optional(s.P99),
			number(s.Throughput), number(s.Spread))
	} else {
		row = append(row, make([]string, 8)...)
	}
	for _, s := range []*perf.Summary{c.Device, c.EndToEnd} {
		if s != nil {
			row = append(row, number(s.P50), number(s.P95))
		} else {
			row = append(row, "", "")
		}
	}
	if c.Summary != nil {
		row = append(row, number(c.FirstRunMS), number(c.CompileMS), strconv.FormatInt(c.HostPeakBytes, 10),
			strconv.FormatInt(c.DevicePeakBytes, 10), number(c.AllocsPerRun), number(c.BytesPerRun))
	} else {
		row = append(row, make([]string, 6)...)
	}
	row = append(row, workColumns(c.Work)...)
	row = append(row, string(c.Parity.State), number(c.Parity.MaxAbs))
	row = append(row, qualityColumns(c.Quality)...)
	row = append(row, r.Class.ID, r.Environment.Commit, r.When.UTC().Format("2006-01-02T15:04:05Z"))
	for i := range row {
		if _, err := strconv.ParseFloat(row[i], 64); err != nil {
			row[i] = plainText(row[i])
		}
	}
	return row
}

func workColumns(w *perf.Work) []string {
	if w == nil {
		return make([]string, 4)
	}
	out := make([]string, 0, 4)
	for _, list := range [][]int{w.TilesL0, w.TilesL1, w.TilesL2, w.Candidates} {
		if len(list) == 0 {
			out = append(out, "")
			continue
		}
		out = append(out, strconv.Itoa(sum(list)))
	}
	return out
}

func sum(list []int) int {
	total := 0
	for _, n := range list {
		total += n
	}
	return total
}

// qualityColumns are shares in [0,1], and differences of them.
func qualityColumns(q *CellQuality) []string {
	out := make([]string, 7)
	if q == nil || q.Result == nil {
		return out
	}
	if d := q.Result.Of(accuracy.BoxAP); d != nil {
		out[0], out[1], out[2], out[3] = number(d.Candidate), number(d.Delta), number(d.Low), number(d.High)
	}
	for i, m := range []accuracy.Metric{accuracy.MaskAP, accuracy.MIoU, accuracy.PQ} {
		if d := q.Result.Of(m); d != nil {
			out[4+i] = number(d.Candidate)
		}
	}
	return out
}

// plainText keeps spreadsheets from running a field that is no number.
func plainText(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func optional(f *float64) string {
	if f == nil {
		return ""
	}
	return number(*f)
}
