package kernels

import "fmt"

// Format is how maps lie in memory, and what the matrix unit multiplies. All sums are float32.
type Format string

// The formats of the convolutions.
const (
	F16  Format = "f16"  // maps and operands in fp16
	BF16 Format = "bf16" // maps and operands in bf16
	TF32 Format = "tf32" // maps in float32, operands rounded to tf32
	F32  Format = "f32"  // maps in float32, each product by three of fp16: strict single precision for magnitudes below SplitLimit
)

// SplitLimit is the least magnitude that the two fp16 halves of an F32 operand cannot hold: from there on fp16 rounds to infinity.
const SplitLimit = 65520

// Formats lists every format, in the order of the launch table.
var Formats = []Format{F16, BF16, TF32, F32}

// MapBytes is the size of an element of a map.
func (f Format) MapBytes() int {
	if f == F16 || f == BF16 {
		return 2
	}
	return 4
}

// cell is the number of channels in 16 bytes of operands.
func (f Format) cell() int {
	if f == TF32 {
		return 4
	}
	return 8
}

// parts is the number of sets of operands: single precision has high and low halves.
func (f Format) parts() int {
	if f == F32 {
		return 2
	}
	return 1
}

const (
	tileSide    = 8  // output pixels along each side of a task
	phaseChunks = 4  // 16-byte cells of a pixel that are multiplied at once
	cellBytes   = 16 // of operands
	// MaxChannels is how many channels an input that a convolution normalises may have.
	MaxChannels = 512
	imageValues = 27 // what a 3×3 convolution of an RGB image multiplies for one output
)

// Geometry is what a kernel is compiled for.
type Geometry struct {
	Taps   int  // 9 with padding 1, or 1 without
	Stride int  // 1, or with nine taps 2
	Image  bool // the input is the float32 image [3][pixel], the convolution 3×3 at stride 2 with padding 1
}

// The geometries that there are kernels for. An image counts as one tap of 27 channels: the kernel gathers them.
var (
	Image      = Geometry{Taps: 1, Stride: 1, Image: true}
	Conv1x1    = Geometry{Taps: 1, Stride: 1}
	Conv3x3    = Geometry{Taps: 9, Stride: 1}
	Conv3x3By2 = Geometry{Taps: 9, Stride: 2}
)

// Kernel is one entry of the family.
type Kernel struct {
	Name string
	Format
	Geometry
	N        int  // output channels of a task
	Channels int  // input channels that it is compiled for; 0: any multiple of 8
	Teams    int  // tasks that a block works on at once
	Split    int  // groups of 128 threads in a team, if resident
	Resident bool // a block keeps the weights of its tasks, whose N is all output channels; compute capability 9.0 alone
	// Normalises: the input may be normalised; that of a resident kernel always is.
	Normalises bool
	Blocks     int // that a multiprocessor holds at once: a launch is best with at most as many for each
}

// Threads is the number of threads of a block.
func (k Kernel) Threads() int {
	if k.Resident {
		return 128 * k.Teams * k.Split
	}
	return 256
}

// SharedBytes is the dynamic shared memory of a block. More than 48 KB must be allowed for the function before it is launched.
func (k Kernel) SharedBytes() int {
	plane := 306 * cellBytes // cells under a task and padding that spreads them over the banks: Patch in conv.h
	switch k.Geometry {
	case Image, Conv1x1:
		plane = 66 * cellBytes
	case Conv3x3:
		plane = 106 * cellBytes
	}
	if k.Resident {
		weights, patch := k.Taps*k.Channels*k.N*2, plane*k.Channels/8
		slabs := 3 * k.Channels / 32
		return (weights + k.Teams*(patch+k.Channels*8+4*k.Split*16) + slabs*8 + 127) / 128 * 128
	}
	const pixels, warps = tileSide * tileSide, 8
	if k.Image && k.MapBytes() == 2 {
		return warps * PieceBytes // all else is in registers
	}
	parts, element := k.parts(), k.MapBytes()
	patch := 2 * parts * phaseChunks * plane
	stage, planar := pixels*(k.N+16/element)*element, k.N*(pixels+4)*4
	weights := k.ringTaps() * parts * phaseChunks * k.N * cellBytes
	image := 16
	if k.Image {
		image = (2*3*17*17*4 + 15) / 16 * 16 // squares of the image under two tasks
	}
	const listed = 4 * taskBytes
	return max(patch, stage, planar) + weights + listed + 2*warps*16 + MaxChannels*8 + k.N*4 + image
}

