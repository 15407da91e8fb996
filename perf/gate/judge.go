package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// Candidates returns the cells of a screened record that have to be confirmed, the worst first, at most MaxConfirm.
func Candidates(rec *Record) []perf.Cell {
	cells, screen := screened(rec)
	confirm, _ := rec.Policy.worst(values(screen))
	var out []perf.Cell
	for _, i := range confirm {
		out = append(out, cells[i])
	}
	return out
}

// screened returns the cells whose speed counts and what their screening blocks say.
func screened(rec *Record) ([]perf.Cell, []series) {
	cells := holding(rec)
	list := make([]series, len(cells))
	for i, c := range cells {
		list[i] = blocksOf(rec.Screen, c, rec.Policy.ScreenBlocks, false, rec.Policy.Delta)
	}
	return cells, list
}

func values(list []series) [][]float64 {
	out := make([][]float64, len(list))
	for i, s := range list {
		out[i] = s.values
	}
	return out
}

// Judge concludes. It uses the policy, the cells and the measurements of a record and nothing else, so it gives the same
// verdict whenever it is asked, and in whatever order the measurements are listed. Check says whether a record that comes from a
// file is whole.
func Judge(rec *Record) *Verdict {
	rec = sorted(rec)
	j := judge{rec: rec, p: rec.Policy, v: &Verdict{Reasons: []string{}, Cells: []Cell{}, Controls: []Control{}, Warnings: []string{}}}
	cells, screen := screened(rec)
	sd := spread(values(screen))
	j.v.Resolution = rounded(j.p.resolution(sd))
	j.cells(cells, screen)
	j.controls()
	j.conclude()
	return j.v
}

// sorted returns a record with its measurements in the order of blocks and slots.
func sorted(rec *Record) *Record {
	r := *rec
	for _, list := range []*[]perf.Measurement{&r.Screen, &r.Confirm} {
		*list = slices.Clone(*list)
		slices.SortStableFunc(*list, func(a, b perf.Measurement) int {
			return cmp.Or(cmp.Compare(a.Block, b.Block), cmp.Compare(a.Replicate, b.Replicate))
		})
	}
	return &r
}

type judge struct {
	rec *Record
	p   Policy
	v   *Verdict
}

// cells gives every cell of the record its state.
func (j *judge) cells(held []perf.Cell, screen []series) {
	confirm, rest := j.p.worst(values(screen))
	for _, c := range j.rec.Cells {
		cell := Cell{Cell: c, Name: c.String()}
		cell.Parity, _ = parityOf(j.rec, c)
		at := slices.Index(held, c)
		switch {
		case at < 0:
			cell.State, cell.Note = j.unheld(c)
		default:
			cell.Screen = screen[at].estimate()
			j.warn(cell.Name, screen[at])
			j.screenState(&cell, screen[at])
			if slices.Contains(rest, at) {
				cell.State = CellUnconfirmed
				cell.Note = fmt.Sprintf("slower on the screen; only the worst %d candidates are confirmed", j.p.MaxConfirm)
			}
			if slices.Contains(confirm, at) {
				j.confirmState(&cell)
			}
			if why := dead(slices.Concat(j.rec.Screen, j.rec.Confirm), c); why != "" {
				cell.Note = why
				if cell.State != CellRegressed { // which is worse, and as certain
					cell.State = CellBroken
				}
			}
		}
		j.v.Cells = append(j.v.Cells, cell)
	}
}

// unheld is the state of a cell whose parity does not hold. A cell that base has and head lacks is broken.
func (j *judge) unheld(c perf.Cell) (CellState, string) {
	for _, p := range j.rec.Parity {
		switch {
		case p.Cell != c:
		case p.Parity.State == evidence.Fail:
			return CellParityFailed, p.Parity.Detail
		case p.Parity.State == unsupported && p.Base.State != "" && p.Base.State != unsupported:
			return CellBroken, "the head does not support what the base does: " + p.Parity.Detail
		case p.Parity.State == unsupported:
			return CellUnsupported, p.Parity.Detail
		default:
			return CellBroken, fmt.Sprintf("the head %s: %s", p.Parity.State, p.Parity.Detail)
		}
	}
	return CellBroken, "no witness run is recorded"
}

