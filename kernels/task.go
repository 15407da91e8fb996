package kernels

import (
	"errors"
	"fmt"
	"unsafe"
)

// Address is a place in device memory.
type Address uint64

// Task is 8×8 output pixels of one map by the output channels of one task, with all that their computation needs, as it lies in device
// memory: struct Task of conv.h. All addresses are of one image. Maps are NHWC with a multiple of 8 channels. Of two inputs that a
// convolution reads as one, the first has the first channels.
//
// The output is Σ act(in)·weights + Bias + Add, rounded once to the type of the maps; the moments are those of the rounded values. act is
// GroupNorm with one group (ε = 1e-5) and SiLU where Scale is not 0.
type Task struct {
	In        Address // input map; 0: no task
	In2       Address // second input, which is not normalised; 0: none
	Weights   Address // of this task (Pack)
	Bias      Address // float32, of this task's output channels; 0: none
	Add       Address // map of OutChannels channels that is added; 0: none
	Out       Address // output map
	Moments   Address // where the pieces of the output's moments begin, PieceBytes each and a Tiles·Tasks of them at most; 0: none are wanted
	InMoments Address // the pieces that the input's producer left
	Scale     Address // float32, per input channel; 0: the input is not normalised
	Shift     Address
	InPieces  int32 // how many: Pieces of the schedule that made the input

	InHeight, InWidth, Height, Width int16 // pixels of the inputs and of the output
	Y, X                             int16 // upper left output pixel
	Channels, Channels2              int16 // of the inputs
	OutChannels                      int16 // of the output map
	First, Valid                     int16 // first output channel of this task, and how many exist from there on, at most N
	AddShift                         int16 // the added map has Height >> AddShift rows and Width >> AddShift columns
	Planar                           int16 // Map, Planes or RoundedPlanes
	_                                [7]int16
}

// What Task.Planar says of the output.
const (
	Map           = int16(iota) // a map, rounded, with moments where they are wanted
	Planes                      // float32 [channel][pixel], not rounded and without moments
	RoundedPlanes               // float32 [channel][pixel] of what a map would hold
)

// Moments is a piece of a map's moments, as it lies in device memory.
type Moments struct {
	N, Mean, M2 float32 // count, mean and Σ (x - mean)²
	_           float32
}

// PieceBytes is the size of a piece.
const PieceBytes = int(unsafe.Sizeof(Moments{}))

const taskBytes = int(unsafe.Sizeof(Task{}))

// Job is one map and the output channels of one task: Task with Y and X of 0.
type Job struct {
	Task
	Map int // jobs with the same number write channels of the same output map and have the same Moments
}

// Schedule is a launch of `Blocks` blocks, each of which has MostTasks tasks, the last of them perhaps empty. The tasks go to device
// memory and stay there. The kernel's argument is Arguments.
type Schedule struct {
	Blocks, MostTasks int
	Tasks             []Task
	Pieces            []int // how many pieces of moments the launch leaves, of each map
}

// Arguments is what a convolution kernel receives. In single precision a kernel that meets an operand of SplitLimit or more in magnitude writes
// Step to the int32 at Fault, if that is not 0: what it stores is wrong then. A NaN is no fault, it stays.
type Arguments struct {
	Tasks     Address
	MostTasks int32
	Step      int32
	Fault     Address
}

// Tiles returns how many tasks of pixels a map has.
func Tiles(height, width int) int {
	return (height + tileSide - 1) / tileSide * ((width + tileSide - 1) / tileSide)
}

// NewSchedule cuts jobs into tasks, and gives every block an even, contiguous run of them. It uses at most `most` blocks if there are as
// many tasks, and only as many as keep the fullest block's tasks at their least: a launch takes as long as its fullest block. Blocks of a
// resident kernel never get tasks with different weights, so jobs with the same weights must follow each other. A good `most` is
// k.Blocks for each multiprocessor.
func NewSchedule(k Kernel, jobs []Job, most int) (Schedule, error) {
	var s Schedule
	var groups [][]int
	var tasksOf []int
	for j, job := range jobs {
		if err := job.check(k); err != nil {
			return s, fmt.Errorf("job %d of %s: %w", j, k.Name, err)
		}
		if j == 0 || k.Resident && job.Weights != jobs[j-1].Weights {
			groups, tasksOf = append(groups, nil), append(tasksOf, 0)
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], j)
		tasksOf[last] += Tiles(int(job.Height), int(job.Width))
		for job.Map >= len(s.Pieces) {
			s.Pieces = append(s.Pieces, 0)
		}
	}
	for blocks := most + 1; blocks > most; {
		s.MostTasks++
		blocks = 0
		for _, n := range tasksOf {
			blocks += (n + s.MostTasks - 1) / s.MostTasks
		}
		if blocks == len(groups) { // one block for each is the least
			break
		}
	}
	for g, group := range groups {
		s.addGroup(k, jobs, group, (tasksOf[g]+s.MostTasks-1)/s.MostTasks)
	}
	return s, nil
}

