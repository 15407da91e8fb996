package manifest

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/must"
)

func TestCanonicalJSON(t *testing.T) {
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	for _, c := range []struct {
		v    any
		text string
		hash string
	}{
		{map[string]any{}, `{}`, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		{map[string]any{"b": []int{1, 2, 3}, "a": map[string]int{"y": 2, "x": 1}}, `{"a":{"x":1,"y":2},"b":[1,2,3]}`,
			"e1ca855256d6ce15c2d389babfb8f209659a9cf625428bb2eeb07b06d5fa80ea"},
		{map[string]any{"f": []float64{1, .1, 1e-5, 1e16, 1.2345678901234568e17, math.Copysign(0, -1), 2.5, 1e-4, 1e22, 0.30000000000000004}},
			`{"f":[1.0,0.1,1e-05,1e+16,1.2345678901234568e+17,-0.0,2.5,0.0001,1e+22,0.30000000000000004]}`,
			"eb87c53f740777630bdd48fefe82bc4925b25f42e2c4c73617abe2be039019de"},
		{map[string]any{"s": "é\u2028<&>/\"\\\n\t\x7f😀"}, `{"s":"\u00e9\u2028<&>/\"\\\n\t\u007f\ud83d\ude00"}`,
			"c695463265e71a8f391eaf67d9784e1d9b068e6e6f3b9fef28cf4445e68fcb71"},
		{map[any]any{10: "a", 9: "b", "1": "c"}, `{"1":"c","10":"a","9":"b"}`,
			"08e315b0878ea7b1690533b0bbc86724654f7dbd87928622123abcf9661975c9"},
		{1e15, `1000000000000000.0`, "c02731631f61648f06ba5501a9c68e2b0a9186a934ff45f40ab28eb6f3673021"},
		{[]any{nil, true, false, uint64(math.MaxUint64), huge, int8(-3), [2]bool{true}, "\b\f\r\x01"},
			`[null,true,false,18446744073709551615,123456789012345678901234567890,-3,[true,false],"\b\f\r\u0001"]`, ""},
		{[]json.Number{"1", "1.0", "1e2", "123456789012345678901234567890", "-0", "-0.0"}, `[1,1.0,100.0,123456789012345678901234567890,0,-0.0]`, ""},
	} {
		text, err := CanonicalJSON(c.v)
		if err != nil || string(text) != c.text {
			t.Errorf("canonical text of %v is %s (%v), want %s", c.v, text, err, c.text)
		}
		if hash := must.Get(HashJSON(c.v))(t); c.hash != "" && hash != c.hash {
			t.Errorf("hash of %s is %s, want %s", text, hash, c.hash)
		}
	}
}

func TestCanonicalJSONErrors(t *testing.T) {
	cyclic := map[string]any{}
	cyclic["self"] = cyclic
	for _, c := range []struct {
		v    any
		sub  string
		kind bool
	}{
		{math.NaN(), "finite", false}, {[]float64{1, math.Inf(-1)}, "finite", false}, {map[any]any{1: "a", "1": "b"}, "two keys", false},
		{"\xff", "UTF-8", false}, {cyclic, "nested", false}, {struct{}{}, "struct", true}, {map[float64]int{1: 1}, "key", true}, {func() {}, "func()", true},
		{json.Number("1e999"), "finite", false}, {json.Number(strings.Repeat("9", 5000)), "digits", false},
	} {
		_, err := CanonicalJSON(c.v)
		must.Fail(t, err, c.sub)
		if errors.Is(err, ErrType) != c.kind {
			t.Errorf("%v: is a type error: %v, want %v", err, !c.kind, c.kind)
		}
	}
}

// Printed floats read back to the same bits, whatever their exponent.
func TestFormatFloatRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 20000 {
		f := math.Float64frombits(rng.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		back, err := strconv.ParseFloat(formatFloat(f), 64)
		if err != nil || math.Float64bits(back) != math.Float64bits(f) {
			t.Fatalf("%v prints as %s, reads as %v (%v)", f, formatFloat(f), back, err)
		}
	}
}
