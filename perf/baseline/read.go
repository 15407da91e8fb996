package baseline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"regexp"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/sortedjson"
	"github.com/apex-x/apexx/perf/env"
)

// ErrNoBaseline says that there is nothing to compare with: no file for the class, or one of another class or other settings.
var ErrNoBaseline = errors.New("no baseline fits")

// Path returns where the baseline of a class lies in a folder.
func Path(dir string, class env.Class) string { return filepath.Join(dir, class.ID+".json") }

// Find reads the baseline of a class from a folder. The error wraps ErrNoBaseline where the folder has none.
func Find(dir string, class env.Class) (*Baseline, error) {
	if err := env.ValidClass(class); err != nil {
		return nil, err
	}
	path := Path(dir, class)
	b, err := ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: class %s has no %s", ErrNoBaseline, class.ID, path)
	case err != nil:
		return nil, err
	case b.Class.ID != class.ID:
		return nil, fmt.Errorf("%s is the baseline of class %s; rename it to %s.json", path, b.Class.ID, b.Class.ID)
	}
	return b, nil
}

// ReadFile reads a baseline. The error names the file.
func ReadFile(path string) (*Baseline, error) {
	data, err := input.Read(path, input.Baseline)
	if err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	b, err := Read(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("baseline %s: %w", path, err)
	}
	return b, nil
}

// Read reads a baseline strictly: another schema, an unknown key, a metric without value_ms, a number that is no number or
// negative, no metrics at all, or anything after the object is an error of one line. A metric without a tolerance gets the
// original's defaults, 0.50 and 0 ms.
func Read(from io.Reader) (*Baseline, error) {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	b := new(Baseline)
	if err := d.Decode(b); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return nil, errors.New("the file ends too early")
		}
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	return b, nil
}

// UnmarshalJSON reads a metric, in which value_ms is required.
func (m *Metric) UnmarshalJSON(data []byte) error {
	raw := struct {
		Value *float64 `json:"value_ms"`
		Ratio *float64 `json:"max_regression_ratio"`
		Abs   *float64 `json:"max_regression_abs_ms"`
	}{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return fmt.Errorf("a metric: %w", err)
	}
	if raw.Value == nil {
		return errors.New("a metric has no value_ms")
	}
	*m = Metric{ValueMS: *raw.Value, MaxRegressionRatio: 0.5}
	if raw.Ratio != nil {
		m.MaxRegressionRatio = *raw.Ratio
	}
	if raw.Abs != nil {
		m.MaxRegressionAbsMS = *raw.Abs
	}
	return nil
}

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate returns the first thing that is wrong with a baseline, nil where it is sound.
func (b *Baseline) Validate() error {
	switch {
	case b.Schema != SchemaID || b.SchemaVersion != SchemaVersion:
		return fmt.Errorf("schema is %q, version %d, want %q, version %d", b.Schema, b.SchemaVersion, SchemaID, SchemaVersion)
	case b.Suite != Suite:
		return fmt.Errorf("suite is %q, want %q", b.Suite, Suite)
	case b.RequiredStatus != StatusOK:
		return fmt.Errorf("required_status is %q, want %q: nothing less can be compared", b.RequiredStatus, StatusOK)
	case !(b.Delta > 0 && b.Delta < 1):
		return fmt.Errorf("delta is %g, want a ratio between 0 and 1", b.Delta)
	case b.Settings.Threads < 0:
		return fmt.Errorf("settings.threads is %d", b.Settings.Threads)
	case len(b.Metrics) == 0:
		return errors.New("it has no metrics, so that anything would pass")
	}
	if err := env.ValidClass(b.Class); err != nil {
		return err
	}
	if err := b.Noise.validate(); err != nil {
		return err
	}
	if err := errors.Join(b.Provenance.validate(), b.Quality.validate()); err != nil {
		return err
	}
	for _, name := range b.Names() {
		if err := b.Metrics[name].validate(name); err != nil {
			return err
		}
	}
	return nil
}

func (m Metric) validate(name string) error {
	if _, _, err := splitName(name); err != nil {
		return fmt.Errorf("metric %q: %w", name, err)
	}
	for _, n := range []struct {
		key   string
		value float64
	}{{"value_ms", m.ValueMS}, {"max_regression_ratio", m.MaxRegressionRatio}, {"max_regression_abs_ms", m.MaxRegressionAbsMS}} {
		if !(n.value >= 0) || math.IsInf(n.value, 1) {
			return fmt.Errorf("metric %s: %s is %g, want a finite number that is not negative", name, n.key, n.value)
		}
	}
	if math.IsInf(m.Allowed(), 1) {
		return fmt.Errorf("metric %s allows an infinite time", name)
	}
	return nil
}

func (n *Noise) validate() error {
	switch {
	case n == nil:
		return nil
	case !(n.SD > 0 && n.SD < 10), !(n.SharedSD >= 0 && n.SharedSD < 10):
		return fmt.Errorf("noise: sd %g and shared_sd %g, want deviations of logarithms below 10, sd above 0", n.SD, n.SharedSD)
	case !(n.OutlierShare >= 0 && n.OutlierShare < 1):
		return fmt.Errorf("noise: outlier_share is %g, outside [0,1)", n.OutlierShare)
	case !(n.OutlierScale >= 1 && n.OutlierScale < 1e6):
		return fmt.Errorf("noise: outlier_scale is %g, want 1 or more", n.OutlierScale)
	case n.Blocks < 1:
		return fmt.Errorf("noise: fitted to %d blocks", n.Blocks)
	}
	return nil
}

func (p *Provenance) validate() error {
	switch {
	case p.When.IsZero():
		return errors.New("provenance.when is missing")
	case p.Replicates < 1:
		return fmt.Errorf("provenance: %d replicates", p.Replicates)
	case !digest.MatchString(p.ResultSHA256), !digest.MatchString(p.PlanSHA256):
		return errors.New("provenance: result_sha256 and plan_sha256 must be 64 hexadecimal digits")
	}
	return nil
}

// Write writes a baseline with sorted keys, so that a change of it is a small diff.
func (b *Baseline) Write(w io.Writer) error { return sortedjson.Write(w, b) }

// WriteFile writes a sound baseline, complete or not at all.
func (b *Baseline) WriteFile(path string) error {
	if err := b.Validate(); err != nil {
		return fmt.Errorf("baseline %s: %w", path, err)
	}
	return atomicfile.WriteFile(path, 0o644, b.Write)
}
