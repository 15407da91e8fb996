package kernels

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// TestGoSaysWhatCPlusPlusSays holds table, shared memory, places of weights and schedules to what conv.h computes (test/host_test.cpp).
func TestGoSaysWhatCPlusPlusSays(t *testing.T) {
	want, err := os.ReadFile("testdata/launch.golden")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, k := range Table {
		fmt.Fprintf(&b, "kernel %s taps %d stride %d image %d n %d channels %d teams %d split %d resident %d blocks %d norm %d threads %d shared %d\n",
			k.Name, k.Taps, k.Stride, number(k.Image), k.N, k.Channels, k.Teams, k.Split, number(k.Resident), k.Blocks, number(k.Normalises), k.Threads(), k.SharedBytes())
	}
	for _, k := range Table {
		in := 72
		if k.Image {
			in = imageValues
		} else if k.Resident {
			in = k.Channels
		}
		hash := uint64(14695981039346656037) // FNV-1a of all places
		for o := range k.N {
			for c := range in {
				for tap := range k.Taps {
					hash = (hash ^ uint64(packedAt(k, o, c, tap))) * 1099511628211
				}
			}
		}
		fmt.Fprintf(&b, "pack %s in %d bytes %d places %016x\n", k.Name, in, PackedBytes(k, in), hash)
	}
	pyramid := [][2]int16{{64, 64}, {32, 32}, {16, 16}, {8, 8}, {4, 4}}
	printSchedule(t, &b, "pyramid", append(pyramid, pyramid...), 1, 5, 20, Kernel{N: 64, Channels: 64, Teams: 3, Resident: true})
	printSchedule(t, &b, "streams", [][2]int16{{20, 30}, {7, 9}}, 2, 1, 8, Kernel{N: 64, Teams: 1})
	printSchedule(t, &b, "small", [][2]int16{{4, 4}}, 3, 1, 264, Kernel{N: 64, Teams: 1})
	if b.String() != string(want) {
		t.Errorf("testdata/launch.golden, which make kernels-test writes from conv.h, is not what this package says:\n%s", firstDifference(b.String(), string(want)))
	}
}

