package gate

import (
	"math"
	"testing"
)

func TestWorst(t *testing.T) {
	at := func(name string, s CellState, ratio float64) Cell {
		c := Cell{Name: name, State: s}
		if ratio != 0 {
			c.Series = []Series{{Metric: Time, Screen: &Estimate{Ratio: ratio}}}
		}
		return c
	}
	confirmed := at("confirmed", CellRegressed, 1.1)
	confirmed.Series[0].Confirm = &Estimate{Ratio: 1.5}
	v := &Verdict{Cells: []Cell{at("clear", CellClear, 1), at("first of equals", CellRegressed, 1.2), at("second of equals", CellRegressed, 1.2), at("broken", CellBroken, 0),
		at("NaN", CellRegressed, math.NaN()), confirmed, at("parity", CellParityFailed, 0.9), at("of a later version", "melted", 0)}}
	got := ""
	for _, c := range v.Worst() {
		got += c.Name + ", "
	}
	if want := "of a later version, parity, confirmed, first of equals, second of equals, NaN, broken, clear, "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if v.Cells[0].Name != "clear" {
		t.Error("the verdict itself was reordered")
	}
	if (*Verdict)(nil).Worst() != nil {
		t.Error("a nil verdict has cells")
	}
}
