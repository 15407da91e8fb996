package reports

import _ "embed" // for the schema

// CertificateSchema is the JSON Schema (draft 2020-12) of a certify.Certificate, as apexx certify --out writes it.
//
//go:embed schema/certificate.schema.json
var CertificateSchema []byte
