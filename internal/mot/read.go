package mot

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/track"
)

// Load reads a file of tracks: a ground truth or a result. Errors are one line and name the file.
func Load(path string) ([]Row, error) {
	text, err := input.Read(path, input.Tracks)
	if err != nil {
		return nil, err
	}
	rows, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	return rows, nil
}

// Parse reads what Write writes, and ground truths. A line has from six to ten columns
//
//	frame,id,left,top,width,height,score,…
//
// of which those after the seventh (class and visibility, or a position in space) do not matter; a missing score is 1. Blanks
// around numbers and empty lines are allowed, the order of lines is free. The rows are sorted by frame and id. Errors tell line
// and column: a frame or id that is no integer of at least 1, a number that is not finite or no pixel's, a negative side, an id
// that is twice in a frame.
func Parse(text []byte) ([]Row, error) {
	var rows []Row
	lineOf := map[[2]int64]int{} // by frame and id
	for i, line := range bytes.Split(text, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		row, err := parseRow(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		key := [2]int64{int64(row.Frame), row.ID}
		if first, twice := lineOf[key]; twice {
			return nil, fmt.Errorf("line %d: the id %d is in frame %d already, on line %d", i+1, row.ID, row.Frame, first)
		}
		lineOf[key] = i + 1
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Or(cmp.Compare(a.Frame, b.Frame), cmp.Compare(a.ID, b.ID)) })
	return rows, nil
}

// maxPixels bounds what a box is made of, far beyond any picture, so that areas are finite.
const maxPixels = 1e9

var columns = []string{"frame", "id", "left", "top", "width", "height", "score"}

func parseRow(line string) (Row, error) {
	fields := strings.Split(line, ",")
	if len(fields) < 6 || len(fields) > 10 {
		return Row{}, fmt.Errorf("%d columns, want %s and up to three more", len(fields), strings.Join(columns, ","))
	}
	values := [7]float64{6: 1}
	for i := range min(len(fields), len(columns)) {
		field := strings.TrimSpace(fields[i])
		v, err := strconv.ParseFloat(field, 64)
		switch {
		case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
			return Row{}, fmt.Errorf("the %s is %s, want a finite number", columns[i], strconv.Quote(printable.Line(field)))
		case i < 2 && (v != math.Trunc(v) || v < 1 || v > math.MaxInt32):
			return Row{}, fmt.Errorf("the %s is %s, want an integer from 1 to %d", columns[i], field, math.MaxInt32)
		case i >= 2 && i < 6 && math.Abs(v) > maxPixels:
			return Row{}, fmt.Errorf("the %s is %s, want at most %d pixels", columns[i], field, int(maxPixels))
		case (i == 4 || i == 5) && v < 0:
			return Row{}, fmt.Errorf("the %s is %s, want at least 0", columns[i], field)
		}
		values[i] = v
	}
	left, top := values[2], values[3]
	return Row{Frame: int(values[0]), ID: int64(values[1]), Box: track.Box{left, top, left + values[4], top + values[5]}, Score: values[6]}, nil
}
