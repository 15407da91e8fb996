package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/apex-x/apexx/backends"
)

// gatherGPUs fills in the devices and the driver's versions, or the reason why there are none.
func (h host) gatherGPUs(ctx context.Context, e *Environment) {
	var problems []string
	err := h.askDriver(ctx, func(lib driver) (found func(), err error) {
		gpus, untold, err := readGPUs(lib, patience(settlePolls, h.sleep))
		libraries := driverVersions(lib)
		return func() {
			e.GPUs, problems = append(e.GPUs, gpus...), untold
			e.Libraries = append(e.Libraries, libraries...)
		}, err
	})
	if err != nil {
		e.GPUReason, e.GPUDetail = string(err.reason), err.detail
		return
	}
	e.GPUDetail = strings.Join(problems, "; ")
}

// askDriver opens NVML, lets read ask it, and then hands out what read found, also beside an error of its own. A driver that does not
// answer is left behind when ctx ends.
func (h host) askDriver(ctx context.Context, read func(driver) (found func(), err error)) *gpuError {
	type answer struct {
		found func()
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		lib, err := h.nvml()
		if err != nil {
			done <- answer{err: err}
			return
		}
		defer lib.Close()
		found, err := read(lib)
		done <- answer{found, err}
	}()
	var a answer
	select {
	case a = <-done:
	case <-ctx.Done():
		a.err = &gpuError{backends.CudaQueryFailed, "the NVIDIA driver did not answer: " + context.Cause(ctx).Error()}
	}
	if a.found != nil {
		a.found()
	}
	var why *gpuError
	if a.err != nil && !errors.As(a.err, &why) {
		why = &gpuError{backends.CudaQueryFailed, a.err.Error()}
	}
	return why
}

func driverVersions(lib driver) []Software {
	var out []Software
	if v, err := lib.CUDAVersion(); err == nil {
		out = append(out, Software{"cuda_driver", v})
	}
	if v, err := lib.Version(); err == nil {
		out = append(out, Software{"driver", v})
	}
	return out
}

// readGPUs describes every device. For wait see clocksLocked.
func readGPUs(lib driver, wait func() bool) (gpus []GPU, problems []string, err error) {
	version, _ := lib.Version() // "" where it does not tell
	problems, err = eachDevice(lib, func(i int, name string, d device) {
		g := readGPU(d, wait)
		g.Index, g.Name, g.Driver = i, name, version
		gpus = append(gpus, g)
	})
	return gpus, problems, err
}

// eachDevice visits every device that tells its name. Those that do not even do that, such as one that fell off the bus, are named in
// problems; if all are, that is the error.
func eachDevice(lib driver, visit func(index int, name string, d device)) (problems []string, err error) {
	count, err := lib.DeviceCount()
	if err != nil {
		return nil, &gpuError{backends.CudaQueryFailed, err.Error()}
	}
	if count == 0 {
		return nil, &gpuError{backends.CudaDeviceNotFound, "the NVIDIA driver is there and shows no device"}
	}
	for i := range count {
		d, err := lib.Device(i)
		name := ""
		if err == nil {
			name, err = d.Name()
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("device %d: %v", i, err))
			continue
		}
		visit(i, name, d)
	}
	if len(problems) == count {
		return nil, &gpuError{backends.CudaQueryFailed, strings.Join(problems, "; ")}
	}
	return problems, nil
}

// readGPU asks a device for everything but its name. What it does not tell stays zero.
func readGPU(d device, wait func() bool) GPU {
	var g GPU
	g.UUID, _ = d.UUID()
	if total, _, err := d.MemoryBytes(); err == nil {
		g.MemoryBytes = int64(total)
	}
	if mw, err := d.PowerLimitMilliwatts(); err == nil {
		g.PowerLimitW = float64(mw) / 1000
	}
	g.ECC, g.MIG = mode(d.ECC()), mode(d.MIG())
	g.SMs = multiprocessors(d, g.MIG == "on")
	g.MaxSMClockMHz, _ = d.MaxSMClockMHz()
	g.ClocksLocked, g.ClocksEvidence = clocksLocked(d, wait)
	if ids, err := d.Processes(); err == nil {
		g.OtherProcesses = countOthers(ids)
	}
	return g
}

func mode(on bool, err error) string {
	switch {
	case err != nil:
		return ""
	case on:
		return "on"
	}
	return "off"
}

// countOthers counts the distinct processes but this one.
func countOthers(ids []int) int {
	others := map[int]bool{}
	for _, id := range ids {
		if id != os.Getpid() {
			others[id] = true
		}
	}
	return len(others)
}

// multiprocessors returns the number of streaming multiprocessors. NVML tells it of MIG instances alone
// (nvmlDeviceGetAttributes; a process can use one instance, by default the first). Of a whole device it tells the CUDA cores
// (nvmlDeviceGetNumGpuCores), which are a fixed number per multiprocessor of the architecture.
func multiprocessors(d device, mig bool) int {
	if mig {
		n, _ := d.InstanceSMs()
		return n
	}
	cores, err1 := d.CUDACores()
	c, err2 := d.ComputeCapability()
	perSM := coresPerSM(c)
	if err1 != nil || err2 != nil || perSM == 0 || cores%perSM != 0 {
		return 0
	}
	return cores / perSM
}

// coresPerSM returns the single-precision cores of a multiprocessor: the results per clock cycle of 32-bit floating-point
// addition in the CUDA C++ Programming Guide, "Throughput of Native Arithmetic Instructions". 0 for architectures that are not
// in it.
func coresPerSM(c capability) int {
	switch c {
	case capability{6, 0}, capability{7, 0}, capability{7, 2}, capability{7, 5}, capability{8, 0}:
		return 64
	case capability{5, 0}, capability{5, 2}, capability{5, 3}, capability{6, 1}, capability{6, 2}, capability{8, 6}, capability{8, 7},
		capability{8, 9}, capability{9, 0}, capability{10, 0}, capability{10, 3}, capability{11, 0}, capability{12, 0}, capability{12, 1}:
		return 128
	}
	return 0
}
