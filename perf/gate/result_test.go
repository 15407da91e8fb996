package gate

import "testing"

// TestBecause names what a state rests on where the time of the whole has another.
func TestBecause(t *testing.T) {
	whole := Series{Metric: Time, State: CellClear}
	for name, c := range map[string]struct {
		cell Cell
		want string
	}{
		"the time":       {Cell{State: CellClear, Series: []Series{whole}}, ""},
		"no time":        {Cell{State: CellBroken}, ""},
		"memory":         {Cell{State: CellRegressed, Series: []Series{whole, {Metric: HostMemory, State: CellRegressed}}}, "peak of host memory"},
		"a step":         {Cell{State: CellRegressed, Series: []Series{whole}, Steps: &Steps{Series: []StepSeries{{Step: "a", State: CellCleared}, {Step: "b", State: CellRegressed}}}}, "step b"},
		"its parity":     {Cell{State: CellParityFailed, Series: []Series{whole}}, ""},
		"steps, cleared": {Cell{State: CellClear, Series: []Series{whole}, Steps: &Steps{Series: []StepSeries{{Step: "a", State: CellCleared}}}}, ""},
	} {
		if got := c.cell.Because(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
