package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

// tap is a declared tap in the metadata.
type tap struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// decision is a graph.Decision in the metadata, which names values.
type decision struct {
	Value  string   `json:"value"`
	Count  string   `json:"count,omitempty"`
	Limit  int      `json:"limit"`
	Scores []string `json:"scores,omitempty"`
}

// addMarks adds the taps and decisions whose values the graph computes, its parts and its calibration to the entries of the metadata.
func addMarks(entries map[string]string, g *graph.Graph) error {
	present := touched(g)
	var taps []tap
	for _, t := range g.Taps {
		if present[t.Value] {
			taps = append(taps, tap{t.Name, t.Value.Name})
		}
	}
	var decisions []decision
	for _, d := range g.Decisions {
		if !present[d.Value] {
			continue
		}
		mark := decision{Value: d.Name(), Limit: d.Limit}
		if d.Count != nil {
			mark.Count = d.Count.Name
		}
		for _, v := range d.Scores { // under replay nothing may compute them
			if present[v] {
				mark.Scores = append(mark.Scores, v.Name)
			}
		}
		decisions = append(decisions, mark)
	}
	return errors.Join(addMark(entries, tapsKey, taps), addMark(entries, decisionsKey, decisions), addMark(entries, partsKey, g.Parts),
		addCalibration(entries, g.Calibration))
}

// calibration is a graph.Calibration in the metadata.
type calibration struct {
	Ranges map[string]float32 `json:"ranges"`
	Wide   []string           `json:"wide,omitempty"`
}

// addCalibration adds the calibration as one entry, if there is one.
func addCalibration(entries map[string]string, c *graph.Calibration) error {
	if c == nil {
		return addMark[struct{}](entries, calibrationKey, nil)
	}
	if err := c.Validate(); err != nil {
		return err
	}
	return addMark(entries, calibrationKey, []calibration{calibration(*c)})
}

// touched returns the values that nodes read or compute.
func touched(g *graph.Graph) map[*graph.Value]bool {
	present := map[*graph.Value]bool{}
	for _, n := range g.Nodes {
		for _, v := range slices.Concat(n.Inputs, n.Outputs) {
			present[v] = true
		}
	}
	return present
}

// addMark adds one entry, unless the list is empty.
func addMark[T any](entries map[string]string, key string, list []T) error {
	if _, ok := entries[key]; ok {
		return fmt.Errorf("the metadata key %q is reserved", key)
	}
	if len(list) == 0 {
		return nil
	}
	text, err := json.Marshal(list)
	entries[key] = string(text)
	return err
}

// marks restores what addMarks added.
func (r *reader) marks() error {
	var taps []tap
	var decisions []decision
	var calibrations []calibration
	if err := errors.Join(r.mark(tapsKey, &taps), r.mark(decisionsKey, &decisions), r.mark(partsKey, &r.g.Parts), r.mark(calibrationKey, &calibrations)); err != nil {
		return err
	}
	if len(calibrations) > 0 {
		c := graph.Calibration(calibrations[0])
		if err := c.Validate(); err != nil {
			return err
		}
		r.g.Calibration = &c
	}
	seen := map[string]bool{}
	for _, t := range taps {
		v := r.values[t.Value]
		if v == nil || seen[t.Name] {
			return fmt.Errorf("tap %q of the value %q: no such value, or declared twice", t.Name, t.Value)
		}
		seen[t.Name] = true
		r.g.Taps = append(r.g.Taps, graph.Port{Name: t.Name, Value: v})
	}
	present, decided := touched(r.g), map[string]bool{}
	for _, mark := range decisions {
		d, err := r.decision(mark, present)
		if err != nil {
			return err
		}
		if decided[mark.Value] {
			return fmt.Errorf("decision %q is declared twice", mark.Value)
		}
		decided[mark.Value] = true
		r.g.Decisions = append(r.g.Decisions, d)
	}
	return nil
}

// mark takes one entry out of the metadata.
func (r *reader) mark(key string, list any) error {
	text, ok := r.g.Metadata[key]
	if !ok {
		return nil
	}
	delete(r.g.Metadata, key)
	if err := json.Unmarshal([]byte(text), list); err != nil {
		return fmt.Errorf("metadata %s: %w", key, err)
	}
	return nil
}

// decision resolves the values of a decision, all of which are present, and checks it.
func (r *reader) decision(mark decision, present map[*graph.Value]bool) (graph.Decision, error) {
	d := graph.Decision{Limit: mark.Limit}
	fault := func(name string) error {
		return fmt.Errorf("decision %q: no node has to do with the value %q", mark.Value, name)
	}
	if d.Value = r.values[mark.Value]; d.Value == nil || d.Value.Producer == nil {
		return d, fault(mark.Value)
	}
	if mark.Count != "" {
		if d.Count = r.values[mark.Count]; d.Count == nil || d.Count.Producer == nil {
			return d, fault(mark.Count)
		}
	}
	for _, name := range mark.Scores {
		v := r.values[name]
		if !present[v] {
			return d, fault(name)
		}
		d.Scores = append(d.Scores, v)
	}
	return d, d.Validate()
}
