// The library of TensorRT plugins (../tensorrt/plugins.h) with its kernels emulated: tests of everything but the device. APEXX_TENSORRT: through
// TensorRT's interfaces, whose headers it takes.
#include "emulator.cpp"

#include "../tensorrt/plugins.cu"
