package routing

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func filled(v float32, shape ...int) Array[float32] {
	a := NewArray[float32](shape...)
	for i := range a.Data {
		a.Data[i] = v
	}
	return a
}

func counting(shape ...int) Array[float32] {
	a := NewArray[float32](shape...)
	for i := range a.Data {
		a.Data[i] = float32(i)
	}
	return a
}

func ints(values []int, shape ...int) Array[int] { return Array[int]{Data: values, Shape: shape} }

func TestPack(t *testing.T) {
	packed, meta, err := Pack(counting(1, 2, 8, 8), ints([]int{0, 3}, 1, 2), 4, Hilbert)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(packed.Shape, []int{1, 2, 2, 4, 4}) || meta.GridH != 2 || meta.GridW != 2 || meta.TileSize != 4 ||
		!slices.Equal(meta.Indices.Data, []int{0, 3}) || !slices.Equal(meta.Origins.Data, []int{0, 0, 4, 4}) {
		t.Errorf("packed %v, meta %+v", packed.Shape, meta)
	}
	for _, c := range []struct {
		k, c, y, x int
		want       float32
	}{{0, 0, 0, 0, 0}, {1, 0, 0, 0, 36}, {1, 1, 0, 0, 100}, {1, 1, 3, 3, 127}} {
		if got := packed.Data[((c.k*2+c.c)*4+c.y)*4+c.x]; got != c.want {
			t.Errorf("packed[0,%d,%d,%d,%d] = %v, want %v", c.k, c.c, c.y, c.x, got, c.want)
		}
	}
	_, meta, err = Pack(counting(2, 1, 8, 8), ints([]int{3, 1, 0, 2, 1, 1, 0, 3}, 2, 4), 4, Hilbert)
	if err != nil || !slices.Equal(meta.Indices.Data, []int{0, 2, 3, 1, 0, 3, 1, 1}) {
		t.Errorf("rows are ordered as %v, %v", meta.Indices.Data, err)
	}
	packed, _, err = Pack(counting(1, 2, 8, 8), ints(nil, 1, 0), 4, Hilbert)
	if err != nil || !slices.Equal(packed.Shape, []int{1, 0, 2, 4, 4}) {
		t.Errorf("no tiles: %v, %v", packed.Shape, err)
	}
}

func TestPackErrors(t *testing.T) {
	good := counting(1, 1, 8, 8)
	for _, c := range []struct {
		feature Array[float32]
		ids     Array[int]
		tile    int
		sub     string
	}{
		{counting(1, 8, 8), ints([]int{0}, 1, 1), 4, "rank-4"}, {good, ints([]int{0}, 1), 4, "rank-2"}, {good, ints([]int{0, 0}, 2, 1), 4, "batch"},
		{good, ints([]int{0}, 1, 1), 0, "must be > 0"}, {good, ints([]int{0}, 1, 1), 3, "divisible"}, {good, ints([]int{4}, 1, 1), 4, "out-of-bounds"},
		{good, ints([]int{-1}, 1, 1), 4, "out of bounds"}, {good, ints([]int{0}, 1, 2), 4, "values"},
	} {
		_, _, err := Pack(c.feature, c.ids, c.tile, Hilbert)
		wantErr(t, err, c.sub)
	}
}

// Unpacking what was packed, unchanged, gives the map back, whatever the ids, the order and the mode.
func TestPackUnpackIsIdentity(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		tile, batch, k := 1+rng.IntN(4), 1+rng.IntN(3), rng.IntN(6)
		gridH, gridW := 1+rng.IntN(4), 1+rng.IntN(4)
		feature := NewArray[float64](batch, 1+rng.IntN(3), gridH*tile, gridW*tile)
		for i := range feature.Data {
			feature.Data[i] = rng.NormFloat64()
		}
		ids := NewArray[int](batch, k)
		for i := range ids.Data {
			ids.Data[i] = rng.IntN(gridH * gridW)
		}
		packed, meta, err := Pack(feature, ids, tile, allModes[rng.IntN(len(allModes))])
		if err != nil {
			t.Fatal(err)
		}
		merged, _, err := Unpack(feature, packed, meta.Origins, UnpackOptions{})
		if err != nil || !slices.Equal(merged.Data, feature.Data) {
			t.Fatalf("unpack changed the map (%v)", err)
		}
		if merged = must(Scatter(feature, packed, meta.Origins, ScatterOptions{}))(t); !slices.Equal(merged.Data, feature.Data) {
			t.Fatal("scatter changed the map")
		}
		full := must(FullOrder(gridH, gridW, L2R))(t)
		all := ints(slices.Repeat(full, batch), batch, len(full))
		packed, meta, err = Pack(feature, all, tile, D2U)
		if err != nil {
			t.Fatal(err)
		}
		empty := NewArray[float64](feature.Shape...)
		if merged, _, err = Unpack(empty, packed, meta.Origins, UnpackOptions{}); err != nil || !slices.Equal(merged.Data, feature.Data) {
			t.Fatalf("all tiles do not rebuild the map (%v)", err)
		}
	}
}

