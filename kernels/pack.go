package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Pack returns weights in the order in which a kernel reads them, all tasks after each other (PackedBytes each). The weights are
// [out][in][taps], row-major, taps row by row; those of an image kernel [out][27], which is [out][3][3][3] as it is.
//
// A task's weights are [part][phase][tap][chunk 4][output channel N][channel of the chunk]: cells of 16 bytes, phases of four cells of input
// channels. What does not exist is zero. They are rounded to the format, halves to even; in single precision to a high half fp16(w)
// and a low one fp16(2048·(w - high)), the second part.
func Pack(k Kernel, weights []float32, out, in int) ([]byte, error) {
	if len(weights) != out*in*k.Taps {
		return nil, fmt.Errorf("pack for %s: %d weights, want %d×%d×%d", k.Name, len(weights), out, in, k.Taps)
	}
	task := PackedBytes(k, in)
	part, size := task/k.parts(), cellBytes/k.cell()
	packed := make([]byte, task*Tasks(k, out))
	for o := range out {
		for c := range in {
			for tap := range k.Taps {
				w := weights[(o*in+c)*k.Taps+tap]
				at := o/k.N*task + packedAt(k, o%k.N, c, tap)*size
				switch k.Format {
				case F16:
					binary.LittleEndian.PutUint16(packed[at:], Half(w))
				case BF16:
					binary.LittleEndian.PutUint16(packed[at:], bfloat(w))
				case TF32:
					binary.LittleEndian.PutUint32(packed[at:], tensorFloat(w))
				case F32:
					high := Half(w)
					binary.LittleEndian.PutUint16(packed[at:], high)
					binary.LittleEndian.PutUint16(packed[at+part:], Half((w-FromHalf(high))*2048))
				}
			}
		}
	}
	return packed, nil
}

// Tasks returns how many tasks make `out` output channels of 8×8 pixels.
func Tasks(k Kernel, out int) int { return (out + k.N - 1) / k.N }

// PackedBytes returns the size of one task's weights.
func PackedBytes(k Kernel, in int) int {
	phase := phaseChunks * k.cell()
	return k.parts() * ((in + phase - 1) / phase) * k.Taps * phaseChunks * k.N * cellBytes
}

// packedAt returns where a weight is within its part, in elements.
func packedAt(k Kernel, o, c, tap int) int {
	cell := k.cell()
	phase := phaseChunks * cell
	return (((c/phase*k.Taps+tap)*phaseChunks+c%phase/cell)*k.N+o)*cell + c%cell
}

// roundBits drops low bits, to nearest and halves to even.
func roundBits(bits uint32, drop uint) uint32 {
	return (bits + 1<<(drop-1) - 1 + bits>>drop&1) >> drop
}

// tensorFloat returns the bits of a float32 rounded to tf32. A NaN stays one.
func tensorFloat(x float32) uint32 {
	if x != x {
		return math.Float32bits(x)
	}
	return roundBits(math.Float32bits(x), 13) << 13
}

// bfloat returns the bits of a float32 rounded to bf16.
func bfloat(x float32) uint16 {
	if x != x {
		return 0x7FC0
	}
	return uint16(roundBits(math.Float32bits(x), 16))
}

// Half returns the bits of a float32 rounded to fp16, subnormal numbers and infinities included.
func Half(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, magnitude := uint16(bits>>16&0x8000), bits&0x7FFFFFFF
	switch {
	case magnitude > 0x7F800000: // NaN
		return sign | 0x7E00
	case magnitude >= 0x477FF000: // 65520 and more
		return sign | 0x7C00
	case magnitude < 0x38800000: // below 2^-14: multiples of 2^-24, by a sum that has no room for less
		magnet := float32(0.5)
		return sign | uint16(math.Float32bits(math.Float32frombits(magnitude)+magnet)-math.Float32bits(magnet))
	}
	return sign | uint16(roundBits(magnitude-112<<23, 13))
}

// FromHalf returns what fp16 bits stand for.
func FromHalf(h uint16) float32 {
	sign, exponent, mantissa := uint32(h&0x8000)<<16, uint32(h>>10&0x1F), uint32(h&0x3FF)
	switch exponent {
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(mantissa)*0x1p-24))
	case 0x1F:
		return math.Float32frombits(sign | 0x7F800000 | mantissa<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | mantissa<<13)
}

// Rounded returns x as it is packed: rounded to the format, halves to even. Single precision keeps it as it is.
func Rounded(f Format, x float32) float32 {
	switch f {
	case F16:
		return FromHalf(Half(x))
	case BF16:
		return math.Float32frombits(uint32(bfloat(x)) << 16)
	case TF32:
		return math.Float32frombits(tensorFloat(x))
	}
	return x
}
