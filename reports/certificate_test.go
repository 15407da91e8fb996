package reports

import (
	"io"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/certify"
)

func TestCertificateSchema(t *testing.T) {
	digest := strings.Repeat("5a", 32)
	c := &certify.Certificate{Schema: certify.SchemaID, Config: digest, Weights: digest, Decode: map[string]string{"iou-threshold": "0.6"}, Facts: []certify.Fact{{Key: "cpu", Value: "Zen 4"}},
		Entries: []certify.Entry{{Case: "coffee", Input: digest, Column: parity.Column{Backend: "ort", Precision: backends.FP32}, Digest: digest,
			Claims: []certify.Claim{{Kind: certify.Repeat, Variant: "run 2", Digest: digest, Same: true}}}}}
	c.Seal()
	value := func() any { return encoded(t, func(w io.Writer) error { return IndentedJSON(w, c) }) }
	if err := validate(t, CertificateSchema, value()); err != nil {
		t.Error(err)
	}
	refuses(t, CertificateSchema, value(), map[string]any{"schema": "apexx.certificate/2", "facts_sha256": "00", "entries/claims/kind": "luck", "entries/claims/same": "yes", "entries/column": "ort"})
}
