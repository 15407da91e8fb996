package env

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
)

// Visible returns the device that a process of the CUDA driver would take, nil where that cannot be told from here, or why it would find none.
// The driver's indices are those of NVML under CUDA_DEVICE_ORDER=PCI_BUS_ID; else it puts the fastest devices first, which only among equal
// devices leaves no doubt.
func Visible(getenv func(string) string, list []DeviceState) (at *DeviceState, missing backends.Reason, detail string) {
	const variable = "CUDA_VISIBLE_DEVICES"
	first, _, _ := strings.Cut(getenv(variable), ",")
	first = strings.TrimSpace(first)
	if first == "" {
		first = "0"
	}
	index, err := strconv.Atoi(first)
	if err != nil {
		i := slices.IndexFunc(list, func(d DeviceState) bool { return strings.HasPrefix(d.UUID, first) })
		switch {
		case i >= 0:
			return &list[i], "", ""
		case strings.HasPrefix(first, "MIG-"):
			return nil, "", ""
		}
		return nil, backends.CudaDeviceNotFound, fmt.Sprintf("%s asks for %s, which none of %d devices is", variable, first, len(list))
	}
	switch {
	case index < 0:
		return nil, backends.CudaDeviceNotFound, fmt.Sprintf("%s=%s hides every device", variable, getenv(variable))
	case index >= len(list):
		return nil, backends.CudaDeviceOutOfRange, fmt.Sprintf("%s asks for device %d, and there are %d", variable, index, len(list))
	case getenv("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" || !slices.ContainsFunc(list, func(d DeviceState) bool { return d.Name != list[0].Name }):
		return &list[index], "", ""
	}
	return nil, "", ""
}
