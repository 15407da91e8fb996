package parity

import "strconv"

// spread is how far honest executions of low precision are from each other end to end: under the same decisions, the largest error of an
// element by kind, and the largest noise (Tolerance.Noise) of an output. Features are all taps.
type spread struct {
	pixels, scores, logits, angle, features float64
	noise                                   float64
}

// spreads were measured on the first 16 scenes with the nano weights, 512×512, the reference and ONNX Runtime each against the reference in
// fp64, and as twins against each other, by testdata/spread (VERDICT.md). tf32 and fp16 share a class and have the larger of both numbers.
var spreads = map[Class]spread{
	ClassFP16: {pixels: 0.066, scores: 1.1e-3, logits: 0.098, angle: 3.2e-3, features: 0.18, noise: 2.8e-3},
	TwinFP16:  {pixels: 0.022, scores: 6.7e-4, logits: 0.028, angle: 1.4e-3, features: 0.04, noise: 1.1e-3},
	ClassBF16: {pixels: 0.56, scores: 6.5e-3, logits: 0.58, angle: 2.8e-2, features: 0.66, noise: 1.5e-2},
	TwinBF16:  {pixels: 0.24, scores: 3.1e-3, logits: 0.21, angle: 9.3e-3, features: 0.25, noise: 1.2e-2},
}

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
		return Tolerance{Angle: limit(s.angle), Noise: limit(s.noise)}
	case Logits:
		return Tolerance{Abs: limit(s.logits), Noise: limit(s.noise)}
	}
	return Tolerance{Abs: limit(s.features), Noise: limit(s.noise)}
}

// leastF1 is the share of detections, as F1, that has to find a partner end to end. Seen on 64 scenes against fp32 were 0.998 in tf32 and
// fp16 and 0.986 in bf16 (../backends/graph/ROUNDING.md); twins differ by less.
var leastF1 = map[Class]float64{ClassFP16: 0.99, ClassBF16: 0.98, TwinFP16: 0.99, TwinBF16: 0.98}
