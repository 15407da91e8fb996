//go:build cgo

package ort

/*
#include <stdlib.h>
#include "capi.h"
#include "driver.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// driverLibrary is what NVIDIA's driver brings.
const driverLibrary = "libcuda.so.1"

// driver is NVIDIA's driver with the first visible device.
type driver struct{ d *C.struct_apexx_driver }

// openDriver opens a driver for good. Its errors are *backends.Unavailable.
func openDriver(library string) (*driver, error) {
	name := C.CString(library)
	defer C.free(unsafe.Pointer(name))
	var d driver
	var found [512]C.char
	switch code := C.apexx_driver_open(name, &d.d, &found[0], C.size_t(len(found))); code {
	case 0:
		return &d, nil
	case C.APEXX_DRIVER_NO_DEVICE:
		return nil, unavailable(backends.CudaDeviceNotFound, "%s shows no device: %s", library, C.GoString(&found[0]))
	default:
		return nil, unavailable(backends.CudaUnavailable, "%s", C.GoString(&found[0]))
	}
}

// device names the device.
func (d *driver) device() string { return C.GoString(C.apexx_driver_device(d.d)) }

// check names a code of the driver.
func (d *driver) check(what string, code C.int) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s", what, C.GoString(C.apexx_driver_error(d.d, code)))
}

// device is where inputs and outputs of sessions lie.
type device struct {
	driver *driver
	memory string // what the library calls it
	table  C.ort_table
}

// device returns where inputs and outputs of a provider lie; nil for the host.
func (l *library) device(p Provider) *device {
	if !p.onDevice() {
		return nil
	}
	return newDevice(l.path, l.driver, "Cuda")
}

func newDevice(library string, d *driver, memory string) *device {
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	return &device{driver: d, memory: memory, table: C.apexx_ort_table(path, apiVersion)}
}

// onDevice is a tensor whose elements lie in a device's memory. It takes the place of its mirror in a session.
type onDevice struct {
	ort.Value // the mirror, in the host's memory

	device *device
	at     C.uint64_t
	bytes  int
	value  unsafe.Pointer // the library's
}

// place makes a tensor like the mirror on the device. Its bytes are what the memory happens to hold.
func (d *device) place(mirror ort.Value, bytes int) (*onDevice, error) {
	v := &onDevice{Value: mirror, device: d, bytes: bytes}
	if bytes > 0 {
		if err := d.driver.check(fmt.Sprintf("allocate %d bytes on the device", bytes), C.apexx_driver_allocate(d.driver.d, C.size_t(bytes), &v.at)); err != nil {
			return nil, err
		}
	}
	memory := C.CString(d.memory)
	defer C.free(unsafe.Pointer(memory))
	shape := mirror.GetShape()
	var dims *C.int64_t
	if len(shape) > 0 {
		dims = (*C.int64_t)(unsafe.Pointer(&shape[0]))
	}
	err := failure(C.apexx_ort_value(d.table, memory, v.at, C.size_t(bytes), dims, C.size_t(len(shape)), C.int(mirror.DataType()), &v.value))
	if err != nil {
		return nil, errors.Join(err, v.release())
	}
	return v, nil
}

// failure takes over a message of capi.c.
func failure(message *C.char) error {
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	return errors.New(C.GoString(message))
}

// GetInternals gives the library this tensor and not its mirror. The type that it returns holds a pointer of the library's and nothing else.
func (v *onDevice) GetInternals() *ort.ValueInternalData {
	return (*ort.ValueInternalData)(unsafe.Pointer(&v.value))
}

const _ = unsafe.Sizeof(ort.ValueInternalData{}) - unsafe.Sizeof(uintptr(0)) // compiles while that is so
const _ = unsafe.Sizeof(uintptr(0)) - unsafe.Sizeof(ort.ValueInternalData{})

// upload copies a tensor to the device. It may return before the copy has arrived: arrive waits.
func (v *onDevice) upload(from *tensor.Tensor) error {
	if v.bytes == 0 {
		return nil
	}
	return v.device.driver.check("copy to the device", C.apexx_driver_upload(v.device.driver.d, v.at, unsafe.Pointer(&tensor.Bytes(from)[0]), C.size_t(v.bytes)))
}

// download copies the elements to the host.
func (v *onDevice) download(to *tensor.Tensor) error {
	if v.bytes == 0 {
		return nil
	}
	return v.device.driver.check("copy from the device", C.apexx_driver_download(v.device.driver.d, unsafe.Pointer(&tensor.Bytes(to)[0]), v.at, C.size_t(v.bytes)))
}

// arrive waits until copies to the device have arrived.
func (d *device) arrive() error {
	return d.driver.check("copy to the device", C.apexx_driver_wait(d.driver.d))
}

// Destroy releases the tensor and its mirror.
func (v *onDevice) Destroy() error { return errors.Join(v.release(), v.Value.Destroy()) }

func (v *onDevice) release() error {
	if v.value != nil {
		C.apexx_ort_release_value(v.device.table, v.value)
	}
	if v.at == 0 {
		return nil
	}
	return v.device.driver.check("release memory of the device", C.apexx_driver_release(v.device.driver.d, v.at))
}
