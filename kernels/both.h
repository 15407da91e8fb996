// APEXX_BOTH marks functions that run on the device and, in tests, on the host.
#pragma once

#ifdef __CUDACC__
#define APEXX_BOTH __host__ __device__ __forceinline__
#else
#define APEXX_BOTH inline
#endif
