package reports

import _ "embed" // for the schemas

// The JSON Schemas (draft 2020-12) of the files of measurements. PerfSchema holds what the others share and must be given
// to the validator with them.
var (
	//go:embed schema/perf.schema.json
	PerfSchema []byte
	//go:embed schema/sweep.schema.json
	SweepSchema []byte // sweep.WriteJSON, and one line of sweep.WriteJSONL
	//go:embed schema/gate.schema.json
	GateSchema []byte // gate.Record
	//go:embed schema/selfcheck.schema.json
	SelfcheckSchema []byte // gate.Selfcheck
	//go:embed schema/baseline.schema.json
	BaselineSchema []byte // baseline.Baseline
	//go:embed schema/suites.schema.json
	SuitesSchema []byte // sweep.CPUReport, sweep.GPUReport and sweep.EngineReport
	//go:embed schema/compare.schema.json
	CompareSchema []byte // baseline.WriteCompareSummary
	//go:embed schema/trend-artifact.schema.json
	TrendArtifactSchema []byte // baseline.WriteTrendArtifact
)