// screenState judges by the screen alone.
func (j *judge) screenState(cell *Cell, s series) {
	switch {
	case cell.Screen == nil:
		cell.State, cell.Note = missing(j.rec.Screen, cell.Cell, s)
	case cell.Screen.High < 1 && cell.Screen.Ratio <= 1/(1+j.p.Delta):
		cell.State = CellFaster
	default:
		cell.State = CellClear
	}
}

// dead tells how the head failed on a cell, "" if it never did. One failure among many replicates is enough: a build that
// crashes now and then is not fit, however fast.
func dead(list []perf.Measurement, c perf.Cell) string {
	for _, m := range list {
		if m.Cell == c && m.Arm == perf.Head && m.State != evidence.Measured {
			return "the " + failure(m)
		}
	}
	return ""
}

// failure says how a measurement ended.
func failure(m perf.Measurement) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", m.Arm, m.State, m.Reason, m.Detail))
}

// missing says why a cell has too few blocks: a side that fails is broken, a base that never had the cell leaves nothing to
// compare with, and blocks that were dropped are noise.
func missing(list []perf.Measurement, c perf.Cell, s series) (CellState, string) {
	for _, m := range list {
		if m.Cell == c && m.Arm == perf.Base && m.State == evidence.Unsupported {
			return CellUnsupported, "the base does not support it: " + strings.TrimSpace(m.Reason+" "+m.Detail)
		}
		if m.Cell == c && m.State != evidence.Measured {
			return CellBroken, "the " + failure(m)
		}
	}
	if len(s.dropped) > 0 {
		return CellNoisy, fmt.Sprintf("%d blocks were dropped, %d remain: %s", len(s.dropped), len(s.values), s.dropped[0])
	}
	return CellBroken, "nothing was measured"
}

// confirmState judges a candidate by its fresh blocks.
func (j *judge) confirmState(cell *Cell) {
	s := blocksOf(j.rec.Confirm, cell.Cell, j.p.ConfirmBlocks, false, j.p.Delta)
	cell.Confirm = s.estimate()
	j.warn(cell.Name+" (confirmation)", s)
	beyondDoubt, byEstimate := j.p.slower(s.values)
	switch {
	case cell.Confirm == nil:
		cell.State, cell.Note = missing(j.rec.Confirm, cell.Cell, s)
	case beyondDoubt:
		cell.State, cell.Note = CellRegressed, ""
	case stat.SmallestP(len(s.values)) > j.p.Alpha:
		cell.State = CellNoisy
		cell.Note = fmt.Sprintf("%d of %d blocks were dropped: the others could not confirm any slowdown", len(s.dropped), j.p.ConfirmBlocks)
	case byEstimate:
		cell.State = CellNoisy
		cell.Note = fmt.Sprintf("slower by the estimate, but p = %.2g is above %.2g", cell.Confirm.P, j.p.Alpha)
	default:
		cell.State, cell.Note = CellCleared, "slower on the screen, not when confirmed"
	}
}

// warn passes on why blocks were dropped.
func (j *judge) warn(name string, s series) {
	for _, d := range s.dropped {
		j.v.Warnings = append(j.v.Warnings, name+": "+d)
	}
}

// controls judges what should not have moved.
func (j *judge) controls() {
	add := func(name string, s series) {
		if e := s.estimate(); e != nil {
			j.v.Controls = append(j.v.Controls, Control{Name: name, Fired: j.p.fires(s.values), Estimate: e})
		}
	}
	add("reference workload", workloadBlocks(j.rec.Workload, Screen, j.p.ScreenBlocks))
	if len(j.rec.Confirm) > 0 {
		add("reference workload (confirmation)", workloadBlocks(j.rec.Workload, Confirm, j.p.ConfirmBlocks))
	}
	for _, c := range j.p.controlled(holding(j.rec)) {
		s := blocksOf(j.rec.Screen, c, j.p.ScreenBlocks, true, j.p.Delta)
		add("A/A "+c.String(), s)
		j.warn("A/A "+c.String(), s)
	}
}
