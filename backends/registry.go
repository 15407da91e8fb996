package backends

import (
	"fmt"
	"slices"
	"strings"
)

// Known lists the names that configurations and commands take, whether the backend is built and present or not.
var Known = []string{"reference", "ort", "ort-cuda", "ort-tensorrt", "cuda", "tensorrt"}

// BuildsEngines tells whether a known backend builds an engine for every graph that it compiles, which takes seconds to minutes each.
func BuildsEngines(name string) bool { return name == "tensorrt" || name == "ort-tensorrt" }

// Registry is an ordered set of backends. It is a value of the program that wires it, not a global: tests and workers build
// their own.
type Registry struct{ list []Backend }

// NewRegistry returns a registry of the given backends in that order. It panics on a repeated name.
func NewRegistry(list ...Backend) *Registry {
	r := &Registry{}
	for _, b := range list {
		if slices.Contains(r.Names(), b.Name()) {
			panic("backends: " + b.Name() + " is registered twice")
		}
		r.list = append(r.list, b)
	}
	return r
}

// Names lists the backends in order.
func (r *Registry) Names() []string {
	names := make([]string, len(r.list))
	for i, b := range r.list {
		names[i] = b.Name()
	}
	return names
}

// Get returns the backend of that name; "cpu" is an alias of reference.
func (r *Registry) Get(name string) (Backend, error) {
	if name == "cpu" {
		name = "reference"
	}
	for _, b := range r.list {
		if b.Name() == name {
			return b, nil
		}
	}
	return nil, fmt.Errorf("unknown backend %q (known: %s)", name, strings.Join(r.Names(), ", "))
}
