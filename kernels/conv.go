package kernels

import (
	"fmt"
	"slices"
)

// Format is how maps lie in memory, and what the matrix unit multiplies. All sums are float32.
type Format string

// The formats of the convolutions.
const (
	F16  Format = "f16"  // maps and operands in fp16
	BF16 Format = "bf16" // maps and operands in bf16
	TF32 Format = "tf32" // maps in float32, operands rounded to tf32
	F32  Format = "f32"  // maps in float32, each product by three of fp16: strict single precision for magnitudes below 65504
)

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
	parts, element := k.parts(), k.MapBytes()
	patch := 2 * parts * phaseChunks * plane
	stage, planar := pixels*(k.N+16/element)*element, k.N*(pixels+4)*4
	slabs := 4
	if k.Taps == 9 && parts == 1 {
		slabs = 9 // three of three taps
	}
	weights := slabs * parts * phaseChunks * k.N * cellBytes
	return max(patch, stage, planar) + weights + 2*warps*16 + MaxChannels*8
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
				name := fmt.Sprintf("conv_%s_%s_n%d", f, g.name, n)
				list = append(list, Kernel{Name: name, Format: f, Geometry: g.Geometry, N: n, Teams: 1, Split: 1})
			}
		}
	}
	for _, f := range []Format{F16, BF16} {
		name := fmt.Sprintf("conv_%s_sm90_", f)
		list = append(list,
			Kernel{name + "3x3_96_96", f, Conv3x3, 96, 96, 3, 1, true},
			Kernel{name + "3x3s2_64_64", f, Conv3x3By2, 64, 64, 3, 1, true},
			Kernel{name + "3x3s2_64_64_w2", f, Conv3x3By2, 64, 64, 1, 2, true})
	}
	return list
}

// Device is what the choice of a kernel depends on.
type Device struct {
	Multiprocessors int
	Capability      int // compute capability, 10·major + minor
}

// Choose picks the kernel for jobs that make `out` channels of `channels` each, with so many tasks-of-pixels (Tiles) in all. plain says that
// nothing but the convolution is wanted: no bias, no second input, no added map, no planes. There is none below compute capability
// 8.0.
func Choose(d Device, f Format, g Geometry, channels, out, tiles int, plain bool) (Kernel, bool) {
	if d.Capability < 80 {
		return Kernel{}, false
	}
	fits := func(k Kernel) bool { return k.Format == f && k.Geometry == g }
	if d.Capability == 90 && plain {
		// With a task for each multiprocessor or fewer, two groups of threads on one task are faster than three tasks.
		few := tiles <= d.Multiprocessors
		for _, k := range Table {
			if k.Resident && fits(k) && k.Channels == channels && k.N == out && (k.Teams == 3 || few && k.Split == 2) {
				if twin := k; few && twin.Split == 1 && slices.ContainsFunc(Table, func(t Kernel) bool {
					return t.Resident && fits(t) && t.Channels == channels && t.N == out && t.Split == 2
				}) {
					continue
				}
				return k, true
			}
		}
	}
	// Tasks of 64 channels read the input half as often; tasks of 32 spread better over a chip that is not full.
	n := 64
	if out <= 32 || tiles*((out+63)/64) <= d.Multiprocessors {
		n = 32
	}
	i := slices.IndexFunc(Table, func(k Kernel) bool { return !k.Resident && fits(k) && k.N == n })
	if i < 0 {
		return Kernel{}, false
	}
	return Table[i], true
}
