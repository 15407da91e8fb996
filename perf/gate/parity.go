package gate

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
)

// holding lists the cells that are measured: both sides compute what they should, and the same. The speed of others does not count.
func holding(rec *Record) []perf.Cell {
	return slices.DeleteFunc(slices.Clone(rec.Cells), func(c perf.Cell) bool {
		state, _ := rec.unheld(c)
		return state != ""
	})
}

// parityOf returns what the untimed runs of a cell showed; without an entry, that there were none.
func (rec *Record) parityOf(c perf.Cell) CellParity {
	for _, p := range rec.Parity {
		if p.Cell == c {
			return p
		}
	}
	none := perf.Parity{State: evidence.NotRun, Detail: "no untimed run is recorded"}
	return CellParity{Cell: c, Parity: none, Base: none}
}

// unheld is the state of a cell that is not measured, and why; "" for one that is. A cell that base has and head lost is broken, and
// one that base never had leaves nothing to compare with. A head that computes something else than the base needs a reason
// (Record.Accepted), and then the base may be the one that was wrong.
func (rec *Record) unheld(c perf.Cell) (CellState, string) {
	p := rec.parityOf(c)
	head, base, changed := p.Parity, p.Base, p.Change != nil && !p.Change.Holds()
	switch {
	case head.State == evidence.Fail:
		return CellParityFailed, head.Detail
	case head.State == evidence.Unsupported && base.State == evidence.Unsupported:
		return CellUnsupported, head.Detail
	case head.State == evidence.Unsupported:
		return CellBroken, "the head does not support what the base does: " + head.Detail
	case head.State == evidence.Unverified:
		return CellUnverified, "of the head: " + head.Detail
	case !head.Holds():
		return CellBroken, fmt.Sprintf("the head %s: %s", head.State, head.Detail)
	case base.State == evidence.Unsupported:
		return CellUnsupported, "the base does not support it: " + base.Detail
	case !base.State.Compared():
		return CellBroken, fmt.Sprintf("the base %s: %s", base.State, base.Detail)
	case changed && rec.Accepted == "":
		if p.Change.State == evidence.Unverified {
			return CellUnverified, "of the head against the base: " + p.Change.Detail
		}
		return CellParityFailed, "the head computes something else than the base: " + p.Change.Detail
	case !base.Holds() && !changed:
		return CellUnverified, fmt.Sprintf("parity of the base is %s: %s", base.State, base.Detail)
	}
	return "", ""
}
