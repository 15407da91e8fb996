package trend

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Artifact is the original's normalised trend artifact: the checks of one comparison. The fields are in the order of their keys,
// which the original sorts. Numbers keep their digits.
type Artifact struct {
	CurrentStatus  *string          `json:"current_status,omitempty"` // of the report; GPU and TensorRT suites only
	FailedMetrics  int              `json:"failed_metrics"`           // checks whose status is not pass
	Metrics        []ArtifactMetric `json:"metrics"`                  // in ascending order of name
	OverallStatus  string           `json:"overall_status"`           // pass or fail
	RequiredStatus *string          `json:"required_status,omitempty"`
	SchemaVersion  int              `json:"schema_version"` // 1
	Suite          string           `json:"suite"`
	TimestampUTC   string           `json:"timestamp_utc"` // ISO 8601 with Z
	TotalMetrics   int              `json:"total_metrics"`
}

// ArtifactMetric is one check. Values are in milliseconds; null where there is none, as in the check __status__ of the report's own
// status.
type ArtifactMetric struct {
	AllowedMaxMS    *json.Number `json:"allowed_max_ms"`
	BaselineMS      *json.Number `json:"baseline_ms"`
	CurrentMS       *json.Number `json:"current_ms"`
	Metric          string       `json:"metric"`
	RegressionRatio *json.Number `json:"regression_ratio"` // current/baseline - 1
	Status          string       `json:"status"`           // pass, fail or missing
}

// statusMetric is the check of a report's status, which is no time.
const statusMetric = "__status__"

// The original's names of times end with their unit, or with that and a statistic over the cases of a sweep.
var timeMetric = regexp.MustCompile(`_ms(_min|_median|_max)?$`)

// ParseArtifact reads an artifact and puts its metrics in order. Unknown keys, another version, values that are no numbers or not
// times in milliseconds, and totals that do not fit the list are errors.
func ParseArtifact(data []byte) (*Artifact, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields() // an artifact is given back as it came, so nothing of it may be dropped
	a := new(Artifact)
	if err := decoder.Decode(a); err != nil {
		return nil, err
	}
	if a.SchemaVersion != 1 {
		return nil, fmt.Errorf("schema_version is %d, want 1", a.SchemaVersion)
	}
	if a.Suite == "" {
		return nil, errors.New("it names no suite")
	}
	slices.SortFunc(a.Metrics, func(x, y ArtifactMetric) int { return strings.Compare(x.Metric, y.Metric) })
	failed := 0
	for i := range a.Metrics {
		m := &a.Metrics[i]
		if err := m.check(); err != nil {
			return nil, err
		}
		if m.Status != "pass" {
			failed++
		}
	}
	overall := "pass"
	if failed > 0 {
		overall = "fail"
	}
	if a.TotalMetrics != len(a.Metrics) || a.FailedMetrics != failed || a.OverallStatus != overall {
		return nil, fmt.Errorf("it says %s, %d of %d metrics failed, but lists %d of %d: is it truncated?",
			a.OverallStatus, a.FailedMetrics, a.TotalMetrics, failed, len(a.Metrics))
	}
	return a, nil
}

func (m *ArtifactMetric) check() error {
	if !slices.Contains([]string{"pass", "fail", "missing"}, m.Status) {
		return fmt.Errorf("metric %q has the status %q (want pass, fail or missing)", m.Metric, m.Status)
	}
	if m.Metric != statusMetric && !timeMetric.MatchString(m.Metric) {
		return fmt.Errorf("metric %q is not in milliseconds (want a name that ends with _ms)", m.Metric)
	}
	if m.Metric != statusMetric && m.Status != "missing" && m.CurrentMS == nil {
		return fmt.Errorf("metric %q has the status %s but no current_ms", m.Metric, m.Status)
	}
	for _, number := range []*json.Number{m.AllowedMaxMS, m.BaselineMS, m.CurrentMS, m.RegressionRatio} {
		if number == nil {
			continue
		}
		if _, err := number.Float64(); err != nil {
			return fmt.Errorf("metric %q: %q is not a number that fits float64", m.Metric, *number)
		}
	}
	return nil
}

func fromArtifact(a *Artifact) (*Run, error) {
	when, err := time.Parse(time.RFC3339Nano, a.TimestampUTC)
	if err != nil {
		return nil, fmt.Errorf("timestamp_utc %q is not ISO 8601 such as 2026-02-01T05:00:00.000000Z", a.TimestampUTC)
	}
	run := &Run{RunRef: RunRef{Source: FromArtifact, When: when}, Artifact: a}
	for _, m := range a.Metrics {
		if m.Metric == statusMetric || m.CurrentMS == nil {
			continue
		}
		value, err := m.CurrentMS.Float64()
		if err != nil {
			return nil, err
		}
		run.Points = append(run.Points, Point{Metric: m.Metric, Unit: Milliseconds, Value: value})
	}
	return run, nil
}

// Write writes the artifact as the original does: two spaces of indentation, keys in order, a final newline.
func (a *Artifact) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(a)
}
