package parity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"

	"github.com/apex-x/apexx/parity/evidence"
)

// A fault changes outputs as a defect of a backend would. Faults of a legitimate kind are changes that a correct backend may
// show; the comparer must not fail them.
type fault struct {
	name       string
	legitimate bool
	inject     func(f *fix, rng *rand.Rand)
}

var floatOutputs = []string{"boxes", "scores", "mask_logits", "mask_scores", "embeddings", "semantic_logits", "utilities", "split_utilities"}

// element picks an output and one of its elements that is not padding.
func (f *fix) element(rng *rand.Rand) *float32 {
	for {
		data := f.floats(floatOutputs[rng.IntN(len(floatOutputs))])
		if i := rng.IntN(len(data)); data[i] != 0 && data[i] != -20 {
			return &data[i]
		}
	}
}

func scaleBy(factor float32) func(*fix, *rand.Rand) {
	return func(f *fix, rng *rand.Rand) {
		data := f.floats(floatOutputs[rng.IntN(len(floatOutputs))])
		for i := range data {
			data[i] *= factor
		}
	}
}

func changeOne(change func(v float32) float32) func(*fix, *rand.Rand) {
	return func(f *fix, rng *rand.Rand) {
		p := f.element(rng)
		*p = change(*p)
	}
}

// flipBit flips one bit of one element, counted from the lowest of the mantissa.
func flipBit(bit uint) func(*fix, *rand.Rand) {
	return changeOne(func(v float32) float32 { return math.Float32frombits(math.Float32bits(v) ^ 1<<bit) })
}

// eachPlane calls do on every plane [h,w] of a map output.
func (f *fix) eachPlane(name string, do func(plane []float32, h, w int)) {
	t := f.list.Get(name)
	h, w := t.Shape()[2], t.Shape()[3]
	data := f.floats(name)
	for at := 0; at < len(data); at += h * w {
		do(data[at:at+h*w], h, w)
	}
}

func shiftPlane(plane []float32, h, w int) {
	for y := range h {
		row := plane[y*w : (y+1)*w]
		copy(row[1:], row[:w-1])
	}
}

// transposePlane writes the rows of a plane as its columns, as a kernel with exchanged strides does.
func transposePlane(plane []float32, h, w int) {
	src := append([]float32(nil), plane...)
	for y := range h {
		for x := range w {
			plane[(x*h+y)%len(plane)] = src[y*w+x]
		}
	}
}

func pick(f *fix, b int, rng *rand.Rand) int { return rng.IntN(int(f.ints("valid_counts")[b])) }

func roundTo(bits uint) func(*fix, *rand.Rand) {
	return func(f *fix, _ *rand.Rand) {
		for _, name := range floatOutputs {
			data := f.floats(name)
			for i, v := range data {
				step := uint32(1) << (23 - bits)
				data[i] = math.Float32frombits((math.Float32bits(v) + step/2) &^ (step - 1))
			}
		}
	}
}

