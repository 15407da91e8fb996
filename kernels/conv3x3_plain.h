// 3×3 convolution on the CPU, as plain as its formula (conv3x3.h): what every variant is compared with before it is
// timed.
#pragma once

#include <cmath>
#include <vector>

#include "conv3x3.h"

namespace apexx::conv3x3::plain {

// convolve returns the output pyramid of one branch, [pixel][channels_out], in double precision. in is the input
// pyramid, [pixel][channels_in]; weights are in the order [channels_out][channels_in][tap].
inline std::vector<double> convolve(const Plan& plan, int levels, int stride, int channels_in, int channels_out,
                                    const std::vector<float>& in, const std::vector<float>& weights) {
  const Level& last = plan.level[levels - 1];
  std::vector<double> out(size_t(last.first_pixel + last.height * last.width) * channels_out);
  std::vector<float> by_tap(weights.size());  // [tap][n][c]: the inner loop walks along both operands
  for (int n = 0; n < channels_out; n++)
    for (int c = 0; c < channels_in; c++)
      for (int tap = 0; tap < kTaps; tap++)
        by_tap[(size_t(tap) * channels_out + n) * channels_in + c] =
            weights[(size_t(n) * channels_in + c) * kTaps + tap];
  for (int l = 0; l < levels; l++) {
    const Level& level = plan.level[l];
#ifdef _OPENMP
#pragma omp parallel for
#endif
    for (int p = 0; p < level.height * level.width; p++) {
      double* sum = &out[size_t(level.first_pixel + p) * channels_out];
      for (int tap = 0; tap < kTaps; tap++) {
        const int y = p / level.width * stride + tap / 3 - 1, x = p % level.width * stride + tap % 3 - 1;
        if (y < 0 || y >= level.in_height || x < 0 || x >= level.in_width) continue;
        const float* a = &in[size_t(level.in_first + y * level.in_width + x) * channels_in];
        for (int n = 0; n < channels_out; n++) {
          const float* b = &by_tap[(size_t(tap) * channels_out + n) * channels_in];
          double s = 0;
          for (int c = 0; c < channels_in; c++) s += double(a[c]) * b[c];
          sum[n] += s;
        }
      }
    }
  }
  return out;
}

// normalise applies GroupNorm with one group and SiLU to each level of an input pyramid, rounding the result with
// `round`.
template <class Round>
std::vector<float> normalise(const Plan& plan, int levels, int channels, const std::vector<float>& in,
                             const std::vector<float>& scale, const std::vector<float>& shift, double epsilon,
                             Round round) {
  std::vector<float> out(in.size());
  for (int l = 0; l < levels; l++) {
    const Level& level = plan.level[l];
    const size_t first = size_t(level.in_first) * channels, n = size_t(level.in_height) * level.in_width * channels;
    double mean = 0, m2 = 0;
    for (size_t i = 0; i < n; i++) mean += in[first + i] / double(n);
    for (size_t i = 0; i < n; i++) m2 += (in[first + i] - mean) * (in[first + i] - mean);
    const double inverse = 1 / std::sqrt(m2 / double(n) + epsilon);
    for (size_t i = 0; i < n; i++) {
      const double v = (in[first + i] - mean) * inverse * scale[i % channels] + shift[i % channels];
      out[first + i] = round(v / (1 + std::exp(-v)));
    }
  }
  return out;
}

}  // namespace apexx::conv3x3::plain
