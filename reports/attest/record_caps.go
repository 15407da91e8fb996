package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/reports"
)

// capsRecord is what apexx caps --json prints.
type capsRecord struct {
	Build    *reports.Build `json:"build"`
	Backends []struct {
		Name      string          `json:"name"`
		Available bool            `json:"available"`
		Reason    backends.Reason `json:"reason"`
	} `json:"backends"`
}

func readCaps(data []byte) (record, error) {
	var c capsRecord
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	if c.Build == nil {
		return nil, errors.New("it does not say which build it is of")
	}
	return c, nil
}

func (c capsRecord) items() []string { return []string{CapsSnapshot, CapsTransparency} }
func (c capsRecord) origin() origin  { return origin{build: c.Build} }
func (c capsRecord) tests() []test   { return nil }

// judge finds every backend named once, and a reason of the catalog beside each that is not available.
func (c capsRecord) judge(*rules) (Status, string) {
	var names []string
	available := 0
	for _, b := range c.Backends {
		names = append(names, b.Name)
		if b.Available {
			available++
		} else if !slices.Contains(backends.Reasons, b.Reason) {
			return Fail, fmt.Sprintf("%s is not available, and %q is no reason of the catalog", b.Name, b.Reason)
		}
	}
	if !slices.Equal(names, backends.Known) {
		return Fail, fmt.Sprintf("it lists the backends %q, want %q", names, backends.Known)
	}
	return Pass, fmt.Sprintf("%d of %d backends are available, the others say why not", available, len(names))
}