var faults = []fault{
	{"nothing", true, func(*fix, *rand.Rand) {}},
	{"rounding noise of 1e-6", true, func(f *fix, rng *rand.Rand) { jitter(f.list, 1e-6, rng); f.decide() }},
	{"rounding noise of 1e-5", true, func(f *fix, rng *rand.Rand) { jitter(f.list, 1e-5, rng); f.decide() }},
	{"a tie of two tiles broken the other way", true, func(f *fix, rng *rand.Rand) {
		f.flipTile(rng.IntN(fixBatch), 0)
	}},
	{"a tie of two tiles broken by 2e-6", true, func(f *fix, rng *rand.Rand) { f.flipTile(rng.IntN(fixBatch), 1e-6) }},
	{"-0 for +0", true, func(f *fix, _ *rand.Rand) {
		for i, v := range f.floats("scores") {
			if v == 0 {
				f.floats("scores")[i] = float32(math.Copysign(0, -1))
			}
		}
	}},
	{"one element, lowest mantissa bit", true, flipBit(0)},
	{"one element, mantissa bit 8 (1e-5)", false, flipBit(7)},
	{"one element, mantissa bit 12 (5e-4)", false, flipBit(12)},
	{"one element, mantissa bit 16 (1e-2)", false, flipBit(16)},
	{"one element, highest mantissa bit", false, flipBit(22)},
	{"one element, exponent bit", false, flipBit(24)},
	{"one element, sign", false, flipBit(31)},
	{"one element NaN", false, changeOne(func(float32) float32 { return float32(math.NaN()) })},
	{"one element +Inf", false, changeOne(func(float32) float32 { return float32(math.Inf(1)) })},
	{"one element zero", false, changeOne(func(float32) float32 { return 0 })},
	{"all of an output NaN", false, func(f *fix, rng *rand.Rand) {
		data := f.floats(floatOutputs[rng.IntN(len(floatOutputs))])
		for i := range data {
			data[i] = float32(math.NaN())
		}
	}},
	{"an output scaled by 1+1e-4", false, scaleBy(1 + 1e-4)},
	{"an output scaled by 1+1e-3", false, scaleBy(1 + 1e-3)},
	{"an output scaled by 1+1e-2", false, scaleBy(1 + 1e-2)},
	{"an output negated", false, scaleBy(-1)},
	{"fp16 rounding of every output", false, roundTo(10)},
	{"bf16 rounding of every output", false, roundTo(7)},
	{"masks shifted by one pixel", false, func(f *fix, _ *rand.Rand) { f.eachPlane("mask_logits", shiftPlane) }},
	{"semantic map shifted by one pixel", false, func(f *fix, _ *rand.Rand) { f.eachPlane("semantic_logits", shiftPlane) }},
	{"semantic map with exchanged axes", false, func(f *fix, _ *rand.Rand) { f.eachPlane("semantic_logits", transposePlane) }},
	{"a zeroed tile of the semantic map", false, func(f *fix, rng *rand.Rand) {
		y0, x0 := 16*rng.IntN(3), 16*rng.IntN(5)
		f.eachPlane("semantic_logits", func(p []float32, _, w int) {
			for y := y0; y < y0+16; y++ {
				clear(p[y*w+x0 : y*w+x0+16])
			}
		})
	}},
	{"the batch exchanged", false, func(f *fix, _ *rand.Rand) {
		data := f.floats("semantic_logits")
		half := len(data) / 2
		for i := range half {
			data[i], data[half+i] = data[half+i], data[i]
		}
	}},
	{"every box shifted by one pixel", false, func(f *fix, _ *rand.Rand) {
		for i, v := range f.floats("boxes") {
			if v != 0 {
				f.floats("boxes")[i] = v + 1
			}
		}
	}},
	{"one box shifted by one pixel", false, func(f *fix, rng *rand.Rand) {
		at := 4 * (fixRows + pick(f, 1, rng))
		for i := range 4 {
			f.floats("boxes")[at+i]++
		}
	}},
	{"one box shifted by one pixel, taps recorded", false, func(f *fix, rng *rand.Rand) {
		at := 4 * (fixRows + pick(f, 1, rng))
		for i := range 4 {
			f.floats("boxes")[at+i]++
		}
	}},
	{"boxes as x,y,w,h", false, func(f *fix, _ *rand.Rand) {
		b := f.floats("boxes")
		for i := 0; i < len(b); i += 4 {
			b[i+2], b[i+3] = b[i+2]-b[i], b[i+3]-b[i+1]
		}
	}},
	{"x and y of the boxes exchanged", false, func(f *fix, _ *rand.Rand) {
		b := f.floats("boxes")
		for i := 0; i < len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
	}},
	{"a detection dropped", false, func(f *fix, rng *rand.Rand) { f.dropRow(1, pick(f, 1, rng)) }},
	{"a detection duplicated", false, func(f *fix, rng *rand.Rand) {
		row := pick(f, 0, rng)
		valid := int(f.ints("valid_counts")[0])
		for _, n := range f.list {
			for _, p := range perDetection {
				if p.name != n.Name {
					continue
				}
				length := rowLength(n.Tensor, 2)
				if n.DType() == tensor.Int64 {
					copy(f.ints(n.Name)[valid*length:(valid+1)*length], f.ints(n.Name)[row*length:])
				} else {
					copy(f.floats(n.Name)[valid*length:(valid+1)*length], f.floats(n.Name)[row*length:])
				}
			}
		}
		f.ints("valid_counts")[0]++
		for i := valid; i > row+1; i-- {
			f.swapRows(0, i, i-1)
		}
	}},
	{"a wrong class", false, func(f *fix, rng *rand.Rand) {
		i := pick(f, 0, rng)
		f.ints("class_ids")[i] = (f.ints("class_ids")[i] + 1) % fixClasses
	}},
	{"two detections swapped", false, func(f *fix, rng *rand.Rand) { i := pick(f, 1, rng); f.swapRows(1, i, (i+7)%fixRows) }},
	{"two masks swapped", false, func(f *fix, rng *rand.Rand) { i := pick(f, 1, rng); f.swapRows(1, i, (i+7)%fixRows, "mask_logits") }},
	{"two embeddings swapped", false, func(f *fix, rng *rand.Rand) { i := pick(f, 1, rng); f.swapRows(1, i, (i+7)%fixRows, "embeddings") }},
	{"a count off by one", false, func(f *fix, rng *rand.Rand) {
		f.ints([]string{"valid_counts", "valid_l0", "valid_l1"}[rng.IntN(3)])[0]--
	}},
	{"a tile id off by one", false, func(f *fix, rng *rand.Rand) { f.ints("tiles_l0")[rng.IntN(fixTiles)]++ }},
	{"a child id off by one", false, func(f *fix, rng *rand.Rand) { f.ints("tiles_l1")[rng.IntN(4*fixSplits)]++ }},
	{"two tiles swapped", false, func(f *fix, rng *rand.Rand) {
		i, t := rng.IntN(fixTiles-1), f.ints("tiles_l0")
		t[i], t[i+1] = t[i+1], t[i]
	}},
	{"lowest instead of highest utilities", false, func(f *fix, _ *rand.Rand) {
		u := f.floats("utilities")
		for i := range u {
			u[i] = -u[i]
		}
		f.selectTiles(0)
		f.selectTiles(1)
		for i := range u {
			u[i] = -u[i]
		}
	}},
	{"another tile, by 2e-6, and NaN after it", false, func(f *fix, _ *rand.Rand) {
		f.flipTile(0, 1e-6)
		for _, name := range []string{"mask_logits", "embeddings", "semantic_logits"} {
			data := f.floats(name)
			for i := range len(data) / 2 {
				data[i] = float32(math.NaN())
			}
		}
		f.dropAll(0)
	}},
	{"another tile, by 2e-6, and no detections", false, func(f *fix, _ *rand.Rand) { f.flipTile(0, 1e-6); f.dropAll(0) }},
	{"utilities shifted by 4.5e-5, a worse tile taken", false, func(f *fix, rng *rand.Rand) {
		f.shift("utilities", 4.5e-5)
		f.ints("tiles_l0")[fixTiles-1] = int64(absent(f, 0))
	}},
	{"scores shifted by 4.5e-5, two rows exchanged", false, func(f *fix, rng *rand.Rand) {
		f.shift("scores", 4.5e-5)
		i := rng.IntN(10)
		f.swapRows(0, i, i+1)
	}},
	{"one side of a box moved by 100 pixels", false, func(f *fix, rng *rand.Rand) {
		f.floats("boxes")[4*(fixRows+pick(f, 1, rng))+2] += 100
	}},
	{"12 of 20 detections dropped", false, func(f *fix, rng *rand.Rand) {
		for range 12 {
			f.dropRow(1, pick(f, 1, rng))
		}
	}},
	{"a mask inverted inside its box", false, func(f *fix, rng *rand.Rand) {
		row := f.floats("mask_logits")[pick(f, 0, rng)*fixMaskH*fixMaskW:][:fixMaskH*fixMaskW]
		for i, v := range row {
			if v != -20 {
				row[i] = -v
			}
		}
	}},
	{"an embedding turned by a degree", false, func(f *fix, rng *rand.Rand) {
		e := f.floats("embeddings")[pick(f, 0, rng)*64:][:64]
		a, b := float64(e[0]), float64(e[1])
		turn := math.Atan2(b, a) + math.Pi/180/math.Hypot(a, b)
		e[0], e[1] = float32(math.Hypot(a, b)*math.Cos(turn)), float32(math.Hypot(a, b)*math.Sin(turn))
	}},
	{"padding of 0 instead of -1", false, func(f *fix, _ *rand.Rand) {
		for i, v := range f.ints("tiles_l1") {
			if v == -1 {
				f.ints("tiles_l1")[i] = 0
			}
		}
	}},
}

