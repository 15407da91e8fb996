package tensorrt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
)

// checkPlugins holds what the graph needs to what the library of plugins offers: a plugin of the operator's name in our namespace and version, with
// every attribute that the export writes, and none without a default that it does not write (spec/runtime.md 10.3).
func checkPlugins(g *graph.Graph, f Facts) error {
	var missing, wrong []string
	seen := map[string]bool{}
	for _, n := range g.Nodes {
		op := n.Op.OpType()
		if _, round := n.Op.(graph.Round); round || n.Op.OpDomain() != graph.Domain || seen[op] {
			continue
		}
		seen[op] = true
		same := slices.DeleteFunc(slices.Clone(f.Plugins), func(p Plugin) bool { return p.Name != op })
		if len(same) == 0 {
			missing = append(missing, op)
			continue
		}
		written, err := onnx.Attributes(n.Op)
		if err != nil {
			return err
		}
		var names []string
		for _, a := range written {
			names = append(names, a.Name)
		}
		if fault := same[0].fault(names); fault != "" {
			wrong = append(wrong, op+": "+fault)
		}
	}
	slices.Sort(missing)
	slices.Sort(wrong)
	switch {
	case len(missing) > 0 && f.PluginLibrary == "":
		return unavailable(backends.PluginMissing, "%s: %s", strings.Join(missing, ", "), f.WithoutPlugin)
	case len(missing) > 0:
		return unavailable(backends.PluginMissing, "%s has no plugin %s", f.PluginLibrary, strings.Join(missing, ", "))
	case len(wrong) > 0:
		return unavailable(backends.PluginMismatch, "%s: %s; build worker and plugins from one source (make tensorrt)", f.PluginLibrary, strings.Join(wrong, "; "))
	}
	return nil
}

// fault tells in what a plugin differs from what the export takes it for; "" if it does not.
func (p Plugin) fault(attributes []string) string {
	var faults []string
	note := func(differs bool, format string, args ...any) {
		if differs {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	note(p.Version != onnx.PluginVersion, "version %q, want %q", p.Version, onnx.PluginVersion)
	note(p.Namespace != graph.Domain, "namespace %q, want %q", p.Namespace, graph.Domain)
	lacks := missingFrom(p.Fields, attributes)
	note(len(lacks) > 0, "no field %s", strings.Join(lacks, ", "))
	wants := missingFrom(attributes, p.Required)
	note(len(wants) > 0, "wants the field %s, which the export does not write", strings.Join(wants, ", "))
	return strings.Join(faults, ", ")
}

// has tells whether the library has a plugin with its fields.
func (f Facts) has(name string, attributes []onnx.Attribute) bool {
	var fields []string
	for _, a := range attributes {
		fields = append(fields, a.Name)
	}
	return slices.ContainsFunc(f.Plugins, func(p Plugin) bool { return p.Name == name && p.fault(fields) == "" })
}

// fusing are the plugins that compute several nodes of a graph in one. Without them the nodes are executed one by one.
var fusing = []string{"BoxVector", "Gates", "HeavyPath", logitsPlugin, "MaskDetail", normFusion, "PrototypeMasks", "Proxies", "Route"}

// without lists those of fusing that a library has not, or in another version or namespace.
func (f Facts) without() []string {
	return slices.DeleteFunc(slices.Clone(fusing), func(name string) bool {
		return slices.ContainsFunc(f.Plugins, func(p Plugin) bool {
			return p.Name == name && p.Version == onnx.PluginVersion && p.Namespace == graph.Domain
		})
	})
}

// missingFrom lists what of want is not in have.
func missingFrom(have, want []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(have, s) })
}
