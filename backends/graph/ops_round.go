package graph

// Round rounds every element to a narrower format and widens it again: x of any shape → y of the same shape. A value that is
// stored in To, or read by a unit that takes operands in To, is written this way; the arithmetic around it stays float32.
//
// With the layout (p, emin, emax) of To and, for x ≠ 0, e = max(floor(log2|x|), emin):
//
//	y = q·rint(x/q),  q = 2^(e-p+1)
//
// where rint rounds to the nearest integer and halves to the even one. Below 2^emin, q stays that of 2^emin: subnormal numbers are
// kept, and half of the least of them becomes 0. |y| > (2 - 2^(1-p))·2^emax becomes an infinity, so |x| ≥ 65520 does in fp16. Zeros
// and infinities stay themselves, y has the sign of x, and a NaN is a NaN (of any payload). Round(Round(x)) = Round(x).
//
// A float64 session rounds its float64 values to To directly, not by way of float32.
type Round struct {
	own
	To Format
}

// OpType implements Op.
func (Round) OpType() string { return "Round" }

// Infer implements Op.
func (o Round) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 1, 1); err != nil {
		return nil, err
	}
	if _, err := o.To.Layout(); err != nil {
		return nil, err
	}
	return in[:1], nil
}
