package parity

import (
	"math"
	"strconv"
)

// spread is how far honest executions of low precision are from each other end to end: under the same decisions, the largest error of an
// element by kind, and the largest noise (Tolerance.Noise) of an output. Features are all taps. When each decides for itself, it is the share
// of detections that has no partner: 1 - F1 over all scenes.
type spread struct {
	pixels, scores, logits, angle, features float64
	noise, alone                            float64
}

// spreads were measured on the 64 scenes with the nano weights, the reference and ONNX Runtime each against the reference in fp64, and as twins
// against each other, by testdata/spread (VERDICT.md), at 512×512 and, but for int8 and fp8, at 256×256 (bf16: 32 scenes), where boxes cover few
// cells: the larger of both. Shares without a partner are those at 512×512. tf32 and fp16 share a class and have the larger of both numbers. int8 and
// fp8 are those of the calibration profile quality. The narrow classes are those of the reference with sums in fp16 (paritytest.NarrowSums) and with sums
// of 14 bits in fp8 (paritytest.TensorCores); in fp8 no number is below that of sums in float32.
var spreads = map[Class]spread{
	ClassFP16:      {pixels: 0.167, scores: 3.2e-3, logits: 0.127, angle: 1.54e-2, features: 0.18, noise: 5.6e-3, alone: 2.4e-3},
	TwinFP16:       {pixels: 0.042, scores: 8e-4, logits: 0.037, angle: 2.4e-3, features: 0.04, noise: 1.56e-3, alone: 8e-4},
	NarrowFP16:     {pixels: 0.158, scores: 4.1e-3, logits: 0.149, angle: 1.52e-2, features: 0.164, noise: 7.1e-3, alone: 4.5e-3},
	NarrowTwinFP16: {pixels: 0.151, scores: 2.7e-3, logits: 0.126, angle: 1.11e-2, features: 0.0938, noise: 5.55e-3, alone: 3.1e-3},
	ClassBF16:      {pixels: 1.18, scores: 1.59e-2, logits: 0.58, angle: 4.5e-2, features: 0.66, noise: 2.78e-2, alone: 1.45e-2},
	ClassFP8:       {pixels: 2.6, scores: 8.2e-2, logits: 2.9, angle: 0.18, features: 2.4, noise: 0.145, alone: 2.7e-2},
	TwinFP8:        {pixels: 0.81, scores: 3.7e-2, logits: 1.4, angle: 8.2e-2, features: 0.67, noise: 6.3e-2, alone: 1.6e-3},
	NarrowFP8:      {pixels: 2.85, scores: 8.2e-2, logits: 2.9, angle: 0.18, features: 2.58, noise: 0.151, alone: 2.8e-2},
	NarrowTwinFP8:  {pixels: 2.36, scores: 5.2e-2, logits: 2.09, angle: 0.101, features: 0.936, noise: 9.8e-2, alone: 9.5e-3},
	ClassINT8:      {pixels: 2.21, scores: 5.6e-2, logits: 2.94, angle: 0.27, features: 1.4, noise: 0.2, alone: 2.3e-2},
	TwinINT8:       {pixels: 0.86, scores: 2.9e-2, logits: 0.62, angle: 0.14, features: 0.35, noise: 6.34e-2, alone: 1.2e-3},
	TwinBF16:       {pixels: 0.32, scores: 4.2e-3, logits: 0.23, angle: 1.4e-2, features: 0.25, noise: 1.29e-2, alone: 6.3e-3},
}

// leastNoisy is the number of elements of the smallest output on which the noise of spreads was seen: det.quality.P7 of a 512×512 image. At 128×128 it has
// one.
const leastNoisy = 16

// tolerance returns the rule for a kind of output: margin times what was seen.
func (s spread) tolerance(kind Kind, margin float64) Tolerance {
	limit := func(seen float64) float64 { // of three digits, for people
		v, _ := strconv.ParseFloat(strconv.FormatFloat(margin*seen, 'g', 3, 64), 64)
		return v
	}
	switch kind {
	case Coordinates:
		return Tolerance{Abs: limit(s.pixels), Unit: "px"}
	case Scores:
		return Tolerance{Abs: limit(s.scores)}
	case Embeddings:
		return Tolerance{Angle: limit(s.angle), Noise: limit(s.noise), NoiseOf: leastNoisy}
	case Logits:
		return Tolerance{Abs: limit(s.logits), Noise: limit(s.noise), NoiseOf: leastNoisy}
	}
	return Tolerance{Abs: limit(s.features), Noise: limit(s.noise), NoiseOf: leastNoisy}
}

// aloneMargin is how many times the share of detections without a partner that was seen may be without one.
const aloneMargin = 2

// leastF1 is the F1 that detections have to reach end to end in a class whose detections are judged as sets: what aloneMargin leaves, down to
// the next whole per cent, since ten images have some 600 detections, of which one is a sixth of a per cent.
func leastF1(c Class) (least float64, asSets bool) {
	s, ok := spreads[c]
	return math.Floor(100*(1-aloneMargin*s.alone)) / 100, ok
}
