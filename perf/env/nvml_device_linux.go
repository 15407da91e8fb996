//go:build linux && cgo

package env

import "github.com/NVIDIA/go-nvml/pkg/nvml"

// gpu implements device.
type gpu struct {
	lib    *library
	handle nvml.Device
}

func (g *gpu) Name() (string, error) { return ask(g.lib, "nvmlDeviceGetName", g.handle.GetName) }
func (g *gpu) UUID() (string, error) { return ask(g.lib, "nvmlDeviceGetUUID", g.handle.GetUUID) }

func (g *gpu) ComputeCapability() (capability, error) {
	return ask(g.lib, "nvmlDeviceGetCudaComputeCapability", func() (capability, nvml.Return) {
		major, minor, result := g.handle.GetCudaComputeCapability()
		return capability{major, minor}, result
	})
}

func (g *gpu) CUDACores() (int, error) {
	return ask(g.lib, "nvmlDeviceGetNumGpuCores", g.handle.GetNumGpuCores)
}

func (g *gpu) InstanceSMs() (int, error) {
	instance, err := ask(g.lib, "nvmlDeviceGetMigDeviceHandleByIndex", func() (nvml.Device, nvml.Return) {
		return g.handle.GetMigDeviceHandleByIndex(0)
	})
	if err != nil {
		return 0, err
	}
	attributes, err := ask(g.lib, "nvmlDeviceGetAttributes_v2", instance.GetAttributes)
	return int(attributes.MultiprocessorCount), err
}

func (g *gpu) MemoryBytes() (total, free uint64, err error) {
	memory, err := ask(g.lib, "nvmlDeviceGetMemoryInfo", g.handle.GetMemoryInfo)
	return memory.Total, memory.Free, err
}

func (g *gpu) PowerLimitMilliwatts() (int, error) {
	return number(ask(g.lib, "nvmlDeviceGetEnforcedPowerLimit", g.handle.GetEnforcedPowerLimit))
}

func (g *gpu) ECC() (bool, error) {
	return ask(g.lib, "nvmlDeviceGetEccMode", func() (bool, nvml.Return) {
		current, _, result := g.handle.GetEccMode()
		return current == nvml.FEATURE_ENABLED, result
	})
}

func (g *gpu) MIG() (bool, error) {
	return ask(g.lib, "nvmlDeviceGetMigMode", func() (bool, nvml.Return) {
		current, _, result := g.handle.GetMigMode()
		return current == nvml.DEVICE_MIG_ENABLE, result
	})
}

func (g *gpu) MaxSMClockMHz() (int, error) {
	return number(ask(g.lib, "nvmlDeviceGetMaxClockInfo", func() (uint32, nvml.Return) { return g.handle.GetMaxClockInfo(nvml.CLOCK_SM) }))
}

func (g *gpu) ApplicationClocksMHz() (target, standard int, err error) {
	target, err = number(ask(g.lib, "nvmlDeviceGetApplicationsClock", func() (uint32, nvml.Return) {
		return g.handle.GetApplicationsClock(nvml.CLOCK_GRAPHICS)
	}))
	if err != nil {
		return 0, 0, err
	}
	standard, err = number(ask(g.lib, "nvmlDeviceGetDefaultApplicationsClock", func() (uint32, nvml.Return) {
		return g.handle.GetDefaultApplicationsClock(nvml.CLOCK_GRAPHICS)
	}))
	return target, standard, err
}

func (g *gpu) Processes() ([]int, error) {
	computing, err := ask(g.lib, "nvmlDeviceGetComputeRunningProcesses", g.handle.GetComputeRunningProcesses)
	if err != nil {
		return nil, err
	}
	drawing, err := ask(g.lib, "nvmlDeviceGetGraphicsRunningProcesses", g.handle.GetGraphicsRunningProcesses)
	if err != nil {
		return nil, err
	}
	var ids []int
	for _, p := range append(computing, drawing...) {
		ids = append(ids, int(p.Pid))
	}
	return ids, nil
}

func (g *gpu) SMClockMHz() (int, error) {
	return number(ask(g.lib, "nvmlDeviceGetClockInfo", func() (uint32, nvml.Return) { return g.handle.GetClockInfo(nvml.CLOCK_SM) }))
}

func (g *gpu) MemoryClockMHz() (int, error) {
	return number(ask(g.lib, "nvmlDeviceGetClockInfo", func() (uint32, nvml.Return) { return g.handle.GetClockInfo(nvml.CLOCK_MEM) }))
}

func (g *gpu) TemperatureC() (int, error) {
	return number(ask(g.lib, "nvmlDeviceGetTemperature", func() (uint32, nvml.Return) { return g.handle.GetTemperature(nvml.TEMPERATURE_GPU) }))
}

func (g *gpu) PowerMilliwatts() (int, error) {
	return number(ask(g.lib, "nvmlDeviceGetPowerUsage", g.handle.GetPowerUsage))
}

// EventReasons asks by the older name where the driver does not know the newer one (before version 535).
func (g *gpu) EventReasons() (uint64, error) {
	if reasons, err := ask(g.lib, "nvmlDeviceGetCurrentClocksEventReasons", g.handle.GetCurrentClocksEventReasons); err == nil {
		return reasons, nil
	}
	return ask(g.lib, "nvmlDeviceGetCurrentClocksThrottleReasons", g.handle.GetCurrentClocksThrottleReasons)
}

func (g *gpu) SupportedEventReasons() (uint64, error) {
	if reasons, err := ask(g.lib, "nvmlDeviceGetSupportedClocksEventReasons", g.handle.GetSupportedClocksEventReasons); err == nil {
		return reasons, nil
	}
	return ask(g.lib, "nvmlDeviceGetSupportedClocksThrottleReasons", g.handle.GetSupportedClocksThrottleReasons)
}

func number(value uint32, err error) (int, error) { return int(value), err }
