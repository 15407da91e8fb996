package kernels

import (
	"fmt"
	"slices"
)

// Configuration is how a convolution is launched: by which kernel, and with how many blocks at most.
type Configuration struct {
	Kernel
	PerMultiprocessor int // blocks, at most Kernel.Blocks
}

// String names the configuration, such as conv_f16_3x3_n64/2. Names are distinct.
func (c Configuration) String() string { return fmt.Sprintf("%s/%d", c.Name, c.PerMultiprocessor) }

// Most returns how many blocks a launch may have on a device.
func (c Configuration) Most(d Device) int { return d.Multiprocessors * c.PerMultiprocessor }

// Candidates lists the configurations that compute a work, the one of Choose first; nil where there is none.
//
// The outputs of two of them have the same bits where their kernels add the same products in the same order, which those for any number of channels do:
// each output channel is summed by itself, over phases of input channels and in each over the taps. A resident kernel sums in an order of its own.
// The moments of a map are merged from one piece for each run of tasks in a block, so that launches with other tasks or blocks leave moments that are
// rounded otherwise. With sameBits there is one candidate where the work leaves moments, and else those of one order.
func Candidates(d Device, w Work, moments, sameBits bool) []Configuration {
	first, ok := Choose(d, w)
	if !ok {
		return nil
	}
	list := []Configuration{{first, first.Blocks}}
	if moments && sameBits {
		return list
	}
	for _, k := range Table {
		if k.Format != w.Format || k.Geometry != w.Geometry || w.rank(d, k) == 0 || sameBits && (k.Resident || first.Resident) && k.Name != first.Name {
			continue
		}
		for blocks := k.Blocks; blocks > 0; blocks-- {
			if c := (Configuration{k, blocks}); !slices.Contains(list, c) {
				list = append(list, c)
			}
		}
	}
	return list
}