func TestUnpackPriority(t *testing.T) {
	at := ints([]int{0, 0}, 1, 1, 2)
	base := filled(0, 1, 1, 4, 4)
	write := func(base Array[float32], v float32, level Level, prior *Array[int8], o Overlap) (Array[float32], *Array[int8]) {
		t.Helper()
		merged, prior, err := Unpack(base, filled(v, 1, 1, 1, 4, 4), at, UnpackOptions{Priority: level.OverlapPriority(), PriorityMap: prior, Overlap: o})
		if err != nil {
			t.Fatal(err)
		}
		return merged, prior
	}
	merged, prior := write(base, 1, L1, nil, Override())
	merged, same := write(merged, 3, L0, prior, Override())
	if merged.Data[0] != 1 || same != prior || prior.Data[0] != 2 || base.Data[0] != 0 {
		t.Errorf("coarser over finer: %v, priority %d, base %v", merged.Data[0], prior.Data[0], base.Data[0])
	}
	merged, prior = write(merged, 3, L2, prior, must(Blend(.25))(t))
	if merged.Data[5] != 1.5 || prior.Data[5] != 3 {
		t.Errorf("blend at level 3: %v, priority %d, want 1.5 and 3", merged.Data[5], prior.Data[5])
	}
	merged, prior = base, nil
	for i, level := range Levels {
		merged, prior = write(merged, float32(i+1), level, prior, Override())
	}
	if merged.Data[0] != 3 {
		t.Errorf("ascending levels leave %v, want 3", merged.Data[0])
	}
	twice, _, err := Unpack(base, filled(1, 1, 2, 1, 4, 4), ints([]int{0, 0, 0, 0}, 1, 2, 2), UnpackOptions{Overlap: must(Blend(.5))(t)})
	if err != nil || twice.Data[0] != .75 {
		t.Errorf("blending one tile twice gives %v (%v), want 0.75", twice.Data[0], err)
	}
}

func TestUnpackErrors(t *testing.T) {
	base, packed, at := filled(0, 1, 1, 8, 8), filled(0, 1, 1, 1, 4, 4), ints([]int{0, 0}, 1, 1, 2)
	bad := NewArray[int8](1, 8, 4)
	for _, c := range []struct {
		base, packed Array[float32]
		origins      Array[int]
		prior        *Array[int8]
		sub          string
	}{
		{filled(0, 1, 8, 8), packed, at, nil, "rank-4"}, {base, filled(0, 1, 1, 4, 4), at, nil, "rank-5"}, {base, packed, Array[int]{}, nil, "origins"},
		{base, filled(0, 2, 1, 1, 4, 4), at, nil, "must match"}, {base, filled(0, 1, 1, 2, 4, 4), at, nil, "must match"},
		{base, filled(0, 1, 1, 1, 4, 3), at, nil, "square"}, {base, filled(0, 1, 1, 1, 0, 0), at, nil, "square"},
		{base, packed, ints([]int{0, 0}, 1, 2), nil, "rank-3"}, {base, packed, ints([]int{0, 0, 0, 0}, 1, 2, 2), nil, "want [1 1 2]"},
		{base, packed, at, &bad, "priority map"}, {base, packed, ints([]int{5, 0}, 1, 1, 2), nil, "out of bounds"},
		{base, packed, ints([]int{0, -1}, 1, 1, 2), nil, "out of bounds"}, {base, packed, ints([]int{math.MaxInt, 0}, 1, 1, 2), nil, "out of bounds"},
	} {
		_, _, err := Unpack(c.base, c.packed, c.origins, UnpackOptions{PriorityMap: c.prior})
		wantErr(t, err, c.sub)
	}
}