// shift adds by to every element of an output that is not padding.
func (f *fix) shift(name string, by float32) {
	data := f.floats(name)
	for i, v := range data {
		if v != 0 {
			data[i] = v + by
		}
	}
}

// tie brings the best tile that was left out of every image within 1e-6 of the last one that was chosen.
func (f *fix) tie() {
	for b := range fixBatch {
		k, width := fixGridH*fixGridW, f.list.Get("tiles_l0").Shape()[1]
		u := f.floats("utilities")[b*k : (b+1)*k]
		last := f.ints("tiles_l0")[b*width+fixTiles-1]
		u[absent(f, b)] = u[last] - 1e-6
		f.selectTiles(b)
	}
}

// flipTile moves the utility of the tile that tie brought near by 1e-6 and by more, so that it is chosen.
func (f *fix) flipTile(b int, more float32) {
	k, width := fixGridH*fixGridW, f.list.Get("tiles_l0").Shape()[1]
	u := f.floats("utilities")[b*k : (b+1)*k]
	last := f.ints("tiles_l0")[b*width+fixTiles-1]
	for id, v := range u {
		if id != int(last) && u[last]-v > 0 && u[last]-v < 2e-6 {
			u[id] = max(math.Nextafter32(u[last], 2), v+1e-6+more)
		}
	}
	f.selectTiles(b)
}

