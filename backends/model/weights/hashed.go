package weights

import (
	"hash/fnv"
	"math"
	"strings"

	"github.com/apex-x/apexx/backends/model/config"
)

// gains widen the distribution of the heads that decide, so that hashed weights give scores worth comparing.
var gains = map[string]float64{
	"det_head.cls_pred.weight":     6,
	"det_head.box_pred.weight":     3,
	"det_head.quality_pred.weight": 3,
	"router.head_u.weight":         10,
	"router.head_s.weight":         10,
}

// classBias lowers det_head.cls_pred.bias, so that most anchors stay below a usual score threshold.
const classBias = -1.5

// Hashed computes every parameter that cfg expects, the optional ones included, from the parameter's name and seed, by the
// definition in DESIGN section 3. Equal names, shapes and seeds give equal values in every configuration and on every
// machine.
//
// With the stream r(i) of uniform numbers in [-1, 1): two or more dimensions give r·sqrt(3/fan_in)·gain, where fan_in is the
// elements per output, so that a layer keeps its input's variance at gain 1; a 1-D weight is 1 + r/10, a bias r/10, and any
// other parameter its initial value + r/10.
func Hashed(cfg config.Config, seed uint64) *Set {
	set := &Set{}
	for _, p := range Expected(cfg) {
		set.put(p.Name, Tensor{Shape: p.Shape, Data: hashedValues(p, seed)})
	}
	return set
}

// hashedValues computes one parameter, in float64, rounded once.
func hashedValues(p Param, seed uint64) []float32 {
	offset, scale, gain := p.Default, 0.1, 1.0
	switch {
	case len(p.Shape) >= 2:
		fanIn := p.Len() / p.Shape[0]
		offset, scale = 0, math.Sqrt(3/float64(fanIn))
		if g, ok := gains[p.Name]; ok {
			gain = g
		}
	case p.Name == "det_head.cls_pred.bias":
		offset = classBias
	case strings.HasSuffix(p.Name, ".bias"):
		offset = 0
	case strings.HasSuffix(p.Name, ".weight"):
		offset = 1
	}
	values := make([]float32, p.Len())
	state := nameHash(p.Name) ^ seed
	for i := range values {
		// The conversion forbids a fused multiply-add, which some machines have and which rounds differently.
		values[i] = float32(offset + float64(nextUniform(&state)*scale*gain))
	}
	return values
}

func nameHash(name string) uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(name)) // a hash never fails to write
	return hash.Sum64()
}

// nextUniform takes the upper 24 bits of splitmix64's next output (Steele, Lea and Flood 2014, "Fast splittable
// pseudorandom number generators") to a number in [-1, 1).
func nextUniform(state *uint64) float64 {
	*state += 0x9E3779B97F4A7C15
	z := *state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	z ^= z >> 31
	return 2*float64(z>>40)/(1<<24) - 1
}
