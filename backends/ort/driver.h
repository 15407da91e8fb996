// What of NVIDIA's driver a session needs for inputs and outputs on a device: memory, and copies from and to it.
#ifndef APEXX_ORT_DRIVER_H
#define APEXX_ORT_DRIVER_H

#include <stddef.h>
#include <stdint.h>

struct apexx_driver; // an opened driver with its first device

enum { APEXX_DRIVER_NO_LIBRARY = -1, APEXX_DRIVER_NO_DEVICE = 100 };

// apexx_driver_open opens the driver's library and the primary context of the first visible device, which is where NVIDIA's runtime
// computes. It returns 0, or why not: APEXX_DRIVER_NO_LIBRARY or a code of the driver, and what was found in message.
int apexx_driver_open(const char* library, struct apexx_driver** driver, char* message, size_t size);

// These return 0 or a code of the driver.
int apexx_driver_allocate(struct apexx_driver* driver, size_t bytes, uint64_t* at);
int apexx_driver_release(struct apexx_driver* driver, uint64_t at);
int apexx_driver_upload(struct apexx_driver* driver, uint64_t at, const void* from, size_t bytes);
int apexx_driver_download(struct apexx_driver* driver, void* to, uint64_t at, size_t bytes);
int apexx_driver_wait(struct apexx_driver* driver); // until copies have arrived

const char* apexx_driver_device(struct apexx_driver* driver); // its name
const char* apexx_driver_error(struct apexx_driver* driver, int code);

#endif
