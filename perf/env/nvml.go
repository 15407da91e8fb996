package env

import (
	"fmt"

	"github.com/apex-x/apexx/backends"
)

// kernelDriver exists while the kernel driver is loaded.
const kernelDriver = "/proc/driver/nvidia/version"

// driver is NVIDIA's management library, opened. Several may be open at once; each is closed once.
type driver interface {
	Version() (string, error)     // of the kernel driver, such as 580.95.05
	CUDAVersion() (string, error) // the newest that the driver supports, such as 13.0
	DeviceCount() (int, error)
	Device(index int) (device, error)
	Close()
}

// device is one GPU. Each method asks NVML one question; an error says that the device or the driver does not answer it.
type device interface {
	Name() (string, error)
	UUID() (string, error)
	ComputeCapability() (capability, error)
	CUDACores() (int, error)   // of a device with MIG off
	InstanceSMs() (int, error) // streaming multiprocessors of the first MIG instance
	MemoryBytes() (total, free uint64, err error)
	PowerLimitMilliwatts() (int, error)
	ECC() (bool, error)
	MIG() (bool, error)
	MaxSMClockMHz() (int, error)
	ApplicationClocksMHz() (target, standard int, err error) // of the graphics domain
	Processes() ([]int, error)                               // process IDs that compute or draw, as the driver counts them

	SMClockMHz() (int, error)
	MemoryClockMHz() (int, error)
	TemperatureC() (int, error)
	PowerMilliwatts() (int, error)
	EventReasons() (uint64, error)          // active now
	SupportedEventReasons() (uint64, error) // that the device can report
}

// capability is the compute capability of a device.
type capability struct{ major, minor int }

// String returns "MAJOR.MINOR".
func (c capability) String() string { return fmt.Sprintf("%d.%d", c.major, c.minor) }

// gpuError says why there are no GPUs.
type gpuError struct {
	reason backends.Reason
	detail string
}

// Error gives the code and what was found.
func (e *gpuError) Error() string { return fmt.Sprintf("no GPU: %s: %s", e.reason, e.detail) }
