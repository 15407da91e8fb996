package kernels_test

import (
	"fmt"

	"github.com/apex-x/apexx/kernels"
)

// Two towers of 96 → 96 channels on three levels of the pyramid, as one launch: six jobs, two sets of weights.
func ExampleNewSchedule() {
	sides := []int16{64, 32, 16}
	device := kernels.Device{Multiprocessors: 132, Capability: 90}
	tiles := 0
	for _, side := range sides {
		tiles += 2 * kernels.Tiles(int(side), int(side))
	}
	k, _ := kernels.Choose(device, kernels.Work{
		Format: kernels.F16, Geometry: kernels.Conv3x3, Channels: 96, Out: 96, Tiles: tiles, Normalises: true, Plain: true,
	})
	packed, err := kernels.Pack(k, make([]float32, 96*96*9), 96, 96)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(k.Name, "with", len(packed), "bytes of weights for each tower")

	// Addresses are the caller's: here a map lies every 2 MB, and pieces of moments every 64 KB.
	const maps, weights, vectors, moments = 0x10000000, 0x20000000, 0x30000000, 0x40000000
	var jobs []kernels.Job
	for tower := range 2 {
		for level, side := range sides {
			m := 3*tower + level
			jobs = append(jobs, kernels.Job{Map: m, Task: kernels.Task{
				In: kernels.Address(maps + m<<21), Weights: kernels.Address(weights + tower*len(packed)), Out: kernels.Address(maps + (6+m)<<21),
				InMoments: kernels.Address(moments + m<<16), InPieces: 132, Scale: vectors, Shift: vectors + 4*96,
				Moments:  kernels.Address(moments + (6+m)<<16),
				InHeight: side, InWidth: side, Height: side, Width: side, Channels: 96, OutChannels: 96, Valid: 96,
			}})
		}
	}
	s, err := kernels.NewSchedule(k, jobs, device.Multiprocessors*k.Blocks)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Blocks, "blocks of", k.Threads(), "threads and", k.SharedBytes(), "bytes, at most", s.MostTasks, "tasks each")
	fmt.Println("tasks in device memory:", len(kernels.Bytes(s.Tasks)), "bytes")
	fmt.Println("pieces of moments:", s.Pieces)
	// Output:
	// conv_f16_sm90_norm_3x3_96_96 with 165888 bytes of weights for each tower
	// 84 blocks of 384 threads and 229632 bytes, at most 2 tasks each
	// tasks in device memory: 21504 bytes
	// pieces of moments: [64 16 4 64 16 4]
}
