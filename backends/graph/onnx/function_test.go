package onnx

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
)

// calls lists the nodes and the functions of a model: domain, operator type, overload and attribute names.
func calls(t *testing.T, data []byte) string {
	t.Helper()
	var s strings.Builder
	node := func(f field) error {
		if f.num != graphNode {
			return nil
		}
		n, err := decodeNode(f.data)
		overload := ""
		if err == nil {
			err = fields(f.data, func(f field) error {
				if f.num == nodeOverload {
					return f.str(&overload)
				}
				return nil
			})
		}
		fmt.Fprintf(&s, "node %s: %q %s %v %q\n", n.name, n.domain, n.opType, n.inputs, overload)
		return err
	}
	function := func(f field) error {
		var name string
		switch f.num {
		case functionName, functionDomain, functionOverload, functionAttribute:
			err := f.str(&name)
			fmt.Fprintf(&s, " %q", name)
			return err
		}
		return nil
	}
	err := fields(data, func(f field) error {
		switch f.num {
		case modelGraph:
			return fields(f.data, node)
		case modelFunctions:
			s.WriteString("function")
			defer s.WriteByte('\n')
			return fields(f.data, function)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

func TestFunctionsAreSpecialisedAndShared(t *testing.T) {
	b := graph.NewBuilder("g")
	x := b.Input("x", f32(1, 4, 8, 8))
	scale := b.Const("scale", ramp(4))
	for i, eps := range []float64{1e-5, 1e-5, 1e-3} {
		x = b.Add1(fmt.Sprintf("norm%d", i), graph.GroupNormalization{Groups: 2, Epsilon: eps}, x, scale, scale)
	}
	ids := b.Const("ids", ints(0, 3))
	two := b.Add1("ids2", graph.Reshape{Shape: []int{1, 2}}, ids)
	b.Output("unpack", b.Add1("unpack", graph.TileUnpackFusion{}, x, b.Add1("pack", graph.TilePack{Tile: 4}, x, two), two, nil))
	g := build(t, b)

	for _, c := range []struct {
		opts WriteOptions
		want string
	}{
		{WriteOptions{NoFunctions: true}, `node norm0: "" GroupNormalization [x scale scale] ""
node norm1: "" GroupNormalization [norm0 scale scale] ""
node norm2: "" GroupNormalization [norm1 scale scale] ""
node ids2: "" Reshape [ids ids2.shape] ""
node pack: "apexx" TilePack [norm2 ids2] ""
node unpack: "apexx" TileUnpackFusion [norm2 pack ids2 ] ""
`},
		{WriteOptions{}, `node norm0: "apexx" GroupNormalization [x scale scale] "float32[1,4,8,8] float32[4] float32[4] num_groups=2 epsilon=1e-05"
node norm1: "apexx" GroupNormalization [norm0 scale scale] "float32[1,4,8,8] float32[4] float32[4] num_groups=2 epsilon=1e-05"
node norm2: "apexx" GroupNormalization [norm1 scale scale] "float32[1,4,8,8] float32[4] float32[4] num_groups=2 epsilon=0.001"
node ids2: "" Reshape [ids ids2.shape] ""
node pack: "apexx" TilePack [norm2 ids2] "float32[1,4,8,8] int64[1,2] tile_size=4"
node unpack: "apexx" TileUnpackFusion [norm2 pack ids2 ] "float32[1,4,8,8] float32[1,2,4,4,4] int64[1,2] - blend=0 blend_alpha=0"
function "GroupNormalization" "num_groups" "epsilon" "apexx" "float32[1,4,8,8] float32[4] float32[4] num_groups=2 epsilon=1e-05"
function "GroupNormalization" "num_groups" "epsilon" "apexx" "float32[1,4,8,8] float32[4] float32[4] num_groups=2 epsilon=0.001"
function "TilePack" "tile_size" "apexx" "float32[1,4,8,8] int64[1,2] tile_size=4"
function "TileUnpackFusion" "blend" "blend_alpha" "apexx" "float32[1,4,8,8] float32[1,2,4,4,4] int64[1,2] - blend=0 blend_alpha=0"
`},
	} {
		data, err := Marshal(g, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := calls(t, data); got != c.want {
			t.Errorf("%+v: got\n%swant\n%s", c.opts, got, c.want)
		}
	}
}
