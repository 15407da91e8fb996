package cuda

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

const (
	maxLevels      = 8
	detectThreads  = 128
	rankThreads    = 1024
	collectClasses = 8 // of a thread
	mostCandidates = 1 << 16
)

type detectLevel struct {
	cls, box, quality             Address
	cells, columns, first, stride int32
}

// pyramid is the dense predictions as the kernels take them.
type pyramid struct {
	levels                   [maxLevels]detectLevel
	count, classes, batch, _ int32
	width, height            float32
}

// A detection holds what the operators of detection have in common.
type detection struct {
	pyramid
	in      []*lower.Value
	anchors int
	cells   int // of the largest level
}

func newDetection(strides []int, imageH, imageW int, in []*lower.Value) (*detection, error) {
	if len(strides) > maxLevels {
		return nil, fmt.Errorf("%d levels, want at most %d", len(strides), maxLevels)
	}
	d := &detection{in: in, pyramid: pyramid{
		count: int32(len(strides)), classes: int32(in[0].Shape[1]), batch: int32(in[0].Shape[0]), width: float32(imageW), height: float32(imageH),
	}}
	for l, stride := range strides {
		h, w := in[l].Shape[2], in[l].Shape[3]
		d.levels[l] = detectLevel{cells: int32(h * w), columns: int32(w), first: int32(d.anchors), stride: int32(stride)}
		d.anchors += h * w
		d.cells = max(d.cells, h*w)
	}
	if pairs := d.anchors * int(d.classes); pairs > math.MaxInt32 {
		return nil, fmt.Errorf("%d pairs of an anchor and a class, want at most %d", pairs, math.MaxInt32)
	}
	return d, nil
}

// at returns the pyramid with the addresses of its maps.
func (d *detection) at(m *memory) pyramid {
	p, n := d.pyramid, int(d.count)
	for l := range n {
		p.levels[l].cls, p.levels[l].box, p.levels[l].quality = m.at(d.in[l]), m.at(d.in[n+l]), m.at(d.in[2*n+l])
	}
	return p
}

type detectArgs struct {
	pyramid                                                        pyramid
	keys, counts, ranked, boxes, merged, mergedBoxes, pairs, valid Address
	pairsPerSample                                                 int64
	scoreThreshold, overlapThreshold, floor                        float32
	top, most, keyShift                                            int32
}

// lowerSelectDetections has room for every pair as a candidate, so that no image has more than fit.
func lowerSelectDetections(_ *compiler, s *step) error {
	op := s.Node.Op.(graph.SelectDetections)
	d, err := newDetection(op.Strides, op.ImageHeight, op.ImageWidth, s.Node.In)
	if err != nil {
		return err
	}
	batch, levels, pairs := int(d.batch), int(d.count), d.anchors*int(d.classes)
	top := min(op.PreNMSTopK, max(1, d.cells*int(d.classes)))
	if levels*top > mostCandidates {
		return fmt.Errorf("%d candidates of each of %d levels, want at most %d in all", top, levels, mostCandidates)
	}
	lists := batch * levels * top
	keys, counts := s.AddScratch(tensor.Int64, batch*pairs), s.AddScratch(tensor.Int32, batch*levels)
	ranked, merged := s.AddScratch(tensor.Int64, lists), s.AddScratch(tensor.Int64, lists)
	boxes, mergedBoxes := s.AddScratch(tensor.Float32, 4*lists), s.AddScratch(tensor.Float32, 4*lists)
	s.launches = func(m *memory) []Launch {
		args := detectArgs{
			pyramid: d.at(m), keys: m.at(keys), counts: m.at(counts), ranked: m.at(ranked), boxes: m.at(boxes), merged: m.at(merged),
			mergedBoxes: m.at(mergedBoxes), pairs: m.at(s.Node.Out[0]), valid: m.at(s.Node.Out[1]),
			pairsPerSample: int64(pairs), scoreThreshold: op.ScoreThreshold, overlapThreshold: op.IoUThreshold,
			floor: logitFloor(op.ScoreThreshold), top: int32(top), most: int32(op.MaxDetections), keyShift: keyShift(op.ScoreThreshold),
		}
		collect := [3]int{ceilDiv(d.cells, detectThreads), levels * ceilDiv(int(d.classes), collectClasses), batch}
		return []Launch{
			linear("detect_clear", batch*levels, detectThreads, args),
			launch("detect_collect", collect, detectThreads, args),
			launch("detect_rank", [3]int{batch * levels, 1, 1}, rankThreads, args),
			launch("detect_suppress", [3]int{batch, 1, 1}, rankThreads, args),
		}
	}
	return nil
}

// keyShift returns by how many bits a number up to that of score 1, counted from the threshold, can move to the left.
func keyShift(threshold float32) int32 {
	return int32(min(31, bits.LeadingZeros32(math.Float32bits(1)-math.Float32bits(threshold))))
}

// logitFloor returns a class logit below which no score σ(logit)·σ(quality) reaches the least: log(t/(1-t)), lowered by more than any rounding of
// the score amounts to. It spares most cells the exponential.
func logitFloor(least float32) float32 {
	if least <= 0 {
		return float32(math.Inf(-1))
	}
	t := min(float64(least), 0.99)
	return float32(math.Log(t/(1-t)) - 1e-3)
}

type decodeArgs struct {
	pyramid                              pyramid
	pairs, valid, boxes, scores, classes Address
	anchors                              int64
	rows, _                              int32
	fault                                fault
}

func lowerDecodeBoxes(_ *compiler, s *step) error {
	op := s.Node.Op.(graph.DecodeBoxes)
	d, err := newDetection(op.Strides, op.ImageHeight, op.ImageWidth, s.Node.In)
	if err != nil {
		return err
	}
	n := 3 * len(op.Strides)
	pairs, valid, out := s.Node.In[n], s.Node.In[n+1], s.Node.Out
	s.launches = func(m *memory) []Launch {
		args := decodeArgs{
			pyramid: d.at(m), pairs: m.at(pairs), valid: m.at(valid), boxes: m.at(out[0]), scores: m.at(out[1]), classes: m.at(out[2]),
			anchors: int64(d.anchors), rows: int32(pairs.Shape[1]), fault: m.faultOf(s.number),
		}
		return []Launch{linear("detect_decode", pairs.Len(), detectThreads, args)}
	}
	return nil
}