// ringTaps is the weights of how many taps of a phase lie in shared memory.
func (k Kernel) ringTaps() int {
	switch {
	case k.Taps == 9 && k.N == 32 && k.parts() == 1:
		return 18
	case k.Taps == 9 && k.N == 32:
		return 6
	case k.Taps == 9 && k.parts() == 1:
		return 9
	}
	return 4
}

// Table lists the kernels, those for any number of channels first.
var Table = table()

func table() []Kernel {
	var list []Kernel
	geometries := []struct {
		name string
		Geometry
	}{{"image", Image}, {"1x1", Conv1x1}, {"3x3", Conv3x3}, {"3x3s2", Conv3x3By2}}
	for _, f := range Formats {
		for _, g := range geometries {
			for _, n := range []int{32, 64} {
				blocks := 2
				if f.MapBytes() == 2 && (g.Image || g.Geometry == Conv1x1 && n == 32) {
					blocks = 3
				}
				name := fmt.Sprintf("conv_%s_%s_n%d", f, g.name, n)
				list = append(list, Kernel{Name: name, Format: f, Geometry: g.Geometry, N: n, Teams: 1, Split: 1, Normalises: !g.Image, Blocks: blocks})
			}
		}
	}
	for _, f := range []Format{F16, BF16} {
		name := fmt.Sprintf("conv_%s_sm90_", f)
		list = append(list,
			Kernel{name + "3x3_96_96", f, Conv3x3, 96, 96, 3, 1, true, false, 1},
			Kernel{name + "norm_3x3_96_96", f, Conv3x3, 96, 96, 3, 1, true, true, 1},
			Kernel{name + "norm_3x3s2_64_64", f, Conv3x3By2, 64, 64, 3, 1, true, true, 1},
			Kernel{name + "norm_3x3s2_64_64_w2", f, Conv3x3By2, 64, 64, 1, 2, true, true, 1})
	}
	return list
}

// Device is what the choice of a kernel depends on.
type Device struct {
	Multiprocessors int
	Capability      int // compute capability, 10·major + minor
}

// sharedBytes is how much shared memory a block can have (CUDA C++ Programming Guide, "Technical Specifications per Compute Capability").
func (d Device) sharedBytes() int {
	switch d.Capability {
	case 80, 87:
		return 163 << 10
	case 90, 100, 103:
		return 227 << 10
	}
	return 99 << 10
}

// Work is what a launch must compute, as far as the choice of a kernel depends on it.
type Work struct {
	Format
	Geometry
	Channels, Out int  // of every map; Out at most 32 where wider tasks would mostly compute what does not exist
	Tiles         int  // 8×8 output pixels of all maps together, for each set of output channels
	Normalises    bool // the inputs are
	Plain         bool // no bias, no second input, no added map, and the outputs are maps
}

// Choose picks a kernel. There is none below compute capability 8.0, and none in single precision for 3×3 at stride 2 on 8.6 and 8.9.
func Choose(d Device, w Work) (Kernel, bool) {
	if d.Capability < 80 {
		return Kernel{}, false
	}
	var best Kernel
	for _, k := range Table {
		if k.Format == w.Format && k.Geometry == w.Geometry && w.rank(d, k) > w.rank(d, best) {
			best = k
		}
	}
	return best, best.N > 0
}

// rank orders the kernels of one geometry, 0 for those that cannot do the work.
func (w Work) rank(d Device, k Kernel) int {
	full := w.Tiles > d.Multiprocessors // of tasks of all output channels
	switch {
	case k.N == 0 || w.Normalises && !k.Normalises || k.SharedBytes() > d.sharedBytes():
		return 0
	case k.Resident && (d.Capability != 90 || !w.Plain || w.Normalises != k.Normalises || w.Channels != k.Channels || w.Out != k.N):
		return 0
	case k.Resident && (k.Teams > 1) == full: // on a chip that is not full, several groups of threads on one task are faster
		return 4
	case k.Resident:
		return 3
	}
	// Tasks of 64 channels read the input half as often; tasks of 32 spread better over a chip that is far from full.
	wide := w.Out > 32 && 4*w.Tiles*((w.Out+63)/64) > 3*d.Multiprocessors
	if (k.N == 64) == wide {
		return 2
	}
	return 1
}
