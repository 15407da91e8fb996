package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// table describes every operator of package graph. Attributes of standard operators are those of opset 21; those of ours
// keep the names of the original's plugins (spec/runtime.md 9) where it had one.
var table = []entry{
	describe(func(m mapping, o *graph.Conv) {
		convolution(m, o.Strides[:], o.Pads[:], &o.Group)
	}),
	describe(func(m mapping, o *graph.GroupNormalization) {
		m.int("num_groups", &o.Groups)
		m.float("epsilon", &o.Epsilon, 1e-5)
		m.standard("stash_type", 1)
	}),
	describe(func(m mapping, o *graph.LayerNormalization) {
		axis := -1
		m.int("axis", &axis, -1)
		if axis != -1 && axis != len(m.in(0).Shape)-1 {
			m.fail(fmt.Errorf("axis %d is not the last one", axis))
		}
		m.float("epsilon", &o.Epsilon, 1e-5)
		m.standard("stash_type", 1)
	}),
	describeTyped(func(_ mapping, opType string, o *graph.Unary) { o.Fn = graph.UnaryFn(opType) },
		"Identity", "Sigmoid", "Relu", "Tanh", "Softplus", "Floor", "IsNaN", "Exp", "Log", "Sqrt", "Erf", "Neg", "Abs"),
	describeTyped(func(_ mapping, opType string, o *graph.Binary) { o.Fn = graph.BinaryFn(opType) },
		"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"),
	describe(func(m mapping, o *graph.Clip) {
		m.floatInput(1, "min", &o.Low, math.Inf(-1))
		m.floatInput(2, "max", &o.High, math.Inf(1))
	}),
	describe(func(mapping, *graph.Where) {}),
	describe(func(m mapping, o *graph.Cast) {
		to := int(elemTypes[o.To])
		m.int("to", &to)
		m.standard("saturate", 1)
		dtype, err := dtypeOf(int64(to))
		if err != nil {
			m.fail(err)
		}
		o.To = dtype
	}),
	describe(func(m mapping, o *graph.Gemm) {
		m.bool("transB", &o.TransB, false)
		m.standard("transA", 0)
		m.standard("alpha", float32(1))
		m.standard("beta", float32(1))
	}),
	describe(func(mapping, *graph.MatMul) {}),
	describe(func(m mapping, o *graph.Reshape) {
		allowZero := slices.Contains(o.Shape, 0)
		m.bool("allowzero", &allowZero, false)
		m.intsInput(1, "shape", &o.Shape)
		o.Shape = resolveShape(m, o.Shape, allowZero)
	}),
	describe(func(m mapping, o *graph.Concat) { m.int("axis", &o.Axis) }),
	describe(func(m mapping, o *graph.Split) {
		m.int("axis", &o.Axis, 0)
		m.intsInput(1, "split", &o.Sizes)
	}),
	describe(func(m mapping, o *graph.Gather) { m.int("axis", &o.Axis, 0) }),
	describeTyped(func(m mapping, opType string, o *graph.Reduce) {
		o.Fn = graph.ReduceFn(opType)
		m.bool("keepdims", &o.KeepDims, true)
		m.standard("noop_with_empty_axes", 0)
		m.intsInput(1, "axes", &o.Axes)
		o.Axes = nonNegative(m, o.Axes)
	}, "ReduceMean", "ReduceL2"),
	describe(func(m mapping, o *graph.Resize) {
		m.fixed("mode", "linear")
		m.standard("coordinate_transformation_mode", "half_pixel")
		m.standard("antialias", 0)
		m.standard("exclude_outside", 0)
		m.standard("keep_aspect_ratio_policy", "stretch")
		m.ignored("cubic_coeff_a", "extrapolation_value", "nearest_mode")
		m.noInput(1) // roi
		resizeSizes(m, o)
	}),
	describeTyped(func(m mapping, opType string, o *graph.Pool) {
		o.Fn = graph.PoolFn(opType)
		fixedInts(m, "kernel_shape", o.Kernel[:])
		window(m, o.Strides[:], o.Pads[:])
		m.standard("ceil_mode", 0)
		if o.Fn == graph.AveragePool {
			m.bool("count_include_pad", &o.CountPads, false)
		} else {
			m.ignored("storage_order") // of an output that is not supported
		}
	}, "MaxPool", "AveragePool"),
	describe(func(mapping, *graph.GlobalAveragePool) {}),
	describe(func(m mapping, o *graph.BatchNormalization) {
		m.float("epsilon", &o.Epsilon, 1e-5)
		m.standard("training_mode", 0)
		m.ignored("momentum")
	}),
	describe(func(m mapping, o *graph.Softmax) { m.int("axis", &o.Axis, -1) }),
	describe(func(m mapping, o *graph.Transpose) {
		var reversed []int
		for i := range m.in(0).Shape {
			reversed = append([]int{i}, reversed...)
		}
		m.ints("perm", &o.Perm, reversed)
	}),
	describe(func(m mapping, o *graph.ConvTranspose) {
		convolution(m, o.Strides[:], o.Pads[:], &o.Group)
		fixedInts(m, "output_padding", o.OutputPadding[:], []int{0, 0})
	}),
	describe(func(m mapping, o *graph.TopK) {
		largest, k := !o.Smallest, []int{o.K}
		m.int("axis", &o.Axis, -1)
		m.bool("largest", &largest, true)
		m.standard("sorted", 1)
		m.intsInput(1, "k", &k)
		if len(k) != 1 {
			m.fail(fmt.Errorf("k has %d elements, want 1", len(k)))
			return
		}
		o.Smallest, o.K = !largest, k[0]
	}),
	describe(func(m mapping, o *graph.LSTM) {
		direction := "forward"
		switch {
		case o.Backward:
			direction = "reverse"
		case len(m.in(1).Shape) == 3 && m.in(1).Shape[0] == 2:
			direction = "bidirectional"
		}
		m.int("hidden_size", &o.Hidden)
		m.string("direction", &direction, "forward")
		m.standard("input_forget", 0)
		m.standard("layout", 0)
		m.noInput(7) // peepholes
		o.Backward = direction == "reverse"
	}),
	describe(func(m mapping, o *graph.TileAggregate) {
		m.int("feature_height", &o.FeatureHeight)
		m.int("feature_width", &o.FeatureWidth)
		m.int("tile_size", &o.Tile)
	}),
	describe(func(m mapping, o *graph.GreedySelect) { m.int("count", &o.Count) }),
	describe(func(m mapping, o *graph.SplitSelect) {
		m.int("count", &o.Count)
		m.int("grid_height", &o.GridHeight)
		m.int("grid_width", &o.GridWidth)
	}),
	describe(func(m mapping, o *graph.TileOrder) {
		m.int("grid_height", &o.GridHeight)
		m.int("grid_width", &o.GridWidth)
		m.string("mode", &o.Mode)
	}),
	describe(func(m mapping, o *graph.TilePack) { m.int("tile_size", &o.Tile) }),
	describe(func(m mapping, o *graph.TileSSMScan) {
		m.bool("direction", &o.Backward) // 0 forward, 1 backward
		m.float("clamp_value", &o.Clamp)
	}),
	describe(func(m mapping, o *graph.TileUnpackFusion) {
		m.bool("blend", &o.Blend)
		m.float("blend_alpha", &o.BlendAlpha)
	}),
	describe(func(m mapping, o *graph.SelectDetections) {
		m.ints("strides", &o.Strides)
		m.int("image_height", &o.ImageHeight)
		m.int("image_width", &o.ImageWidth)
		m.float32("score_threshold", &o.ScoreThreshold)
		m.int("pre_nms_topk", &o.PreNMSTopK)
		m.float32("iou_threshold", &o.IoUThreshold)
		m.int("max_detections", &o.MaxDetections)
	}),
	describe(func(m mapping, o *graph.DecodeBoxes) {
		m.ints("strides", &o.Strides)
		m.int("image_height", &o.ImageHeight)
		m.int("image_width", &o.ImageWidth)
	}),
	describe(func(m mapping, o *graph.RoiMeanPool) {
		m.int("image_height", &o.ImageHeight)
		m.int("image_width", &o.ImageWidth)
	}),
	describe(func(m mapping, o *graph.BoxMask) {
		m.int("image_height", &o.ImageHeight)
		m.int("image_width", &o.ImageWidth)
		m.float("fill", &o.Fill)
	}),
	describe(func(m mapping, o *graph.Round) {
		if m.string("to", (*string)(&o.To)); o.To.Scaled() {
			m.int("axis", &o.Axis)
		}
	}),
}

