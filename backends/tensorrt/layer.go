package tensorrt

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Layer is what an engine executes as a whole, as the library tells.
type Layer struct {
	Name    string        `json:"name"`
	Type    string        `json:"type"`
	Tactic  string        `json:"tactic,omitempty"` // name of the kernel, or, where it has none, its number
	Nodes   []string      `json:"nodes,omitempty"`  // of the ONNX file, that it was made of
	Inputs  []LayerTensor `json:"inputs,omitempty"`
	Outputs []LayerTensor `json:"outputs,omitempty"`
}

// LayerTensor is a value between layers, with the format in which it lies in memory.
type LayerTensor struct {
	Name   string `json:"name"`
	Format string `json:"format"` // such as "Row major linear FP32"
}

// rawLayer is a layer in the JSON of the library.
type rawLayer struct {
	Name, LayerType, TacticName, Metadata string
	TacticValue                           json.RawMessage // a text, such as "0x00000000000003ea"
	Inputs, Outputs                       []rawTensor
}

type rawTensor struct {
	Name   string
	Format string `json:"Format/Datatype"`
}

// nodeOfLayer finds the nodes in the metadata of a layer, to which the parser adds one entry for each.
var nodeOfLayer = regexp.MustCompile(`\[ONNX Layer: ([^\]]*)\]`)

// parseLayers reads what the library says of an engine. An engine whose layers have no more than a name, which the builder was not asked to describe, has none
// with nodes.
func parseLayers(information string) ([]Layer, error) {
	var raw struct{ Layers []json.RawMessage }
	if err := json.Unmarshal([]byte(information), &raw); err != nil {
		return nil, fmt.Errorf("what TensorRT says of the engine: %w", err)
	}
	layers := make([]Layer, 0, len(raw.Layers))
	for _, text := range raw.Layers {
		var r rawLayer
		if err := json.Unmarshal(text, &r); err != nil {
			if err := json.Unmarshal(text, &r.Name); err != nil {
				return nil, fmt.Errorf("what TensorRT says of a layer: %w", err)
			}
		}
		l := Layer{Name: r.Name, Type: r.LayerType, Tactic: cmp.Or(r.TacticName, strings.Trim(string(r.TacticValue), `"`)), Inputs: tensors(r.Inputs), Outputs: tensors(r.Outputs)}
		for _, m := range nodeOfLayer.FindAllStringSubmatch(r.Metadata, -1) {
			if !slices.Contains(l.Nodes, m[1]) {
				l.Nodes = append(l.Nodes, m[1])
			}
		}
		layers = append(layers, l)
	}
	return layers, nil
}

func tensors(raw []rawTensor) []LayerTensor {
	var list []LayerTensor
	for _, t := range raw {
		list = append(list, LayerTensor(t))
	}
	return list
}

// narrowFormats are words for element types that are narrower than float32, in lower case, with the precision that has them.
var narrowFormats = []struct {
	word string
	of   backends.Precision
}{{"bf16", backends.BF16}, {"bfloat16", backends.BF16}, {"fp16", backends.FP16}, {"half", backends.FP16}, {"fp8", backends.FP8}, {"int8", backends.INT8}}

// narrowFormat returns the precision of the type in a format that is narrower than float32; "" if there is none.
func narrowFormat(format string) backends.Precision {
	format = strings.ToLower(format)
	for _, f := range narrowFormats {
		if strings.Contains(format, f.word) {
			return f.of
		}
	}
	return ""
}

// Stray is a layer that computes in a type that the precision of its engine does not have.
type Stray struct{ Layer, What string }

// Strays lists such layers: a value that they read or write is narrower than float32 and not of the precision's type, or their kernel multiplies in TF32 where the
// precision is another one.
func Strays(layers []Layer, p backends.Precision) []Stray {
	var list []Stray
	for _, l := range layers {
		if what := strayIn(l, p); what != "" {
			list = append(list, Stray{l.Name, what})
		}
	}
	return list
}

func strayIn(l Layer, p backends.Precision) string {
	for _, t := range slices.Concat(l.Outputs, l.Inputs) {
		if of := narrowFormat(t.Format); of != "" && of != p {
			return t.Name + " is " + t.Format
		}
	}
	if p != backends.TF32 && ofTF32(l.Tactic) {
		return "its kernel is " + l.Tactic
	}
	return ""
}

// ofTF32 tells kernels whose name says that they multiply in TF32.
func ofTF32(kernel string) bool { return strings.Contains(strings.ToLower(kernel), "tf32") }

// checkLayers refuses an engine that does not say what lies between its layers, and one with layers in a type that its precision does not have.
func checkLayers(layers []Layer, p backends.Precision) error {
	if !slices.ContainsFunc(layers, func(l Layer) bool { return len(l.Outputs) > 0 }) {
		return unavailable(backends.PrecisionNotHeld, "of %d layers the engine does not tell the results, so that nothing shows that they are of %s", len(layers), p)
	}
	list := Strays(layers, p)
	if len(list) == 0 {
		return nil
	}
	return unavailable(backends.PrecisionNotHeld, "%d of %d layers compute in what %s does not have: in %s %s", len(list), len(layers), p, list[0].Layer, list[0].What)
}

// Held is what became of a node that is held to float32.
type Held struct {
	Node   string `json:"node"`
	Layer  string `json:"layer,omitempty"`  // the last one that it is part of; "" if none says so
	Result string `json:"result,omitempty"` // format of its results in memory; "" where they do not leave a layer; of a product in TF32 its kernel
	Failed bool   `json:"failed,omitempty"` // they are narrower, or were
}

// Told reports whether the engine tells anything of the node.
func (h Held) Told() bool { return h.Layer != "" || h.Result != "" }

// evidence looks every node that is held up in the layers of the engine.
func evidence(g *graph.Graph, holds []string, layers []Layer) []Held {
	formats, last, kernels := map[string]string{}, map[*graph.Node]string{}, map[*graph.Node]string{}
	p := newPlanner(g, nil)
	for _, l := range layers {
		for _, t := range l.Outputs {
			formats[t.Name] = t.Format
		}
		for _, name := range l.Nodes {
			n := p.node(name)
			last[n] = l.Name
			if ofTF32(l.Tactic) {
				kernels[n] = l.Tactic
			}
		}
	}
	list := []Held{}
	for _, hold := range holds {
		n := p.nodes[hold]
		if n == nil {
			continue // made by the export, such as a view of a plugin's result
		}
		h := Held{Node: hold, Layer: last[n]}
		for _, v := range n.Outputs {
			if v.DType != tensor.Float32 || formats[v.Name] == "" || h.Failed {
				continue
			}
			h.Result, h.Failed = formats[v.Name], narrowFormat(formats[v.Name]) != ""
		}
		if kernel := kernels[n]; kernel != "" {
			h.Result, h.Failed = "computed by "+kernel, true
		}
		list = append(list, h)
	}
	return list
}
