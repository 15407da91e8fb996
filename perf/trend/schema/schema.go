// Package schema holds the JSON Schemas of what apexx trend writes.
package schema

import _ "embed"

// The schemas, draft 2020-12.
var (
	//go:embed trend.schema.json
	Trend []byte // of trend.Report
	//go:embed artifact.schema.json
	Artifact []byte // of trend.Artifact
)