func TestParseOverlap(t *testing.T) {
	for _, c := range []struct {
		mode  string
		alpha float64
		want  float32
	}{{"override", .25, 3}, {"blend", .25, 1.5}, {"blend", 0, 1}, {"blend", 1, 3}} {
		if got := mix(must(ParseOverlap(c.mode, c.alpha))(t), float32(1), 3); got != c.want {
			t.Errorf("%s %v of 1 and 3 = %v, want %v", c.mode, c.alpha, got, c.want)
		}
	}
	for _, alpha := range []float64{-.1, 1.1, math.NaN()} {
		for _, mode := range []string{"override", "blend"} {
			_, err := ParseOverlap(mode, alpha)
			wantErr(t, err, "blend_alpha")
		}
	}
	_, err := ParseOverlap("max", .5)
	wantErr(t, err, "overlap_mode")
}

func TestScatter(t *testing.T) {
	tiles := func(a, b float32) Array[float32] {
		p := filled(a, 1, 2, 1, 4, 4)
		copy(p.Data[16:], slices.Repeat([]float32{b}, 16))
		return p
	}
	base, at := filled(0, 1, 1, 8, 8), ints([]int{0, 0, 2, 2}, 1, 2, 2)
	levels := ints([]int{0, 2}, 1, 2)
	got := must(Scatter(base, tiles(1, 9), at, ScatterOptions{Levels: &levels, Unsorted: true}))(t)
	for i, v := range got.Data {
		y, x := i/8, i%8
		want := float32(0)
		if y < 4 && x < 4 {
			want = 1
		}
		if y >= 2 && y < 6 && x >= 2 && x < 6 {
			want = 9
		}
		if v != want {
			t.Fatalf("cell (%d,%d) is %v, want %v", y, x, v, want)
		}
	}
	levels = ints([]int{1, 2}, 1, 2)
	got = must(Scatter(base, tiles(1, 3), at, ScatterOptions{Levels: &levels, Overlap: must(Blend(.25))(t)}))(t)
	for cell, want := range map[int]float32{0: .25, 2*8 + 2: .9375, 5*8 + 5: .75} {
		if got.Data[cell] != want {
			t.Errorf("blended cell %d is %v, want %v", cell, got.Data[cell], want)
		}
	}
	levels = ints([]int{2, 1}, 1, 2) // packed fine first: the coarse tile must not win
	if got = must(Scatter(base, tiles(1, 9), at, ScatterOptions{Levels: &levels}))(t); got.Data[2*8+2] != 1 {
		t.Errorf("the finer tile lost: %v", got.Data[2*8+2])
	}
	_, err := Scatter(base, tiles(1, 9), at, ScatterOptions{Unsorted: true})
	wantErr(t, err, "levels")
	for _, wild := range [][]int{{0, 1 << 31}, {math.MinInt, math.MaxInt}} {
		levels = ints(wild, 1, 2)
		_, err = Scatter(base, tiles(1, 9), at, ScatterOptions{Levels: &levels})
		wantErr(t, err, "int32")
	}
	// A single tile per sample still takes one key bit for its position.
	levels = ints([]int{0, 1 << 30}, 2, 1)
	_, err = Scatter(filled(0, 2, 1, 8, 8), filled(1, 2, 1, 1, 4, 4), ints([]int{0, 0, 0, 0}, 2, 1, 2), ScatterOptions{Levels: &levels})
	wantErr(t, err, "int32")
	levels = ints([]int{1}, 1, 1)
	_, err = Scatter(base, tiles(1, 9), at, ScatterOptions{Levels: &levels})
	wantErr(t, err, "want [1 2]")
	_, err = Scatter(filled(0, 1, 1, 6, 8), tiles(1, 9), at, ScatterOptions{})
	wantErr(t, err, "divisible")
}