// convolution describes what Conv and ConvTranspose have in common.
func convolution(m mapping, strides, pads []int, group *int) {
	window(m, strides, pads)
	m.int("group", group, 1)
	if weight := m.in(1).Shape; len(weight) == 4 {
		m.standard("kernel_shape", weight[2:])
	}
}

// window describes how the window of a convolution or a pool moves over an image.
func window(m mapping, strides, pads []int) {
	fixedInts(m, "strides", strides, []int{1, 1})
	fixedInts(m, "pads", pads, []int{0, 0, 0, 0})
	m.standard("auto_pad", "NOTSET")
	m.standard("dilations", []int{1, 1})
}

// fixedInts describes an attribute that is a list of as many elements as its field.
func fixedInts(m mapping, name string, field []int, standard ...[]int) {
	list := field
	m.ints(name, &list, standard...)
	if len(list) != len(field) {
		m.fail(fmt.Errorf("attribute %s has %d elements, want %d", name, len(list), len(field)))
		return
	}
	copy(field, list)
}

// resolveShape replaces ONNX's placeholders in the target shape of a Reshape: 0 copies the input's dimension unless
// allowZero, and one -1 is what is left.
func resolveShape(m mapping, shape []int, allowZero bool) []int {
	out, rest, open := slices.Clone(shape), m.in(0).Len(), -1
	for i, d := range out {
		if d == 0 && !allowZero {
			if i >= len(m.in(0).Shape) {
				m.fail(fmt.Errorf("shape %v copies dimension %d of %v", shape, i, m.in(0).Shape))
				return out
			}
			out[i] = m.in(0).Shape[i]
		}
		switch {
		case d == -1 && open < 0:
			open = i
		case out[i] < 0:
			m.fail(fmt.Errorf("shape %v has more than one placeholder or a negative dimension", shape))
			return out
		case out[i] > 0:
			rest /= out[i]
		}
	}
	if open >= 0 {
		out[open] = rest // Reshape's inference rejects what does not divide
	}
	return out
}

