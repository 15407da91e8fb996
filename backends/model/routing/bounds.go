package routing

import "fmt"

// WindowBounds returns, for every tile of a feature map of ffH x ffW cells in id order, the window (y0, y1, x0, x1), half
// open, that it covers on the coarser PV grid of pvH x pvW cells. Per axis, for the tile's span [a, a+tile):
//
//	lo = clamp(floor(a*pv/ff), 0, pv-1), hi = clamp(ceil((a+tile)*pv/ff), lo+1, pv)
//
// in exact integers. Windows are never empty; those of neighbours overlap where the ratio is not whole. Source: spec 17.1.
func WindowBounds(ffH, ffW, tile, pvH, pvW int) ([][4]int, error) {
	gridH, gridW, err := GridShape(ffH, ffW, tile)
	if err != nil {
		return nil, err
	}
	if pvH <= 0 || pvW <= 0 {
		return nil, fmt.Errorf("PV grid %dx%d: both sides must be > 0", pvH, pvW)
	}
	if max(ffH, ffW, pvH, pvW) > maxHilbertSide {
		return nil, fmt.Errorf("feature map %dx%d on PV grid %dx%d: sides must be at most %d", ffH, ffW, pvH, pvW, maxHilbertSide)
	}
	bounds := make([][4]int, 0, gridH*gridW)
	for ty := range gridH {
		y0, y1 := window(ty, tile, ffH, pvH)
		for tx := range gridW {
			x0, x1 := window(tx, tile, ffW, pvW)
			bounds = append(bounds, [4]int{y0, y1, x0, x1})
		}
	}
	return bounds, nil
}

func window(i, tile, ff, pv int) (lo, hi int) {
	lo = min(i*tile*pv/ff, pv-1)
	hi = ((i+1)*tile*pv + ff - 1) / ff
	return lo, min(max(hi, lo+1), pv)
}
