package kernels

// Apply is what one block of norm_apply_f16, _bf16 and _f32 does, as it lies in device memory: struct Apply of norm.h. All addresses
// are of one image.
//
//	plain   out = silu(norm(in)) + residual
//	gated   out = norm(in)[:C] · relu(norm(in)[C:]) + residual    in has 2·C channels, and is normalised over all of them
//
// norm is GroupNorm with one group (ε = 1e-5). The residual is nothing, a map, or silu(norm(map)), rounded as every map in memory is. The
// result is stored as a map, as float32 planes [channel][pixel] of the same rounded values, or as both.
type Apply struct {
	In, InMoments, Scale, Shift                             Address
	Residual, ResidualMoments, ResidualScale, ResidualShift Address // Residual 0: none; ResidualScale 0: added as it is
	Out                                                     Address // 0: no map is stored
	Planes                                                  Address // 0: no planes
	InPieces, ResidualPieces                                int32
	First, Cells                                            int32 // of the map's cells: C/8 to a pixel, first to last pixel
	Channels                                                int16 // C, a multiple of 8, at most MaxChannels
	Gated                                                   int16 // 1: gated
	Pixels                                                  int32 // of the map
	_                                                       [8]byte
}

// ApplyArguments is what the kernel receives: a launch has a block of ApplyThreads threads for each entry of the list.
type ApplyArguments struct{ List Address }

const (
	// ApplyThreads is the number of threads of a block of norm_apply, norm_planes and norm_maps.
	ApplyThreads = 256
	// ApplyCells is how many cells of a map a block of norm_apply makes at a time.
	ApplyCells = ApplyThreads
)

// Cut makes the blocks of a map: Apply with First 0 and with all of its Cells. A block makes `times` times ApplyCells of them, the last one the rest.
func Cut(m Apply, times int) []Apply {
	var blocks []Apply
	most := int32(ApplyCells * times)
	for first := int32(0); first < m.Cells; first += most {
		b := m
		b.First, b.Cells = first, min(most, m.Cells-first)
		blocks = append(blocks, b)
	}
	return blocks
}

// Layout is what norm_planes_* and norm_maps_* receive, for f16, bf16 and f32: they make float32 planes [image][channel][pixel] of
// maps [image][pixel][channel], and maps of planes, rounded. The grid is pixels/32 by channels/32, rounded up, by images.
type Layout struct {
	In, Out          Address
	Pixels, Channels int32
}
