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
	maxLevels      = 8 // also how many the rule Detections knows
	decodeThreads  = 128
	detectThreads  = 1024
	collectClasses = 4    // of a thread
	sortedKeys     = 4096 // which are sorted in shared memory
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
	pyramid                                           pyramid
	keys, ranked, boxes, counts, blocksDone, lvlsDone Address
	pairs, valid, keptBoxes, scores, classes          Address
	pairsPerSample                                    int64
	scoreThreshold, overlapThreshold, floor           float32
	top, most, keyShift, room, _                      int32
}

// lowerDetections lowers SelectDetections, alone or with the DecodeBoxes of what it keeps. It has room for every pair as a candidate, so that no
// image has more than fit.
func lowerDetections(_ *compiler, s *step) error {
	selection, decoding := s.Node, (*lower.Node)(nil)
	if part := s.Node.Part("select"); part != nil {
		selection, decoding = part, s.Node.Part("decode")
		for _, v := range selection.Out {
			if !s.Node.Stores(v) {
				s.AddBetween(v)
			}
		}
	}
	op := selection.Op.(graph.SelectDetections)
	d, err := newDetection(op.Strides, op.ImageHeight, op.ImageWidth, selection.In)
	if err != nil {
		return err
	}
	batch, levels, pairs := int(d.batch), int(d.count), d.anchors*int(d.classes)
	top := min(op.PreNMSTopK, max(1, d.cells*int(d.classes)))
	room := top
	if top > sortedKeys {
		room = 1 << bits.Len(uint(top-1)) // keys are sorted in their list, by powers of two
	}
	lists := batch * levels
	keys, ranked := s.AddScratch(tensor.Int64, batch*pairs), s.AddScratch(tensor.Int64, lists*room)
	boxes := s.AddScratch(tensor.Float32, 4*lists*top)
	counters := s.table(tensor.New(tensor.Int32, 2*lists+batch)) // 0 before and after every run
	var keptBoxes, scores, classes *lower.Value
	if decoding != nil {
		keptBoxes, scores, classes = decoding.Out[0], decoding.Out[1], decoding.Out[2]
	} else {
		keptBoxes = s.AddScratch(tensor.Float32, 4*batch*op.MaxDetections)
	}
	s.launches = func(m *memory) []Launch {
		const word = 4
		args := detectArgs{
			pyramid: d.at(m), keys: m.at(keys), ranked: m.at(ranked), boxes: m.at(boxes),
			counts: m.at(counters), blocksDone: m.at(counters) + Address(word*lists), lvlsDone: m.at(counters) + Address(2*word*lists),
			pairs: m.at(selection.Out[0]), valid: m.at(selection.Out[1]), keptBoxes: m.at(keptBoxes), scores: m.at(scores), classes: m.at(classes),
			pairsPerSample: int64(pairs), scoreThreshold: op.ScoreThreshold, overlapThreshold: op.IoUThreshold,
			floor: logitFloor(op.ScoreThreshold), top: int32(top), most: int32(op.MaxDetections), keyShift: keyShift(op.ScoreThreshold), room: int32(room),
		}
		grid := [3]int{ceilDiv(d.cells, detectThreads), levels * ceilDiv(int(d.classes), collectClasses), batch}
		return []Launch{launch("detect_select", grid, detectThreads, args)}
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
		return []Launch{linear("detect_decode", pairs.Len(), decodeThreads, args)}
	}
	return nil
}
