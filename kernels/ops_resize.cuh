// Bilinear interpolation with half-pixel centres: x [planes,h,w] → y [planes,H,W], one thread for an output. Rows are mixed first and
// then columns. Where each output row and column lies is a table, made in double precision when a session is compiled.
#pragma once

#include "ops.cuh"

namespace apexx {

// Sample says how an output coordinate is made: (1-weight)·v[lo] + weight·v[hi].
struct Sample {
  int lo, hi;
  float weight;
};

APEXX_DEVICE float mixed(float a, float b, float weight) { return (1 - weight) * a + weight * b; }

// interpolated samples a plane whose rows are `width` long.
APEXX_DEVICE float interpolated(const float* x, int width, const Sample& row, const Sample& column) {
  const float* top = x + static_cast<int64_t>(row.lo) * width;
  const float* bottom = x + static_cast<int64_t>(row.hi) * width;
  return mixed(mixed(top[column.lo], bottom[column.lo], row.weight), mixed(top[column.hi], bottom[column.hi], row.weight),
               column.weight);
}

struct ResizeArgs {
  const float* x;
  float* y;
  const Sample *rows, *columns;
  int64_t n;
  int in_height, in_width, out_height, out_width;
};

APEXX_KERNEL(resize, ResizeArgs, 256) {
  const int64_t i = thread_of();
  if (i >= a.n) return;
  const int64_t row = i / a.out_width, plane = row / a.out_height;
  a.y[i] = interpolated(a.x + plane * a.in_height * a.in_width, a.in_width, a.rows[row % a.out_height],
                        a.columns[i % a.out_width]);
}

}  // namespace apexx