// TestInjectedFaults publishes the share of faults that each rule fails, over the same trials, and the rest of them that it at
// least reports as unverified or explained. No legitimate change may fail under any rule, and what was caught may only get better:
// the golden file is the record.
func TestInjectedFaults(t *testing.T) {
	const trials = 6
	policies := []Policy{Quality.Policy(EndToEnd), Balanced.Policy(EndToEnd), Edge.Policy(EndToEnd), GoldenPolicy()}
	var out strings.Builder
	fmt.Fprintf(&out, "%-51s %9s %9s %9s %9s\n", "fault", "quality", "balanced", "edge", "golden")
	caught, held, total := make([]int, len(policies)), make([]int, len(policies)), 0
	for at, f := range faults {
		var failed, unverified, explained [4]int
		for trial := range trials {
			ref := &fix{fixture(uint64(trial % 3))}
			if strings.Contains(f.name, "tie of") || strings.Contains(f.name, "another tile") {
				ref.tie()
			}
			if strings.Contains(f.name, "taps recorded") {
				ref.recordPredictions()
			}
			cand := &fix{ref.list.Clone()}
			f.inject(cand, rand.New(rand.NewPCG(uint64(trial), uint64(at))))
			for i, p := range policies {
				switch r := CompareOutputs(ref.list, cand.list, Options{Policy: p, Setting: fixSetting}); r.State {
				case evidence.Fail:
					failed[i]++
				case evidence.Unverified:
					unverified[i]++
				case evidence.Explained:
					explained[i]++
				}
			}
		}
		name := f.name
		if f.legitimate {
			name += " (must pass)"
			if failed != [4]int{} {
				t.Errorf("%s failed in %v of %d trials", f.name, failed, trials)
			}
		} else {
			total += trials
		}
		fmt.Fprintf(&out, "%-51s", name)
		for i := range policies {
			if !f.legitimate {
				caught[i] += failed[i]
				held[i] += failed[i] + unverified[i]
			}
			cell := fmt.Sprintf("%d%%", 100*failed[i]/trials)
			if unverified[i] > 0 {
				cell += fmt.Sprintf("?%d%%", 100*unverified[i]/trials)
			}
			if explained[i] > 0 {
				cell += fmt.Sprintf("+%d%%", 100*explained[i]/trials)
			}
			fmt.Fprintf(&out, " %9s", cell)
		}
		out.WriteByte('\n')
	}
	fmt.Fprintf(&out, "%-51s", "all faults")
	for i := range policies {
		fmt.Fprintf(&out, " %8.1f%%", 100*float64(caught[i])/float64(total))
	}
	fmt.Fprintf(&out, "\n%-51s", "all faults, failed or unverified")
	for i := range policies {
		fmt.Fprintf(&out, " %8.1f%%", 100*float64(held[i])/float64(total))
	}
	fmt.Fprintf(&out, "\n\n%d trials each; \"?n%%\" were reported as unverified and \"+n%%\" as explained, not as failures.\n", trials)
	goldenfile.Check(t, "faults.txt", out.String())
}
