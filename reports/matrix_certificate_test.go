package reports

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/certify"
	"github.com/apex-x/apexx/parity/evidence"
)

// certified is a matrix that passes, with a certificate of its two executions. The bits of one of them beside another session are the same or not.
func certified(t *testing.T, same bool) *Document {
	t.Helper()
	columns := []parity.Column{{Backend: "reference", Precision: backends.FP64}, {Backend: "reference", Precision: backends.FP32}}
	m, err := parity.Run(context.Background(), parity.MatrixSpec{Name: "x", Cases: []parity.Case{{Name: "plain"}}, Runner: runner{}, Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	model := &ModelDigests{strings.Repeat("a", 64), strings.Repeat("b", 64)}
	cert := &certify.Certificate{Schema: certify.SchemaID, Config: model.Config, Weights: model.Weights}
	for i, col := range columns {
		e := certify.Entry{Case: "plain", Column: col, Digest: "11"}
		for _, k := range []certify.Kind{certify.Repeat, certify.Stale, certify.Process, certify.Beside} {
			c := certify.Claim{Kind: k, Variant: "run 2", Digest: e.Digest, Same: true}
			if i == 1 && k == certify.Beside && !same {
				c.Digest, c.Same = "22", false
			}
			e.Claims = append(e.Claims, c)
		}
		cert.Entries = append(cert.Entries, e)
	}
	cert.Seal()
	return &Document{Matrix: m, Model: model, Certificate: &MatrixCertificate{Taken: cert, Outcome: evidence.Outcome{State: evidence.Measured}}}
}

// TestOneVerdict: a matrix whose certificate does not hold, or could not be taken, is no pass, in no form and under no exit code.
func TestOneVerdict(t *testing.T) {
	ended := func(s evidence.State) *Document {
		d := certified(t, true)
		d.Certificate = &MatrixCertificate{Outcome: evidence.Outcome{State: s, Reason: "why"}}
		return d
	}
	for name, tt := range map[string]struct {
		d    *Document
		code int
		says string // in the line of the verdict
	}{
		"deterministic":     {certified(t, true), exit.OK, "PASS  1 cell: 1 pass (balanced e2e)"},
		"not deterministic": {certified(t, false), exit.Failed, "FAIL  1 cell: 1 pass; not deterministic (balanced e2e)"},
		"crashed":           {ended(evidence.Crashed), exit.Internal, "BROKEN  1 cell: 1 pass; no certificate (crashed) (balanced e2e)"},
		"not to be had":     {ended(evidence.Unsupported), exit.Unavailable, "UNAVAILABLE  1 cell: 1 pass; no certificate (unsupported) (balanced e2e)"},
		"interrupted":       {ended(evidence.Cancelled), exit.Interrupted, "INCOMPLETE  1 cell: 1 pass; no certificate (cancelled) (balanced e2e)"},
	} {
		if code := tt.d.ExitCode(); code != tt.code {
			t.Errorf("%s: exit code %d, want %d", name, code, tt.code)
		}
		for form, write := range map[string]func(*bytes.Buffer) error{
			"table":    func(b *bytes.Buffer) error { return Table(b, tt.d, TableOptions{}) },
			"markdown": func(b *bytes.Buffer) error { return Markdown(b, tt.d) },
			"page":     func(b *bytes.Buffer) error { return HTML(b, tt.d) },
			"JSON":     func(b *bytes.Buffer) error { return JSON(b, tt.d) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), "PASS") != (tt.code == exit.OK) {
				t.Errorf("%s: the %s says PASS, or does not:\n%s", name, form, &b)
			}
			if form == "table" && !strings.HasSuffix(b.String(), "\n"+tt.says+"\n") {
				t.Errorf("%s: the table ends otherwise than in %q:\n%s", name, tt.says, &b)
			}
			if read, err := ReadMatrix(&b); form == "JSON" && (err != nil || read.ExitCode() != tt.code) {
				t.Errorf("%s: read: %v", name, err)
			}
		}
		var b bytes.Buffer
		if err := MatrixJUnit(&b, tt.d); err != nil {
			t.Fatal(err)
		}
		if wrong := strings.Contains(b.String(), "<failure") || strings.Contains(b.String(), "<error"); wrong != (tt.code != exit.OK) {
			t.Errorf("%s: JUnit says that something is wrong: %t\n%s", name, wrong, &b)
		}
	}
}

// TestForgedCertificate edits the certificate in a file.
func TestForgedCertificate(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(d *Document)
		want string
	}{
		"claimed to be the same": {func(d *Document) { d.Certificate.Taken.Entries[1].Claims[3].Same = true }, "contradicts itself"},
		"of another model":       {func(d *Document) { d.Certificate.Taken.Weights = strings.Repeat("c", 64) }, "of another model"},
		"a column less":          {func(d *Document) { d.Certificate.Taken.Entries = d.Certificate.Taken.Entries[:1] }, "lacks the case plain on reference/fp32"},
		"taken, and crashed":     {func(d *Document) { d.Certificate.State = evidence.Crashed }, "ended as crashed, and it is there: true"},
		"measured, and absent":   {func(d *Document) { d.Certificate.Taken = nil }, "ended as measured, and it is there: false"},
	} {
		d := certified(t, false)
		tt.edit(d)
		var b bytes.Buffer
		if err := JSON(&b, d); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadMatrix(&b); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