// nonNegative counts the axes of operand 0 from the front, in ascending order.
func nonNegative(m mapping, axes []int) []int {
	out := slices.Clone(axes)
	for i, a := range out {
		if a < 0 {
			out[i] = a + len(m.in(0).Shape)
		}
	}
	slices.Sort(out)
	if len(slices.Compact(slices.Clone(out))) < len(out) {
		m.fail(fmt.Errorf("axes %v name one axis twice", axes))
	}
	return out
}

// resizeSizes maps the sizes of a Resize, which name the batch and the channels too.
func resizeSizes(m mapping, o *graph.Resize) {
	x := m.in(0).Shape
	if m.in(0).DType == tensor.Invalid || len(x) != 4 {
		m.fail(fmt.Errorf("input 0 is %v, want rank 4", m.in(0)))
		return
	}
	sizes := []int{x[0], x[1], o.Height, o.Width}
	if scales := m.floatsInput(2, "scales"); scales != nil {
		sizes = scaled(m, x, scales)
	} else {
		m.intsInput(3, "sizes", &sizes)
	}
	if len(sizes) != 4 || sizes[0] != x[0] || sizes[1] != x[1] {
		m.fail(fmt.Errorf("sizes %v change more than the last two axes of %v", sizes, x))
		return
	}
	o.Height, o.Width = sizes[2], sizes[3]
}

// scaled returns the sizes x·scales, which must be whole: only then do scales and sizes mean the same source positions.
func scaled(m mapping, x []int, scales []float32) []int {
	sizes := make([]int, len(scales))
	for i, s := range scales {
		v := math.NaN()
		if i < len(x) {
			v = float64(x[i]) * float64(s)
		}
		if v != math.Floor(v) || !(v >= 0 && v <= maxParameter) {
			m.fail(fmt.Errorf("scales %v of %v give no whole sizes", scales, x))
			return nil
		}
		sizes[i] = int(v)
	}
	return sizes
}
