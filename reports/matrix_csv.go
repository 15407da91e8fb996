package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// MatrixCSV writes a row for every output of every cell (RFC 4180), of the free runs and of replays, and one for a cell without any, under a
// header. Numbers have all their digits, what is not there is empty, and infinities are Infinity. A text that a spreadsheet would take for a
// formula gets an apostrophe in front.
func MatrixCSV(w io.Writer, d *Document) error {
	d = clean(d)
	columns := append(within(cellColumns, outputCell), outputColumns...)
	c := csv.NewWriter(w)
	record := make([]string, len(columns))
	for i, col := range columns {
		record[i] = col.name
	}
	if err := c.Write(record); err != nil {
		return err
	}
	for _, row := range outputRows(d.Matrix) {
		for i, col := range columns {
			record[i] = csvText(col.of(row))
		}
		if err := c.Write(record); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// csvText renders a value of a column.
func csvText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		if math.IsInf(v, 0) {
			return strings.NewReplacer("+Inf", "Infinity", "-Inf", "-Infinity").Replace(strconv.FormatFloat(v, 'g', -1, 64))
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		if v != "" && strings.ContainsRune("=+-@\t", rune(v[0])) {
			return "'" + v
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}
