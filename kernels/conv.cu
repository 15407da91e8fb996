// The entries of the convolution kernels: one for each row of the launch table (conv.h, kKernels).
#include "conv_image.cuh"
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

// Streamed is a kernel whose weights stream past: its shape, and how it runs. The image has its own in 16-bit formats.
template <Format f, int taps, int stride, int n, bool image>
struct Streamed {
  using Shape = Sm80Shape<f, taps, stride, n, image>;
  static __device__ __forceinline__ void run(const Arguments& a) { conv_sm80<Shape>(a); }
};
template <Format f, int n>
struct StreamedImage {
  using Shape = ImageShape<f, n>;
  static __device__ __forceinline__ void run(const Arguments& a) { conv_image<Shape>(a); }
};
template <int n>
struct Streamed<Format::f16, 1, 1, n, true> : StreamedImage<Format::f16, n> {};
template <int n>
struct Streamed<Format::bf16, 1, 1, n, true> : StreamedImage<Format::bf16, n> {};

#ifdef APEXX_HAS_SM90
template <Format f, int stride, int channels, int n, int teams, int split, bool normalises>
struct Resident {
  using Shape = Sm90Shape<f, channels, n, stride, teams, split, normalises>;
  static __device__ __forceinline__ void run(const Arguments& a) { conv_sm90<Shape>(a); }
};
#endif

#define APEXX_ENTRY(name, threads, blocks, ...)                                                             \
  static_assert(sizeof(__VA_ARGS__::Shape::Shared) == table_bytes(#name), "the table tells another size");  \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Arguments a) { \
    __VA_ARGS__::run(a);                                                                                    \
  }
#define APEXX_X(name, f, taps, stride, image, n, blocks) \
  APEXX_ENTRY(name, 256, blocks, Streamed<Format::f, taps, stride, n, image>)
#ifdef APEXX_HAS_SM90
#define APEXX_R(name, f, stride, channels, n, teams, split, normalises) \
  APEXX_ENTRY(name, 128 * teams * split, 1, Resident<Format::f, stride, channels, n, teams, split, normalises>)
#else
#define APEXX_R(...)
#endif
APEXX_KERNELS(APEXX_X, APEXX_R)
#undef APEXX_ENTRY
#undef APEXX_X
#undef APEXX_R

}  // namespace apexx::conv
