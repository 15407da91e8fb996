package parity

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/tensor"
)

// The fixture has the shapes of the model at 384×640 with a mask stride of 16.
const (
	fixBatch, fixGridH, fixGridW = 2, 3, 5
	fixTiles, fixSplits          = 8, 4
	fixRows, fixClasses          = 20, 8
	fixMaskH, fixMaskW           = 24, 40
	fixH, fixW                   = 384, 640
)

var fixSetting = Setting{GridHeight: fixGridH, GridWidth: fixGridW, ImageHeight: fixH, ImageWidth: fixW, FeatureStride: 64, ScoreThreshold: 0.05, IoUThreshold: 0.6}

// fixture makes outputs as the model would: tiles follow from utilities, children from split utilities, detections are
// sorted, suppressed and padded, masks are cropped to their boxes.
func fixture(seed uint64) tensor.List {
	rng := rand.New(rand.NewPCG(seed, 1))
	f := newFixture()
	for b := range fixBatch {
		f.fillTiles(b, rng)
		f.fillDetections(b, 12+8*b, rng)
	}
	fillSmooth(f.list.Get("semantic_logits"), 6, rng)
	return f.list
}

type fix struct{ list tensor.List }

func newFixture() *fix {
	f := &fix{}
	add := func(name string, d tensor.DType, shape ...int) {
		f.list = append(f.list, tensor.Named{Name: name, Tensor: tensor.New(d, shape...)})
	}
	n, k := fixRows, fixGridH*fixGridW
	add("boxes", tensor.Float32, fixBatch, n, 4)
	add("scores", tensor.Float32, fixBatch, n)
	add("class_ids", tensor.Int64, fixBatch, n)
	add("valid_counts", tensor.Int64, fixBatch)
	add("mask_logits", tensor.Float32, fixBatch, n, fixMaskH, fixMaskW)
	add("mask_scores", tensor.Float32, fixBatch, n)
	add("embeddings", tensor.Float32, fixBatch, n, 64)
	add("semantic_logits", tensor.Float32, fixBatch, fixClasses+1, fixH/8, fixW/8)
	add("utilities", tensor.Float32, fixBatch, k)
	add("split_utilities", tensor.Float32, fixBatch, k)
	add("tiles_l0", tensor.Int64, fixBatch, 12)
	add("tiles_l1", tensor.Int64, fixBatch, 24)
	add("valid_l0", tensor.Int64, fixBatch)
	add("valid_l1", tensor.Int64, fixBatch)
	return f
}

func (f *fix) floats(name string) []float32 { return tensor.Data[float32](f.list.Get(name)) }
func (f *fix) ints(name string) []int64     { return tensor.Data[int64](f.list.Get(name)) }

func (f *fix) fillTiles(b int, rng *rand.Rand) {
	k := fixGridH * fixGridW
	for i := b * k; i < (b+1)*k; i++ {
		f.floats("utilities")[i] = rng.Float32()
		f.floats("split_utilities")[i] = 1.5 * rng.Float32()
	}
	f.selectTiles(b)
}

// selectTiles derives the tile lists of one image from its utilities, as the model does.
func (f *fix) selectTiles(b int) {
	k := fixGridH * fixGridW
	byScore := func(ids []int, scores []float32) []int {
		ids = slices.Clone(ids)
		slices.SortStableFunc(ids, func(x, y int) int {
			switch {
			case scores[x] > scores[y]:
				return -1
			case scores[x] < scores[y]:
				return 1
			}
			return x - y
		})
		return ids
	}
	all := make([]int, k)
	for i := range all {
		all[i] = i
	}
	l0 := byScore(all, f.floats("utilities")[b*k:(b+1)*k])[:fixTiles]
	f.setTiles("l0", b, l0)
	f.setTiles("l1", b, childrenOf(byScore(l0, f.floats("split_utilities")[b*k:(b+1)*k])[:fixSplits]...))
}

// childrenOf lists the children of tiles of level 0 along the Hilbert curve.
func childrenOf(parents ...int) []int {
	var l1 []int
	for _, p := range parents {
		four, err := routing.Children(p, fixGridH, fixGridW)
		if err != nil {
			panic(err)
		}
		l1 = append(l1, four[:]...)
	}
	l1, err := routing.OrderTiles(l1, 2*fixGridH, 2*fixGridW)
	if err != nil {
		panic(err)
	}
	return l1
}

func (f *fix) setTiles(level string, b int, ids []int) {
	width := f.list.Get("tiles_" + level).Shape()[1]
	row := f.ints("tiles_" + level)[b*width : (b+1)*width]
	for i := range row {
		row[i] = -1
		if i < len(ids) {
			row[i] = int64(ids[i])
		}
	}
	f.ints("valid_" + level)[b] = int64(len(ids))
}

func (f *fix) fillDetections(b, count int, rng *rand.Rand) {
	scores := make([]float64, count)
	for i := range scores {
		scores[i] = 0.06 + 0.9*rng.Float64()*rng.Float64()
	}
	slices.Sort(scores)
	slices.Reverse(scores)
	var kept []detection
	for len(kept) < count {
		w, h := 20+180*rng.Float64(), 20+120*rng.Float64()
		x, y := rng.Float64()*(fixW-w), rng.Float64()*(fixH-h)
		d := detection{box: box{x, y, x + w, y + h}, class: int64(rng.IntN(fixClasses)), score: scores[len(kept)]}
		if !slices.ContainsFunc(kept, func(k detection) bool { return k.class == d.class && iou(k.box, d.box) > 0.5 }) {
			kept = append(kept, d)
		}
	}
	for row := range fixRows {
		if row < count {
			f.setDetection(b, row, kept[row], rng)
		} else {
			f.setPadding(b, row)
		}
	}
	f.ints("valid_counts")[b] = int64(count)
}