func printSchedule(t *testing.T, b *strings.Builder, name string, sides [][2]int16, channelTasks, shared, most int, k Kernel) {
	const moments = 0x1000
	var jobs []Job
	for m, side := range sides {
		for n := range channelTasks {
			task := Task{
				In: 1, Weights: Address(1 + m/shared), Out: 1, Moments: Address(moments + m*1000000),
				Height: side[0], Width: side[1], Channels: 64, OutChannels: 64, First: int16(64 * n), Valid: 64,
			}
			jobs = append(jobs, Job{task, m})
		}
	}
	s, err := NewSchedule(k, jobs, most)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(b, "schedule %s blocks %d most %d pieces", name, s.Blocks, s.MostTasks)
	for _, p := range s.Pieces {
		fmt.Fprintf(b, " %d", p)
	}
	b.WriteString("\n")
	for _, task := range s.Tasks {
		if task.In == 0 {
			b.WriteString("-\n")
			continue
		}
		fmt.Fprintf(b, "%dx%d y %d x %d first %d weights %d moments %d\n", task.Height, task.Width, task.Y, task.X, task.First, task.Weights, task.Moments-moments)
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// What lies in device memory has the layout that the kernels know (static_assert in conv.h and norm.h).
func TestSizesOfWhatTheKernelsRead(t *testing.T) {
	for name, size := range map[string][2]uintptr{
		"Task": {unsafe.Sizeof(Task{}), 128}, "Moments": {unsafe.Sizeof(Moments{}), 16}, "Apply": {unsafe.Sizeof(Apply{}), 112},
		"Arguments": {unsafe.Sizeof(Arguments{}), 24}, "Layout": {unsafe.Sizeof(Layout{}), 24},
		"offset of Task.InPieces":   {unsafe.Offsetof(Task{}.InPieces), 80},
		"offset of Task.Y":          {unsafe.Offsetof(Task{}.Y), 92},
		"offset of Task.Planar":     {unsafe.Offsetof(Task{}.Planar), 108},
		"offset of Apply.InPieces":  {unsafe.Offsetof(Apply{}.InPieces), 80},
		"offset of Apply.Channels":  {unsafe.Offsetof(Apply{}.Channels), 96},
		"offset of Layout.Channels": {unsafe.Offsetof(Layout{}.Channels), 20},
	} {
		if size[0] != size[1] {
			t.Errorf("%s is %d, want %d", name, size[0], size[1])
		}
	}
	list := []Task{{In: 1}, {In: 0x0807060504030201}}
	if b := Bytes(list); len(b) != 256 || !bytes.Equal(b[128:136], []byte{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("two tasks are %d bytes", len(b))
	}
}

func TestNewScheduleRefusesWhatNoKernelComputes(t *testing.T) {
	good := Task{In: 1, Weights: 1, Out: 1, Height: 8, Width: 8, Channels: 96, OutChannels: 96, Valid: 32}
	general := Kernel{Name: "conv", Geometry: Conv3x3, N: 32, Teams: 1, Normalises: true}
	resident := Kernel{Name: "conv", Geometry: Conv3x3, N: 96, Channels: 96, Teams: 3, Resident: true}
	always := resident
	always.Normalises = true
	for _, c := range []struct {
		kernel Kernel
		change func(*Task)
		want   string
	}{
		{general, func(*Task) {}, ""},
		{general, func(t *Task) { t.Out = 0 }, "input, weights and output are wanted, one of them is 0"},
		{general, func(t *Task) { t.Width = 0 }, "8×0 pixels of output, want at least one"},
		{general, func(t *Task) { t.Valid = 33 }, "33 output channels, want 1 to 32"},
		{general, func(t *Task) { t.Channels = 27 }, "maps of 27, 0 and 96 channels, want multiples of 8"},
		{general, func(t *Task) { t.OutChannels, t.Valid = 9, 9 }, "maps of 96, 0 and 9 channels, want multiples of 8"},
		{general, func(t *Task) { t.OutChannels, t.Valid, t.Planar = 9, 9, Planes }, ""},
		{general, func(t *Task) { t.OutChannels, t.Valid, t.Planar, t.Add = 9, 9, RoundedPlanes, 1 }, "a map of 9 channels that is added, want a multiple of 8"},
		{general, func(t *Task) { t.Scale = 1 }, "a scale of the input without shift or moments"},
		{general, func(t *Task) { t.Scale, t.Shift, t.InMoments, t.InPieces = 1, 1, 1, 1 }, ""},
		{general, func(t *Task) { t.Channels, t.Scale, t.Shift, t.InMoments, t.InPieces = 520, 1, 1, 1, 1 }, "520 channels to normalise, want at most 512"},
		{resident, func(t *Task) { t.Valid, t.Scale = 96, 1 }, "a scale of the input, which it does not normalise"},
		{always, func(t *Task) { t.Valid = 96 }, "no scale of the input, which it always normalises"},
		{resident, func(t *Task) { t.Valid = 96 }, ""},
		{resident, func(t *Task) { t.Valid, t.Bias = 96, 1 }, "it computes nothing but 96 → 96 channels without bias, into a map"},
	} {
		job := Job{Task: good}
		c.change(&job.Task)
		_, err := NewSchedule(c.kernel, []Job{job}, 1)
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != "job 0 of conv: "+c.want {
			t.Errorf("error %q, want %q", got, c.want)
		}
	}
}

func TestCutCoversEveryCellOnce(t *testing.T) {
	for _, cells := range []int32{1, 512, 513, 5000} {
		for _, times := range []int{1, 3} {
			next := int32(0)
			for _, b := range Cut(Apply{Cells: cells}, times) {
				if b.First != next || b.Cells <= 0 || b.Cells > int32(times*ApplyCells) {
					t.Fatalf("block of %d cells at %d, %d times", b.Cells, b.First, times)
				}
				next += b.Cells
			}
			if next != cells {
				t.Errorf("%d cells, %d times: %d", cells, times, next)
			}
		}
	}
}

// Halves against their definition: the nearest of all finite values, halves to even, for numbers of every kind.
func TestHalfIsTheNearestNumber(t *testing.T) {
	for h := range 0x7C00 {
		low, high := float64(FromHalf(uint16(h))), 65536.0 // what infinity stands for in rounding
		if h+1 < 0x7C00 {
			high = float64(FromHalf(uint16(h + 1)))
		}
		middle := float32((low + high) / 2)
		even := uint16(h + h&1)
		for _, c := range []struct {
			x    float32
			want uint16
		}{
			{float32(low), uint16(h)}, {middle, even},
			{math.Nextafter32(middle, 0), uint16(h)}, {math.Nextafter32(middle, 1e6), uint16(h + 1)},
		} {
			if got := Half(c.x); got != c.want {
				t.Fatalf("Half(%g) = %#x, want %#x", c.x, got, c.want)
			}
			if got := Half(-c.x); got != c.want|0x8000 {
				t.Fatalf("Half(%g) = %#x, want %#x", -c.x, got, c.want|0x8000)
			}
		}
	}
	if h := Half(float32(math.NaN())); h&0x7FFF <= 0x7C00 {
		t.Errorf("Half(NaN) = %#x", h)
	}
}

func TestOtherFormatsRoundHalvesToEven(t *testing.T) {
	for _, c := range []struct {
		x      float32
		bfloat uint16
		tf32   uint32
	}{
		{1, 0x3F80, 0x3F800000},
		{1 + 0x1p-8, 0x3F80, 0x3F808000},             // the middle between two numbers of bf16, the lower one even
		{1 + 0x3p-8, 0x3F82, 0x3F818000},             // the upper one even
		{1 + 0x1p-11, 0x3F80, 0x3F800000},            // the same for tf32
		{1 + 0x3p-11, 0x3F80, 0x3F804000},            //
		{-1 - 0x1p-11 - 0x1p-20, 0xBF80, 0xBF802000}, // beyond the middle
		{math.MaxFloat32, 0x7F80, 0x7F800000},
	} {
		if got := bfloat(c.x); got != c.bfloat {
			t.Errorf("bfloat(%g) = %#x, want %#x", c.x, got, c.bfloat)
		}
		if got := tensorFloat(c.x); got != c.tf32 {
			t.Errorf("tensorFloat(%g) = %#x, want %#x", c.x, got, c.tf32)
		}
	}
	nan := math.Float32frombits(0x7FFFFFFF)
	if b := bfloat(nan); b&0x7FFF <= 0x7F80 {
		t.Errorf("bfloat(NaN) = %#x", b)
	}
	if b := math.Float32frombits(tensorFloat(nan)); b == b {
		t.Errorf("tensorFloat(NaN) = %g", b)
	}
}

// Every weight is where packedAt says, in both parts, and what is not a weight is zero.
func TestPackKeepsEveryWeight(t *testing.T) {
	for _, k := range Table {
		out, in := 40, 24
		if k.Image {
			in = imageValues
		} else if k.Resident {
			out, in = k.N, k.Channels
		}
		weights := make([]float32, out*in*k.Taps)
		for i := range weights {
			weights[i] = float32(i%127 + 1) // exact in every format
		}
		packed, err := Pack(k, weights, out, in)
		if err != nil {
			t.Fatal(err)
		}
		size, used := cellBytes/k.cell(), 0
		for o := range out {
			for c := range in {
				for tap := range k.Taps {
					at := o/k.N*PackedBytes(k, in) + packedAt(k, o%k.N, c, tap)*size
					if want := weights[(o*in+c)*k.Taps+tap]; value(k.Format, packed[at:]) != want {
						t.Fatalf("%s: weight %d, %d, %d is %g, want %g", k.Name, o, c, tap, value(k.Format, packed[at:]), want)
					}
					used += size
				}
			}
		}
		nonzero := 0
		for i := 0; i < len(packed); i += size {
			if value(k.Format, packed[i:]) != 0 {
				nonzero += size
			}
		}
		if nonzero != used {
			t.Errorf("%s: %d bytes are not zero, the weights have %d", k.Name, nonzero, used)
		}
	}
	if _, err := Pack(Table[0], make([]float32, 5), 64, 27); err == nil || err.Error() != "pack for conv_f16_image_n32: 5 weights, want 64×27×1" {
		t.Errorf("error %v", err)
	}
}

func value(f Format, b []byte) float32 {
	bits := uint32(b[0]) | uint32(b[1])<<8
	switch f {
	case BF16:
		return math.Float32frombits(bits << 16)
	case TF32:
		return math.Float32frombits(bits | uint32(b[2])<<16 | uint32(b[3])<<24)
	}
	return FromHalf(uint16(bits))
}

// Single precision keeps 22 bits in two halves.
func TestPackSplitsSinglePrecision(t *testing.T) {
	k := Kernel{Format: F32, Geometry: Conv1x1, N: 32}
	w := float32(0.1234567)
	packed, err := Pack(k, []float32{w}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	high, low := value(F32, packed), value(F32, packed[PackedBytes(k, 1)/2:])
	if got := float64(high) + float64(low)/2048; math.Abs(got-float64(w)) > 0x1p-22*float64(w) {
		t.Errorf("%g is kept as %g + %g/2048", w, high, low)
	}
}

func TestChoose(t *testing.T) {
	h100, ada := Device{132, 90}, Device{128, 89}
	for _, c := range []struct {
		device Device
		work   Work
		want   string
	}{
		{h100, Work{F16, Conv3x3, 96, 96, 341, false, true}, "conv_f16_sm90_3x3_96_96"},
		{h100, Work{F16, Conv3x3, 96, 96, 4, true, true}, "conv_f16_sm90_norm_3x3_96_96"},
		{h100, Work{F16, Conv3x3, 96, 96, 341, true, false}, "conv_f16_3x3_n64"},
		{h100, Work{F32, Conv3x3, 96, 96, 341, true, true}, "conv_f32_3x3_n64"},
		{h100, Work{BF16, Conv3x3By2, 64, 64, 256, true, true}, "conv_bf16_sm90_norm_3x3s2_64_64"},
		{h100, Work{BF16, Conv3x3By2, 64, 64, 64, true, true}, "conv_bf16_sm90_norm_3x3s2_64_64_w2"},
		{h100, Work{BF16, Conv3x3By2, 64, 64, 64, false, true}, "conv_bf16_3x3s2_n32"},
		{Device{108, 80}, Work{BF16, Conv3x3By2, 64, 64, 256, true, true}, "conv_bf16_3x3s2_n64"},
		{ada, Work{F16, Conv3x3, 96, 96, 341, false, true}, "conv_f16_3x3_n64"},
		{ada, Work{F32, Conv3x3By2, 64, 64, 64, false, true}, ""},
		{h100, Work{F16, Conv1x1, 192, 384, 4, true, false}, "conv_f16_1x1_n32"},
		{h100, Work{TF32, Image, 27, 64, 1024, false, true}, "conv_tf32_image_n64"},
		{Device{40, 75}, Work{F16, Conv1x1, 96, 96, 4, false, true}, ""},
	} {
		k, ok := Choose(c.device, c.work)
		if k.Name != c.want || ok != (c.want != "") {
			t.Errorf("%v: %q, want %q", c, k.Name, c.want)
		}
	}
}
