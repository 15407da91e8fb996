package trend

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
)

// Origin is what a file may not say about its run.
type Origin struct {
	Commit  string // of the measured program
	Branch  string
	Release string // tag; "" for a run that is no release
	Class   string // of machines, for the original's artifacts, which name none; such as cpu-amd-epyc-2c or gpu-nvidia-h200
}

// ReadFile is Read for the file at path, which the error names.
func ReadFile(path string, origin Origin) (*Run, error) {
	data, err := input.Read(path, input.Record)
	if err != nil {
		return nil, err
	}
	run, err := Read(bytes.NewReader(data), origin)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return run, nil
}

// Read reads a sweep's result (schema sweep.SchemaID), a gate's record (gate.SchemaID) or the original's trend artifact (an object
// with schema_version 1, suite and a list of metrics). It refuses whatever could not be compared later: another schema, a file
// without a measured metric or without a machine class, a value that is not a positive number; a sweep that does not Validate, whose
// summaries are those of its samples; and a gate's record that does not Check or whose verdict is not that of its samples. A cell
// whose parity does not hold has no speed: it is left out, and the run says so.
func Read(r io.Reader, origin Origin) (*Run, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	run, err := decode(data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	run.SHA256 = hex.EncodeToString(sum[:])
	run.When = run.When.UTC()
	if err := run.apply(origin); err != nil {
		return nil, err
	}
	if err := run.Check(); err != nil {
		return nil, err
	}
	return run, nil
}

const wanted = "want the JSON of apexx sweep, of apexx gate or a trend artifact"

func decode(data []byte) (*Run, error) {
	var head struct {
		Schema        string          `json:"schema"`
		SchemaVersion json.RawMessage `json:"schema_version"`
		Metrics       json.RawMessage `json:"metrics"`
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil, fmt.Errorf("the file is empty; %s", wanted)
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%w; %s", syntax(err), wanted)
	}
	switch {
	case strings.HasPrefix(head.Schema, "apexx.sweep/"):
		result, err := sweep.Read(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return fromSweep(result)
	case strings.HasPrefix(head.Schema, "apexx.gate/"):
		record, err := gate.Read(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("as %s: %w", gate.SchemaID, err)
		}
		return fromGate(record)
	case head.Schema != "":
		return nil, fmt.Errorf("unknown schema %q (known: %s, %s)", head.Schema, sweep.SchemaID, gate.SchemaID)
	case head.SchemaVersion != nil && head.Metrics != nil:
		artifact, err := ParseArtifact(data)
		if err != nil {
			return nil, fmt.Errorf("as a trend artifact: %w", err)
		}
		return fromArtifact(artifact)
	}
	return nil, fmt.Errorf("it names no schema; %s", wanted)
}

// syntax says where JSON ends too early or is none.
func syntax(err error) error {
	var bad *json.SyntaxError
	if errors.As(err, &bad) {
		return fmt.Errorf("not JSON at byte %d: %w", bad.Offset, err)
	}
	return err
}

// apply completes the run by what the caller knows. It may not contradict the file.
func (r *Run) apply(origin Origin) error {
	switch {
	case origin.Commit != "" && r.Commit != "" && !strings.HasPrefix(r.Commit, origin.Commit):
		return fmt.Errorf("it was measured at commit %s, not %s", r.Commit, origin.Commit)
	case origin.Commit != "" && r.Commit == "":
		r.Commit = origin.Commit
	}
	switch {
	case origin.Class != "" && r.Class != "" && r.Class != origin.Class:
		return fmt.Errorf("it was measured on class %s, not %s", r.Class, origin.Class)
	case origin.Class == "" && r.Class == "":
		return errors.New("it names no machine class, and only runs of one class are compared; give --class ID")
	case r.Class == "":
		r.Class, r.Kind = origin.Class, kindOf(origin.Class)
	}
	r.Branch, r.Release = origin.Branch, origin.Release
	return nil
}

// kindOf tells the kind from a class's name alone, whose first word is cpu or gpu. Clocks are not known to be locked.
func kindOf(class string) env.Kind {
	if class == "gpu" || strings.HasPrefix(class, "gpu-") {
		return env.UnlockedGPU
	}
	return env.SharedCPU
}
