package kernel

import "unsafe"

// The portable tile: 4 rows by 8 lanes, computed two lanes at a time so that the sums stay in registers.
const (
	portableRows  = 4
	portableLanes = 8
)

func mulPortable[T Float](blocks, k int, a, b, c *T, ldc int, bias *T, accumulate bool) {
	const R, L = portableRows, portableLanes
	as, bs := unsafe.Slice(a, blocks*k*R), unsafe.Slice(b, k*L)
	cs := unsafe.Slice(c, (blocks*R-1)*ldc+L)
	for blk := range blocks {
		ab, cb := as[blk*k*R:(blk+1)*k*R], cs[blk*R*ldc:]
		var add [R]T
		if bias != nil {
			copy(add[:], unsafe.Slice(bias, blocks*R)[blk*R:])
		}
		for l := 0; l < L; l += 2 {
			mulPair(ab, bs[l:], cb[l:], ldc, accumulate)
			if bias == nil {
				continue
			}
			for r := range R {
				cb[r*ldc+l] += add[r]
				cb[r*ldc+l+1] += add[r]
			}
		}
	}
}

// mulPair computes two neighbouring lanes of a tile. The conversions forbid fused multiply-adds, so that every architecture rounds alike.
func mulPair[T Float](a, b, c []T, ldc int, accumulate bool) {
	const R, L = portableRows, portableLanes
	var s00, s01, s10, s11, s20, s21, s30, s31 T
	for len(a) >= R {
		b0, b1 := b[0], b[1]
		s00 += T(a[0] * b0)
		s01 += T(a[0] * b1)
		s10 += T(a[1] * b0)
		s11 += T(a[1] * b1)
		s20 += T(a[2] * b0)
		s21 += T(a[2] * b1)
		s30 += T(a[3] * b0)
		s31 += T(a[3] * b1)
		a = a[R:]
		if len(b) <= L {
			break
		}
		b = b[L:]
	}
	if accumulate {
		s00, s01, s10, s11 = c[0]+s00, c[1]+s01, c[ldc]+s10, c[ldc+1]+s11
		s20, s21, s30, s31 = c[2*ldc]+s20, c[2*ldc+1]+s21, c[3*ldc]+s30, c[3*ldc+1]+s31
	}
	c[0], c[1], c[ldc], c[ldc+1] = s00, s01, s10, s11
	c[2*ldc], c[2*ldc+1], c[3*ldc], c[3*ldc+1] = s20, s21, s30, s31
}