func (f *fix) setDetection(b, row int, d detection, rng *rand.Rand) {
	at := b*fixRows + row
	for i, v := range d.box {
		f.floats("boxes")[4*at+i] = float32(v)
	}
	f.floats("scores")[at], f.ints("class_ids")[at] = float32(d.score), d.class
	phase, sum, n := rng.Float64(), 0.0, 0
	cols, rows := cells(d.box[0], d.box[2], fixMaskW, fixW, false), cells(d.box[1], d.box[3], fixMaskH, fixH, false)
	for y := range fixMaskH {
		for x := range fixMaskW {
			v := -20.0
			if y >= rows[0] && y < rows[1] && x >= cols[0] && x < cols[1] {
				v = 6*math.Sin(phase+float64(x)/3) + 3*math.Cos(float64(y)/2)
				sum += 1 / (1 + math.Exp(-v))
				n++
			}
			f.floats("mask_logits")[(at*fixMaskH+y)*fixMaskW+x] = float32(v)
		}
	}
	f.floats("mask_scores")[at] = float32(sum / float64(max(n, 1)))
	e := f.floats("embeddings")[at*64 : (at+1)*64]
	var norm float64
	for i := range e {
		e[i] = float32(rng.NormFloat64())
		norm += float64(e[i]) * float64(e[i])
	}
	for i := range e {
		e[i] /= float32(math.Sqrt(norm))
	}
}

func (f *fix) setPadding(b, row int) {
	at := b*fixRows + row
	f.ints("class_ids")[at] = -1
	for i := range fixMaskH * fixMaskW {
		f.floats("mask_logits")[at*fixMaskH*fixMaskW+i] = -20
	}
	f.floats("embeddings")[at*64] = 1
}

// fillSmooth writes planes that vary as feature maps do: waves and a little noise.
func fillSmooth(t *tensor.Tensor, scale float64, rng *rand.Rand) {
	data, w := tensor.Data[float32](t), t.Shape()[3]
	phase := rng.Float64()
	for i := range data {
		x, y := float64(i%w), float64(i/w)
		data[i] = float32(scale * (math.Sin(phase+x/5)*math.Cos(y/7) + 0.1*rng.NormFloat64()))
	}
}

// swapRows exchanges two detections of image b in every output, or in the named ones alone.
func (f *fix) swapRows(b, i, j int, names ...string) {
	for _, n := range f.list {
		if !slices.ContainsFunc(perDetection, func(p struct {
			name    string
			spoiled edgeFlip
		}) bool {
			return p.name == n.Name
		}) || len(names) > 0 && !slices.Contains(names, n.Name) {
			continue
		}
		length := rowLength(n.Tensor, 2)
		a, c := (b*fixRows+i)*length, (b*fixRows+j)*length
		for k := range length {
			if n.DType() == tensor.Int64 {
				d := tensor.Data[int64](n.Tensor)
				d[a+k], d[c+k] = d[c+k], d[a+k]
			} else {
				d := tensor.Data[float32](n.Tensor)
				d[a+k], d[c+k] = d[c+k], d[a+k]
			}
		}
	}
}

// dropRow removes a detection: the later rows move up and a padded row follows.
func (f *fix) dropRow(b, row int) {
	valid := int(f.ints("valid_counts")[b])
	for i := row; i+1 < valid; i++ {
		f.swapRows(b, i, i+1)
	}
	f.clearRow(b, valid-1)
	f.ints("valid_counts")[b]--
}

func (f *fix) clearRow(b, row int) {
	for _, n := range f.list {
		for _, p := range perDetection {
			if p.name == n.Name && n.DType() == tensor.Float32 {
				length := rowLength(n.Tensor, 2)
				clear(tensor.Data[float32](n.Tensor)[(b*fixRows+row)*length : (b*fixRows+row+1)*length])
			}
		}
	}
	f.setPadding(b, row)
}

// decide derives again what a backend decides from its own numbers: the tiles, and the order of the detections.
func (f *fix) decide() {
	for b := range fixBatch {
		f.selectTiles(b)
		valid := int(f.ints("valid_counts")[b])
		scores := f.floats("scores")[b*fixRows:]
		for end := valid - 1; end > 0; end-- { // bubble sort: few rows are out of order, and rows move as a whole
			for i := range end {
				if scores[i] < scores[i+1] {
					f.swapRows(b, i, i+1)
				}
			}
		}
	}
}

// jitter adds rounding noise of about rel times the magnitude to every float, and keeps padding and cropped cells.
func jitter(l tensor.List, rel float64, rng *rand.Rand) {
	for _, n := range l {
		if n.DType() != tensor.Float32 {
			continue
		}
		for i, v := range tensor.Data[float32](n.Tensor) {
			if v != 0 && v != -20 {
				tensor.Data[float32](n.Tensor)[i] = v * float32(1+rel*(2*rng.Float64()-1))
			}
		}
	}
}
