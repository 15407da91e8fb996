/* A management library for TestIncompleteLibrary. It has some of NVML's functions, as an old driver does: without the newer
 * names of the event reasons, without power, temperature and memory. INIT is what nvmlInit_v2 returns; BARE leaves out all
 * that comes after it. */
#include <string.h>

typedef void *device;

int nvmlInit_v2(void) { return INIT; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int r) { return r == 9 ? "Driver Not Loaded" : r == 18 ? "Version Mismatch" : "Not Supported"; }

#ifndef BARE
static int text(char *to, unsigned size, const char *from) { strncpy(to, from, size); return 0; }
static int dummy;

int nvmlSystemGetDriverVersion(char *to, unsigned size) { return text(to, size, "450.80"); }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, device *d) { *d = &dummy; return 0; }
int nvmlDeviceGetName(device d, char *to, unsigned size) { return text(to, size, "NVIDIA A100-SXM4-40GB"); }
int nvmlDeviceGetUUID(device d, char *to, unsigned size) { return text(to, size, "GPU-1234"); }
int nvmlDeviceGetNumGpuCores(device d, unsigned *n) { *n = 6912; return 0; }
int nvmlDeviceGetCudaComputeCapability(device d, int *major, int *minor) { *major = 8; *minor = 0; return 0; }
int nvmlDeviceGetEccMode(device d, int *current, int *pending) { *current = 1; *pending = 0; return 0; }
int nvmlDeviceGetMigMode(device d, unsigned *current, unsigned *pending) { return 3; /* not supported */ }
int nvmlDeviceGetClockInfo(device d, int type, unsigned *mhz) { *mhz = type == 2 ? 1215 : 210; return 0; }
int nvmlDeviceGetCurrentClocksThrottleReasons(device d, unsigned long long *mask) { *mask = 0x21; return 0; }
int nvmlDeviceGetSupportedClocksThrottleReasons(device d, unsigned long long *mask) { *mask = 0x1ff; return 0; }
int nvmlDeviceGetComputeRunningProcesses(device d, unsigned *n, void *list) { *n = 0; return 0; }
int nvmlDeviceGetGraphicsRunningProcesses(device d, unsigned *n, void *list) { *n = 0; return 0; }
#endif
