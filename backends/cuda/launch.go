package cuda

import "unsafe"

// Launch is one launch of a kernel.
type Launch struct {
	Kernel  string
	Grid    [3]int // blocks
	Threads int    // of a block
	Shared  int    // bytes of dynamic shared memory of a block
	Args    []byte // the kernel's one argument, as it lies in memory
	// Waits: the kernel waits itself for the one before it, once it has loaded what is constant (griddepcontrol.wait), so it may be started ahead.
	Waits bool
}

// launch returns a launch with an argument, which must be laid out like the struct that the kernel takes: the same fields in the same
// order, 8-byte ones at multiples of 8, and no padding but explicit fields.
func launch[A any](kernel string, grid [3]int, threads int, args A) Launch {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&args)), unsafe.Sizeof(args))
	return Launch{Kernel: kernel, Grid: grid, Threads: threads, Args: append([]byte(nil), bytes...)}
}

// waiting marks a launch of a kernel that waits itself.
func waiting(l Launch) Launch {
	l.Waits = true
	return l
}

// blocks returns how many blocks of so many threads cover n, as a grid.
func blocks(n, threads int) [3]int { return [3]int{ceilDiv(n, threads), 1, 1} }

// linear returns a launch with one thread for each of n elements.
func linear[A any](kernel string, n, threads int, args A) Launch {
	return launch(kernel, blocks(n, threads), threads, args)
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// fault is where a kernel tells that an index was out of range: it writes step to word.
type fault struct {
	word    Address
	step, _ int32
}

// flag is a boolean in an argument.
func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
