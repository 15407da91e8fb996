package trend

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/trend/schema"
)

func validate(t *testing.T, schemaText, document []byte) error {
	t.Helper()
	source, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", source); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Validate(value)
}

func reportJSON(t *testing.T, runs []Run) []byte {
	t.Helper()
	report, err := Analyze(runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return jsonOf(t, report)
}

func TestReportFitsSchema(t *testing.T) {
	var sweeps []Run
	for day, ms := range noisy(41, 12, 2, 2.3) {
		sweeps = append(sweeps, *read(t, sweepOf(day, fmt.Sprintf("abcdef%04d", day), ms), Origin{Branch: "main"}))
	}
	sweeps[3].Release = "v1"
	sweeps[4].Place, sweeps[4].Received = Place{Depth: 7, Committed: epoch}, epoch
	sweeps[5].Removed, sweeps[6].Marked, sweeps[7].LeftOut = "a build ran beside it", "new kernel", []string{cellA.String() + " is fail"}
	sweeps[23].Points = sweeps[23].Points[2:]
	withKinds := append(steady(env.SharedCPU, 20), history("gpu-y", env.LockedGPU, 1)...)
	for i := range withKinds {
		withKinds[i].SHA256 = strings.Repeat("a", 64)
	}
	for name, runs := range map[string][]Run{"empty": nil, "sweeps": sweeps, "two classes": withKinds} {
		text := reportJSON(t, runs)
		if err := validate(t, schema.Trend, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name != "sweeps" {
			continue
		}
		for _, needed := range []string{`"changes":[{`, `"state":"missing"`, `"state":"pass"`} {
			if !bytes.Contains(text, []byte(needed)) {
				t.Errorf("the document does not exercise the schema: no %s", needed)
			}
		}
		if err := validate(t, schema.Trend, bytes.Replace(text, []byte(`"unit":"ms"`), []byte(`"unit":"s"`), 1)); err == nil {
			t.Error("another unit fits the schema")
		}
	}
}

func TestArtifactFitsSchema(t *testing.T) {
	exported, _, err := Export(steady(env.SharedCPU, 13), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"the original's": []byte(artifactText), "ours": jsonOf(t, exported)} {
		if err := validate(t, schema.Artifact, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
