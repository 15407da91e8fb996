package reports

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/certify"
	"github.com/apex-x/apexx/parity/evidence"
)

// MatrixCertificate is the determinism certificate of the executions of a matrix, or how taking it ended.
type MatrixCertificate struct {
	Taken            *certify.Certificate `json:"taken,omitempty"` // with the state Measured alone
	evidence.Outcome                      // of taking it
}

// state is what the certificate counts for beside the cells; Pass where there is none.
func (c *MatrixCertificate) state() evidence.State {
	switch {
	case c == nil:
		return evidence.Pass
	case c.Taken == nil:
		return c.State
	case c.Taken.Deterministic():
		return evidence.Pass
	}
	return evidence.Fail
}

// String renders what the certificate says, "" where there is none.
func (c *MatrixCertificate) String() string {
	switch {
	case c == nil:
		return ""
	case c.Taken == nil:
		return fmt.Sprintf("certificate: %s, %s %s", c.State, c.Reason, c.Detail)
	}
	return "certificate: " + c.Taken.Verdict()
}

// check holds a certificate to itself, and to the matrix: it is of every case in every column, and of the same model.
func (c *MatrixCertificate) check(m *parity.Matrix, model *ModelDigests) error {
	if c == nil {
		return nil
	}
	if _, err := evidence.Parse(string(c.State)); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	if (c.State == evidence.Measured) != (c.Taken != nil) {
		return fmt.Errorf("certificate: taking it ended as %s, and it is there: %t", c.State, c.Taken != nil)
	}
	if c.Taken == nil {
		return nil
	}
	if err := c.Taken.Check(); err != nil {
		return err
	}
	if model != nil && (c.Taken.Config != model.Config || c.Taken.Weights != model.Weights) {
		return errors.New("certificate: it is of another model than the matrix")
	}
	for _, name := range m.Cases {
		for _, col := range m.Columns {
			if !slices.ContainsFunc(c.Taken.Entries, func(e certify.Entry) bool { return e.Case == name && e.Column == col }) {
				return fmt.Errorf("certificate: it lacks the case %s on %s", name, col)
			}
		}
	}
	return nil
}

// ExitCode is that of the matrix and of what was done beside it: an evaluation that crashed, hung or erred counts as a cell that did, and a
// certificate as a cell that passes where everything is deterministic, fails where something is not, and else ends as taking it did.
func (d *Document) ExitCode() int {
	var beside []evidence.State
	if d.Quality != nil {
		for _, r := range d.Quality.Rows {
			if r.State.Broken() {
				beside = append(beside, r.State)
			}
		}
	}
	certified := d.Certificate.state()
	if certified != evidence.Pass {
		beside = append(beside, certified)
	}
	code := d.Matrix.ExitCode(beside...)
	if code == exit.OK && certified != evidence.Pass { // it cannot be had here, and was asked for
		return exit.Unavailable
	}
	return code
}

// tally counts the cells by state, and says what beside them does not hold: "24 cells: 24 pass; not deterministic".
func (d *Document) tally() string {
	text := tally(d.Matrix)
	switch s := d.Certificate.state(); s {
	case evidence.Pass:
		return text
	case evidence.Fail:
		return text + "; not deterministic"
	default:
		return fmt.Sprintf("%s; no certificate (%s)", text, s)
	}
}
