package reports

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/internal/printable"
)

// engine is the record of one with every kind of layer and every fate of a node that is held.
func engine() tensorrt.Record {
	half := []tensorrt.LayerTensor{{Name: "y", Format: "Half"}}
	return tensorrt.Record{
		Key:    tensorrt.Key{Model: "25b32695c81beaf1", Precision: backends.FP16, Level: 3, Plugins: "8afdcf2508eb1ce0", TensorRT: "10.6.0", CUDA: "13.0", Device: "NVIDIA H200", Capability: "9.0"},
		SHA256: "10700f0b00c93bae", Bytes: 13 << 20,
		Layers: []tensorrt.Layer{
			{Name: "Reformat", Type: "Reformat", Outputs: half},
			{Name: "conv", Type: "CaskConvolution", Tactic: "sm90_a", Nodes: []string{"stem.0"}, Outputs: half},
			{Name: "norm", Type: "PluginV3", Nodes: []string{"stem.1", "stem.1.sigmoid", "stem.1.silu"}, Outputs: half},
			{Name: "select", Type: "PluginV3", Nodes: []string{"select", "order"}, Outputs: []tensorrt.LayerTensor{{Name: "ids", Format: "Int64"}, {Name: "more", Format: "Int64"}, {Name: "f", Format: "Float"}}},
		},
		Held: []tensorrt.Held{{Node: "a", Layer: "conv", Result: "Float"}, {Node: "b", Layer: "norm"}, {Node: "c", Layer: "norm", Result: "Half", Failed: true}, {Node: "d"}},
	}
}

func TestEngineText(t *testing.T) {
	wide := engine()
	wide.Key.Precision, wide.Key.Plugins, wide.Held, wide.Layers = backends.FP32, "", nil, wide.Layers[1:2]
	wide.Key.Batches = tensorrt.Batches{Min: 1, Opt: 4, Max: 8}
	low := engine()
	low.Key.Precision, low.Held = backends.INT8, nil
	low.Layers[1].Tactic, low.Layers[1].Outputs, low.Layers[2].Outputs = "sm80_tf32f32", low.Layers[3].Outputs[2:], nil
	for name, r := range map[string]tensorrt.Record{"engine.txt": engine(), "engine-fp32.txt": wide, "engine-strays.txt": low} {
		goldenfile.Check(t, name, written(t, EngineText, r))
	}
}

func TestEngineDifferences(t *testing.T) {
	tuned := engine()
	tuned.Layers[1].Tactic = "sm90_b"
	tuned.Layers[2].Outputs = []tensorrt.LayerTensor{{Name: "y", Format: "Float"}}
	tuned.Layers = append(tuned.Layers[:3], tensorrt.Layer{Name: "new"}, tensorrt.Layer{Name: "new"})
	other := tuned
	other.Key.Precision, other.Key.Model = backends.BF16, "ffffffffffffffff"
	renamed := engine()
	renamed.Key.Level = 5
	for _, c := range []struct {
		golden string
		record tensorrt.Record
		bytes  string
		differ bool
	}{
		{"engine-same.txt", engine(), "abcdef", false},
		{"engine-tuned.txt", tuned, "abCdeF", true},
		{"engine-other.txt", other, "abcdefg", true},
		{"engine-renamed.txt", renamed, "abcdef", true}, // another optimisation level came to the same engine
		{"engine-noise.txt", engine(), "abcdeF", true},  // of equal layers
	} {
		var differ bool
		text := written(t, func(w io.Writer, r tensorrt.Record) (err error) {
			differ, err = EngineDifferences(w, engine(), r, []byte("abcdef"), []byte(c.bytes))
			return err
		}, c.record)
		goldenfile.Check(t, c.golden, text)
		if differ != c.differ {
			t.Errorf("%s: differ is %v", c.golden, differ)
		}
	}
}

// TestHostileEngines: an engine file may have come from anywhere, and what it calls its layers rewrites no terminal.
func TestHostileEngines(t *testing.T) {
	hostile := engine()
	hostile.Key.Device = "GPU\x1b[2J"
	hostile.Layers[1].Name, hostile.Layers[1].Nodes, hostile.Layers[1].Tactic = "conv\nheld", []string{"\x1b]0;x\a"}, "\u202etactic"
	hostile.Held[2].Node = "c\r"
	other := engine()
	other.Layers[1].Name = hostile.Layers[1].Name
	text := written(t, EngineText, hostile) + written(t, func(w io.Writer, r tensorrt.Record) error {
		_, err := EngineDifferences(w, r, other, nil, nil)
		return err
	}, hostile)
	if printable.Text(text) != text || strings.Contains(text, "\nheld:") {
		t.Errorf("%q", text)
	}
}

// TestEngineBytes: where engines of equal layers differ is told by the byte and the name of a layer before it, and by the word if they do so in text.
func TestEngineBytes(t *testing.T) {
	text := "{of node_7686378504}" + strings.Repeat("|", 20)
	data := []byte(text + "start conv " + strings.Repeat("w", 40) + " norm " + strings.Repeat("v", 400) + " end")
	other := bytes.Clone(data)
	copy(other[strings.Index(text, "86378"):], "37377")
	for _, i := range []int{2, 20, 21, 30, 70, 100, 130, 160, 190, 220, 250, 280, 310, 340} {
		other[len(text)+i] = '-'
	}
	goldenfile.Check(t, "engine-bytes.txt", written(t, func(w io.Writer, r tensorrt.Record) error {
		_, err := EngineDifferences(w, r, r, data, other)
		return err
	}, engine()))
}
