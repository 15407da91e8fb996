// The entries of the convolution kernels: one for each row of the launch table (conv.h, kKernels).
#include "conv_sm80.cuh"
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define APEXX_HAS_SM90
#include "conv_sm90.cuh"
#endif

namespace apexx::conv {

// table_bytes returns what the table says a kernel's shared memory is.
constexpr size_t table_bytes(const char* name) {
  for (const Kernel& k : kKernels) {
    int i = 0;
    while (k.name[i] != 0 && k.name[i] == name[i]) i++;
    if (k.name[i] == name[i]) return shared_bytes(k);
  }
  return 0;
}

#define APEXX_ENTRY(name, threads, blocks, run, ...)                                                                 \
  static_assert(sizeof(__VA_ARGS__::Shared) == table_bytes(#name), "the table tells another size of shared memory"); \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Arguments a) {          \
    run<__VA_ARGS__>(a);                                                                                             \
  }
#define APEXX_X(name, f, taps, stride, image, n, blocks) \
  APEXX_ENTRY(name, 256, blocks, conv_sm80, Sm80Shape<Format::f, taps, stride, n, image>)
#ifdef APEXX_HAS_SM90
#define APEXX_R(name, f, stride, channels, n, teams, split, normalises) \
  APEXX_ENTRY(name, 128 * teams * split, 1, conv_sm90,                  \
              Sm90Shape<Format::f, channels, n, stride, teams, split, normalises>)
#else
#define APEXX_R(...)
#endif
APEXX_KERNELS(APEXX_X, APEXX_R)
#undef APEXX_ENTRY
#undef APEXX_X
#undef APEXX_R

}  // namespace apexx::conv
