package main

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/certify"
)

// TestCertificateExitCode does not let a backend pass whose repeats give other bits.
func TestCertificateExitCode(t *testing.T) {
	for same, want := range map[bool]int{true: exit.OK, false: exit.Failed} {
		entry := certify.Entry{Case: "scene", Column: parity.Column{Backend: "reference", Precision: backends.FP32}, Digest: "a"}
		for _, k := range []certify.Kind{certify.Repeat, certify.Stale, certify.Process, certify.Beside} {
			entry.Claims = append(entry.Claims, certify.Claim{Kind: k, Variant: "run 2", Digest: "a", Same: same || k != certify.Beside})
		}
		cert := &certify.Certificate{Schema: certify.SchemaID, Entries: []certify.Entry{entry}}
		var out bytes.Buffer
		app := cli.NewApp()
		app.Writer = &out
		err := writeCertificate(cli.NewContext(app, flag.NewFlagSet("", flag.ContinueOnError), nil), "", cert)
		if exit.Code(err) != want || strings.Contains(out.String(), "NOT DETERMINISTIC") == same {
			t.Errorf("same bits %t: exit code %d, want %d, of\n%s", same, exit.Code(err), want, &out)
		}
	}
}