// Together makes one launch of the schedules of several images, which must be alike. Where there are more blocks than `most`, a block does what it
// does of one image for the next ones as well: its weights are there already. No piece of moments changes by that. Pieces are those of the first
// image, then of the second, and so on.
func Together(images []Schedule, most int) Schedule {
	one := images[0]
	each := min(len(images), (one.Blocks*len(images)+most-1)/most) // images of a block
	all := Schedule{MostTasks: each * one.MostTasks}
	for _, s := range images {
		all.Pieces = append(all.Pieces, s.Pieces...)
	}
	for first := 0; first < len(images); first += each {
		for b := range one.Blocks {
			all.Blocks++
			for _, s := range images[first:min(first+each, len(images))] {
				for _, t := range s.Tasks[b*s.MostTasks : (b+1)*s.MostTasks] {
					if t.In != 0 {
						all.Tasks = append(all.Tasks, t)
					}
				}
			}
			all.Tasks = append(all.Tasks, make([]Task, all.Blocks*all.MostTasks-len(all.Tasks))...) // empty ones end a block
		}
	}
	return all
}

// check says what a kernel would not compute, or compute wrongly.
func (j Job) check(k Kernel) error {
	switch {
	case j.In == 0 || j.Weights == 0 || j.Out == 0:
		return errors.New("input, weights and output are wanted, one of them is 0")
	case j.Height <= 0 || j.Width <= 0:
		return fmt.Errorf("%d×%d pixels of output, want at least one", j.Height, j.Width)
	case j.Valid <= 0 || int(j.Valid) > k.N:
		return fmt.Errorf("%d output channels, want 1 to %d", j.Valid, k.N)
	case !k.Image && (j.Channels%8 != 0 || j.Channels2%8 != 0) || j.Planar == Map && (j.OutChannels%8 != 0 || j.Valid%8 != 0):
		return fmt.Errorf("maps of %d, %d and %d channels, want multiples of 8", j.Channels, j.Channels2, j.OutChannels)
	case j.Scale != 0 && !k.Normalises:
		return errors.New("a scale of the input, which it does not normalise")
	case j.Scale == 0 && k.Normalises && k.Resident:
		return errors.New("no scale of the input, which it always normalises")
	case j.Scale != 0 && (j.Shift == 0 || j.InMoments == 0 || j.InPieces <= 0):
		return errors.New("a scale of the input without shift or moments")
	case j.Scale != 0 && j.Channels > MaxChannels:
		return fmt.Errorf("%d channels to normalise, want at most %d", j.Channels, MaxChannels)
	case j.Add != 0 && j.OutChannels%8 != 0:
		return fmt.Errorf("a map of %d channels that is added, want a multiple of 8", j.OutChannels)
	case k.Resident && (int(j.Channels) != k.Channels || int(j.OutChannels) != k.N || j.In2 != 0 || j.Bias != 0 || j.Add != 0 || j.Planar != Map):
		return fmt.Errorf("it computes nothing but %d → %d channels without bias, into a map", k.Channels, k.N)
	}
	return nil
}

// addGroup appends the blocks of jobs that may share a block. A team takes every Teams-th task of its block, and leaves one piece of
// moments for every map that it meets.
func (s *Schedule) addGroup(k Kernel, jobs []Job, group []int, blocks int) {
	var all []Task
	var mapOf []int
	for _, j := range group {
		t := jobs[j].Task
		columns := Tiles(1, int(t.Width))
		for i := range Tiles(int(t.Height), int(t.Width)) {
			t.Y, t.X = int16(i/columns*tileSide), int16(i%columns*tileSide)
			all, mapOf = append(all, t), append(mapOf, jobs[j].Map)
		}
	}
	for b := range blocks {
		first, end := len(all)*b/blocks, len(all)*(b+1)/blocks
		for team := range k.Teams {
			for i := first + team; i < end; i += k.Teams {
				switch before := i - k.Teams; {
				case all[i].Moments == 0:
				case before >= first && mapOf[before] == mapOf[i]:
					all[i].Moments = all[before].Moments
				default:
					all[i].Moments += Address(s.Pieces[mapOf[i]] * PieceBytes)
					s.Pieces[mapOf[i]]++
				}
			}
		}
		s.Blocks++
		s.Tasks = append(s.Tasks, all[first:end]...)
		s.Tasks = append(s.Tasks, make([]Task, s.Blocks*s.MostTasks-len(s.Tasks))...)
	}
}

// Bytes returns a list of tasks or blocks as it lies in device memory.
func Bytes[T Task | Apply](list []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), len(list)*int(unsafe.Sizeof(*new(T))))
}
