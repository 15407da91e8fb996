// Mean, or root of the sum of squares, over some axes of a value. Sums in double precision.
//
// reduce_block: one block for an output, whose threads take its terms in turns: for many terms that lie together. reduce_thread: one thread
// for an output, terms in order: for the rest, where neighbouring outputs lie together.
#pragma once

#include "ops.cuh"

namespace apexx {

constexpr int kReduceAxes = 6;

// Axes are positions in memory: the innermost axis first.
struct Axes {
  int64_t size[kReduceAxes], stride[kReduceAxes];
};

APEXX_DEVICE int64_t position(const Axes& axes, int count, int64_t i) {
  if (count == 1) return i * axes.stride[0];
  int64_t at = 0;
  for (int d = 0; d < count; d++) {
    at += i % axes.size[d] * axes.stride[d];
    i /= axes.size[d];
  }
  return at;
}

struct ReduceArgs {
  const float* x;
  float* y;
  int64_t outputs, terms;
  Axes kept, reduced;
  int kept_axes, reduced_axes;
  int squares, unused;  // squares: the root of their sum, else the mean
};

APEXX_DEVICE double term(const ReduceArgs& a, int64_t base, int64_t i) {
  const double v = a.x[base + position(a.reduced, a.reduced_axes, i)];
  return a.squares ? v * v : v;
}

APEXX_DEVICE float finished(const ReduceArgs& a, double sum) {
  return static_cast<float>(a.squares ? sqrt(sum) : sum / a.terms);
}

APEXX_BLOCK_KERNEL(reduce_block, ReduceArgs, 128) {
  __shared__ double scratch[32];
  const int64_t base = position(a.kept, a.kept_axes, blockIdx.x);
  double sum = 0;
  for (int64_t i = threadIdx.x; i < a.terms; i += blockDim.x) sum += term(a, base, i);
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) a.y[blockIdx.x] = finished(a, sum);
}

APEXX_KERNEL(reduce_thread, ReduceArgs, 128) {
  const int64_t out = thread_of();
  if (out >= a.outputs) return;
  const int64_t base = position(a.kept, a.kept_axes, out);
  double sum = 0;
#pragma unroll 8
  for (int64_t i = 0; i < a.terms; i++) sum += term(a, base, i);
  a.y[out] = finished(a, sum);
}

}  // namespace apexx
