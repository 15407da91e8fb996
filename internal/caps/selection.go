package caps

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
)

// Policy says what happens where the backend that was asked for is not there.
type Policy string

// The policies.
const (
	Strict     Policy = "strict"     // it is an error
	Permissive Policy = "permissive" // the first of its chain that is there takes its place, and the report says so
)

// Policies lists the policies.
var Policies = []Policy{Strict, Permissive}

// preference orders all backends from the fastest to the one that is always there. Nothing is replaced by ort-tensorrt, which builds engines
// for minutes.
var preference = []string{"ort-tensorrt", "tensorrt", "cuda", "ort-cuda", "ort", "reference"}

// Chain returns what a permissive selection tries for a backend: itself, and then what comes after it in the order ort-tensorrt,
// tensorrt, cuda, ort-cuda, ort, reference.
func Chain(backend string) []string {
	at := slices.Index(preference, backend)
	if at < 0 {
		return []string{backend}
	}
	return slices.Clone(preference[at:])
}

// Attempt is a backend that a selection tried in vain.
type Attempt struct {
	Backend string          `json:"backend"`
	Reason  backends.Reason `json:"reason"`
	Detail  string          `json:"detail,omitempty"`
}

// Selection is a choice of a backend and how it came about.
type Selection struct {
	Requested string
	Policy    Policy
	Selected  string
	Tried     []Attempt // before the selected one, in order
}

// Reason is why the selected backend is not the requested one: the reason of the requested one, "" where they are the same.
func (s Selection) Reason() backends.Reason {
	if len(s.Tried) == 0 {
		return ""
	}
	return s.Tried[0].Reason
}

// Sentence tells a selection that differs from what was requested, in one line; "" where it does not.
func (s Selection) Sentence() string {
	if len(s.Tried) == 0 {
		return ""
	}
	parts := make([]string, len(s.Tried))
	for i, a := range s.Tried {
		parts[i] = fmt.Sprintf("%s is unavailable (%s)", a.Backend, a.Reason)
	}
	return fmt.Sprintf("%s runs in place of %s: %s", s.Selected, s.Requested, strings.Join(parts, ", "))
}

// Select chooses a backend. A strict selection tries the requested one alone. Usable tells why a backend cannot do what is wanted, nil if it can;
// it is asked once for each that is tried. An error wraps the *backends.Unavailable of the requested one; permissive, it names all of the
// chain.
func Select(requested string, policy Policy, usable func(backend string) *backends.Unavailable) (Selection, error) {
	s := Selection{Requested: requested, Policy: policy}
	chain := Chain(requested)
	if policy == Strict {
		chain = chain[:1]
	}
	var first error
	for _, name := range chain {
		missing := usable(name)
		if missing == nil {
			s.Selected = name
			return s, nil
		}
		if first == nil {
			first = missing
		}
		s.Tried = append(s.Tried, Attempt{Backend: name, Reason: missing.Reason, Detail: missing.Detail})
	}
	if policy == Permissive && len(s.Tried) > 1 {
		var rest []string
		for _, a := range s.Tried[1:] {
			rest = append(rest, fmt.Sprintf("%s (%s)", a.Backend, a.Reason))
		}
		first = fmt.Errorf("%w; nor can %s take its place", first, strings.Join(rest, " or "))
	}
	return s, first
}
