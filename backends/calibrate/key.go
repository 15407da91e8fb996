package calibrate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Key says what ranges were found with. Ranges are for the model with the same Source alone.
type Key struct {
	Source
	Method string `json:"method"`       // how they were chosen
	Data   string `json:"data_version"` // of the inputs: DataVersion of them, or what their owner calls it
	Shape  []int  `json:"shape"`        // of the exported model: B, 3, H, W
	// Variables are those of the environment that change what the backend computed, by name (env.Environment.Variables).
	Variables map[string]string `json:"variables,omitempty"`
}

// Source is the part of a key that the model and the program must have, too.
type Source struct {
	Config    string    `json:"config_sha256"`
	Weights   string    `json:"weights_sha256"`
	Export    string    `json:"onnx_sha256"` // of the file that the model is exported to for Shape, with the default decoding
	Operators Operators `json:"operators"`
	Profile   string    `json:"precision_profile"`
	Wide      []string  `json:"wide"` // nodes that the profile keeps in float32
}

// Operators is a version of an operator set: the operators of this project are its plugins.
type Operators struct {
	Namespace string `json:"namespace"`
	Version   int    `json:"version"`
}

// OwnOperators is the version of this program.
func OwnOperators() Operators { return Operators{graph.Domain, graph.DomainVersion} }

// Differences lists the parts in which two sources differ, by their names in a file.
func (s Source) Differences(o Source) []string {
	var out []string
	for _, part := range []struct {
		name  string
		equal bool
	}{
		{"config_sha256", s.Config == o.Config},
		{"weights_sha256", s.Weights == o.Weights},
		{"onnx_sha256", s.Export == o.Export},
		{"operators", s.Operators == o.Operators},
		{"precision_profile", s.Profile == o.Profile},
		{"wide", slices.Equal(s.Wide, o.Wide)},
	} {
		if !part.equal {
			out = append(out, part.name)
		}
	}
	return out
}

// Differences is Source.Differences, and the method, the data and the environment.
func (k Key) Differences(o Key) []string {
	out := k.Source.Differences(o.Source)
	if k.Method != o.Method {
		out = append(out, "method")
	}
	if k.Data != o.Data {
		out = append(out, "data_version")
	}
	if !slices.Equal(k.Shape, o.Shape) {
		out = append(out, "shape")
	}
	if !maps.Equal(k.Variables, o.Variables) {
		out = append(out, "variables")
	}
	return out
}

// Cache returns the key by which a cache of TensorRT's calibrator is governed, whose plugins are the operators of our domain.
func (k Key) Cache() string {
	var plugins []plugin
	for _, op := range graph.Operators() {
		if op.OpDomain() == graph.Domain {
			plugins = append(plugins, plugin{op.OpType(), k.Operators.Namespace, fmt.Sprint(k.Operators.Version)})
		}
	}
	return cacheKey(k.Export, k.Profile, k.Data, plugins, k.Variables)
}

// plugin is an operator that a runtime does not have of itself.
type plugin struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Version   string `json:"version"`
}

// cacheKey is the SHA-256 of compact JSON with sorted keys (spec/runtime.md 10.7). It knows neither method nor configuration. Variables, which the original
// does not know, are in it where there are any.
func cacheKey(export, profile, data string, plugins []plugin, variables map[string]string) string {
	slices.SortFunc(plugins, func(a, b plugin) int { return strings.Compare(a.Name, b.Name) })
	text, err := json.Marshal(struct {
		Data      string            `json:"calibration_dataset_version"`
		Export    string            `json:"onnx_sha256"`
		Plugins   []plugin          `json:"plugins"`
		Profile   string            `json:"precision_profile"`
		Revision  int               `json:"schema_version"`
		Variables map[string]string `json:"variables,omitempty"`
	}{data, export, plugins, profile, 1, variables})
	if err != nil {
		panic(err) // strings and numbers
	}
	return Digest(text)
}

// Digest returns the SHA-256 of a text, in hexadecimal.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// DataVersion returns the version of inputs of one tensor each (spec/runtime.md 10.6): the SHA-256 of their number, types, shapes and
// elements. It is the original's for up to 32 inputs, beyond which the original reads no more of them.
func DataVersion(inputs []*tensor.Tensor) string {
	h := sha256.New()
	fmt.Fprintf(h, "apexx_calibration_dataset_digest_v1|total=%d|sampled=%d", len(inputs), len(inputs))
	for i, t := range inputs {
		fmt.Fprintf(h, "|batch=%d|array|%v%s", i, t.DType(), tuple(t.Shape()))
		var raw []byte
		for _, v := range tensor.Data[float32](t) {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// tuple writes a shape as Python does: "(1, 4)", and "(4,)" with one axis.
func tuple(shape []int) string {
	words := make([]string, len(shape))
	for i, d := range shape {
		words[i] = fmt.Sprint(d)
	}
	text := strings.Join(words, ", ")
	if len(words) == 1 {
		text += ","
	}
	return "(" + text + ")"
}
