//go:build cgo && linux

package tensorrt

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
)

// TestRefusals holds the errors for fields, operands and shapes that do not fit to testdata/refusals.golden. UPDATE=1 writes it.
func TestRefusals(t *testing.T) {
	type values = []Value
	floats := func(shape ...int) Tensor { return operand(tensor.New(tensor.Float32, shape...), layouts[0]) }
	halfs := func(shape ...int) Tensor { return operand(tensor.New(tensor.Float32, shape...), layouts[1]) }
	indices := func(shape ...int) Tensor { return operand(tensor.New(tensor.Int64, shape...), layouts[0]) }
	pyramid := values{{"strides", []int32{8}}, {"image_height", int32(16)}, {"image_width", int32(16)}}
	maps, tiles := floats(1, 2, 4, 4), indices(1, 3)
	cases := []struct {
		plugin string
		values values
		inputs []Tensor
	}{
		{"TileMerge", nil, nil},
		{"GreedySelect", nil, []Tensor{floats(1, 4)}},
		{"GreedySelect", values{{"count", float32(2)}}, []Tensor{floats(1, 4)}},
		{"GreedySelect", values{{"count", []int32{2, 3}}}, []Tensor{floats(1, 4)}},
		{"GreedySelect", values{{"count", int32(2)}, {"budget", int32(2)}}, []Tensor{floats(1, 4)}},
		{"GreedySelect", values{{"count", int32(2)}, {"count", int32(2)}}, []Tensor{floats(1, 4)}},
		{"GreedySelect", values{{"count", int32(0)}}, []Tensor{floats(1, 4)}},
		{"GreedySelect", values{{"count", int32(5)}}, []Tensor{floats(1, 4)}},
		{"GreedySelect", values{{"count", int32(2)}}, []Tensor{halfs(1, 4)}},
		{"GreedySelect", values{{"count", int32(2)}}, []Tensor{floats(1, 4, 4)}},
		{"SplitSelect", values{{"count", int32(2)}, {"grid_height", int32(2)}, {"grid_width", int32(2)}}, []Tensor{floats(1, 5), tiles}},
		{"TileOrder", values{{"grid_height", int32(2)}, {"grid_width", int32(2)}, {"mode", "peano"}}, []Tensor{tiles}},
		{"TileAggregate", values{{"feature_height", int32(9)}, {"feature_width", int32(8)}, {"tile_size", int32(4)}}, []Tensor{maps}},
		{"TilePack", values{{"tile_size", int32(3)}}, []Tensor{maps, tiles}},
		{"TilePack", values{{"tile_size", int32(2)}}, []Tensor{maps}},
		{"TilePack", values{{"tile_size", int32(2)}}, []Tensor{maps, indices(2, 3)}},
		{"TilePack", values{{"tile_size", int32(2)}}, []Tensor{maps, indices(1, 3)}},
		{"TileSSMScan", values{{"clamp_value", float32(0)}}, []Tensor{floats(1, 3, 2), floats(2), floats(2), floats(2), floats(2)}},
		{"TileSSMScan", values{{"direction", int32(2)}, {"merge_mode", "max"}}, []Tensor{floats(1, 3, 2), floats(2), floats(2), floats(2), floats(2)}},
		{"TileSSMScan", values{{"initial_state", int32(1)}}, []Tensor{floats(1, 3, 2), floats(2), floats(2), floats(2), floats(2)}},
		{"TileUnpackFusion", values{{"blend", int32(1)}, {"blend_alpha", float32(1.5)}}, []Tensor{maps, floats(1, 3, 2, 2, 2), tiles}},
		{"TileUnpackFusion", nil, []Tensor{maps, floats(1, 4, 2, 2, 2), tiles}},
		{"SelectDetections", pyramid, []Tensor{floats(1, 3, 2, 2), floats(1, 4, 2, 2), floats(1, 2, 2, 2)}},
		{"SelectDetections", pyramid, []Tensor{floats(1, 3, 2, 2), floats(1, 4, 2, 2)}},
		{"DecodeBoxes", values{{"strides", []int32{}}, {"image_height", int32(16)}, {"image_width", int32(16)}}, nil},
		{"RoiMeanPool", values{{"image_height", int32(0)}, {"image_width", int32(16)}}, []Tensor{maps, floats(1, 3, 4)}},
		{"BoxMask", values{{"image_height", int32(16)}, {"image_width", int32(16)}}, []Tensor{maps, floats(1, 2, 4)}},
		{"BoxMask", values{{"image_height", int32(16)}, {"image_width", int32(16)}, {"fill", float32(0)}}, []Tensor{maps, floats(1, 3, 4)}},
		{"GroupNormFusion", values{{"num_groups", int32(3)}}, []Tensor{maps, floats(2), floats(2)}},
		{"GroupNormFusion", values{{"num_groups", int32(1)}, {"activation", "gelu"}}, []Tensor{maps, floats(2), floats(2)}},
		{"GroupNormFusion", values{{"num_groups", int32(1)}}, []Tensor{maps, halfs(2), floats(2)}},
		{"GroupNormFusion", values{{"num_groups", int32(1)}}, []Tensor{halfs(1, 8, 2, 2), floats(8), floats(8)}},
		{"GroupNormFusion", values{{"num_groups", int32(1)}, {"first_channels", []int32{4}}}, nil},
		{"GroupNormFusion", values{{"num_groups", int32(1)}, {"first_channels", []int32{0, 8}}}, nil},
		{"GroupNormFusion", values{{"num_groups", int32(1)}, {"first_channels", []int32{8}}}, []Tensor{floats(1, 16, 2, 4), floats(16), floats(16)}},
		{"Logits", values{{"maps", int32(2)}}, []Tensor{maps, floats(3, 2, 1, 1), floats(3)}},
		{"Logits", nil, []Tensor{maps, floats(3, 4, 1, 1), floats(3)}},
		{"Proxies", nil, []Tensor{floats(1, 1, 4, 4), floats(1, 1, 4, 4), maps}},
		{"Gates", values{{"gates", int32(5)}, {"height", int32(4)}, {"width", int32(4)}}, nil},
		{"Route", values{{"feature_height", int32(8)}, {"feature_width", int32(8)}, {"tile_size", int32(4)}, {"count", int32(5)}, {"splits", int32(2)}, {"mode", "l2r"},
			{"child_mode", "l2r"}}, nil},
		{"HeavyPath", values{{"tile_size", int32(6)}, {"bidirectional", int32(1)}, {"clamp_value", float32(1)}, {"low", float32(-1)}, {"high", float32(1)},
			{"row_epsilon", float32(1)}, {"group_epsilon", float32(1)}}, nil},
		{"HeavyPath", values{{"tile_size", int32(4)}, {"bidirectional", int32(0)}, {"clamp_value", float32(1)}, {"low", float32(-1)}, {"high", float32(1)},
			{"row_epsilon", float32(1)}, {"group_epsilon", float32(1)}, {"product", "fp8"}}, nil},
		{"BoxVector", append(values{{"floor", float32(-1)}}, pyramid[1:]...), nil},
		{"BoxVector", pyramid[1:], []Tensor{maps, floats(1, 3, 4), floats(4, 2), floats(4), floats(5, 4), floats(5)}},
		{"MaskDetail", values{{"height", int32(8)}, {"width", int32(8)}, {"tile_size", int32(4)}}, []Tensor{maps, floats(1), tiles}},
		{"PrototypeMasks", append(values{{"height", int32(8)}, {"width", int32(8)}, {"low_height", int32(4)}, {"low_width", int32(4)}, {"fill", float32(0)}}, pyramid[1:]...),
			[]Tensor{floats(1, 3, 2), floats(1, 2, 15), floats(1, 3, 4)}},
	}
	libraries(t, func(t *testing.T, l *Library) {
		var b strings.Builder
		for _, c := range cases {
			_, err := l.Run(c.plugin, c.values, c.inputs, Options{})
			text := "accepted"
			if err != nil { // through TensorRT's interfaces an error begins with the layer
				text = strings.TrimPrefix(err.Error(), "a plugin of "+c.plugin+": ")
			}
			fmt.Fprintf(&b, "%s%v: %s\n", c.plugin, c.values, text)
		}
		const golden = "testdata/refusals.golden"
		if os.Getenv("UPDATE") == "1" {
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s is not what the plugins say:\n%s", golden, b.String())
		}
	})
}

// TestFault: a tile that does not exist is told, by the layer that met it, and once.
func TestFault(t *testing.T) {
	maps := operand(normal(1, 1, 2, 4, 4), layouts[0])
	libraries(t, func(t *testing.T, l *Library) {
		for _, tile := range []int64{4, -2} {
			at := operand(tensor.Must(tensor.Of([]int64{0, tile}, 1, 2)), layouts[0])
			_, err := l.Run("TilePack", []Value{{"tile_size", int32(2)}}, []Tensor{maps, at}, Options{})
			if want := "TilePack: an operand is out of range (a plugin)"; err == nil || err.Error() != want {
				t.Errorf("tile %d: error %v, want %s", tile, err, want)
			}
			if layer := l.TakeFault(); layer != "" {
				t.Errorf("the fault of tile %d is there still: %s", tile, layer)
			}
		}
	})
}
