// Convolution and normalisation on the CPU, as plain as their formulas (conv.h, norm.h): what every kernel is compared
// with before it is timed.
#pragma once

#include <cmath>
#include <vector>

namespace apexx::plain {

// Size of a map in pixels.
struct Size {
  int height, width;
  int pixels() const { return height * width; }
};

// strided returns the size of what a convolution makes of a map.
inline Size strided(Size in, int stride) {
  return {(in.height + stride - 1) / stride, (in.width + stride - 1) / stride};
}

// convolve returns [pixel][channels_out] in double precision: in is [pixel][channels_in], weights
// [channels_out][channels_in][taps] of 1 or 9 taps.
inline std::vector<double> convolve(Size size, int taps, int stride, int channels_in, int channels_out,
                                    const std::vector<float>& in, const std::vector<float>& weights) {
  const Size to = strided(size, stride);
  const int border = taps == 9 ? 1 : 0, columns = taps == 9 ? 3 : 1;
  std::vector<double> out(size_t(to.pixels()) * channels_out);
  std::vector<float> by_tap(weights.size());  // [tap][n][c]: the inner loop walks along both operands
  for (int n = 0; n < channels_out; n++)
    for (int c = 0; c < channels_in; c++)
      for (int tap = 0; tap < taps; tap++)
        by_tap[(size_t(tap) * channels_out + n) * channels_in + c] =
            weights[(size_t(n) * channels_in + c) * taps + tap];
#ifdef _OPENMP
#pragma omp parallel for
#endif
  for (int p = 0; p < to.pixels(); p++)
    for (int tap = 0; tap < taps; tap++) {
      const int y = p / to.width * stride + tap / columns - border, x = p % to.width * stride + tap % columns - border;
      if (y < 0 || y >= size.height || x < 0 || x >= size.width) continue;
      const float* a = &in[size_t(y * size.width + x) * channels_in];
      for (int n = 0; n < channels_out; n++) {
        const float* b = &by_tap[(size_t(tap) * channels_out + n) * channels_in];
        double s = 0;
        for (int c = 0; c < channels_in; c++) s += double(a[c]) * b[c];
        out[size_t(p) * channels_out + n] += s;
      }
    }
  return out;
}

// Statistics of values in double precision.
struct Statistics {
  double n = 0, mean = 0, m2 = 0;
  template <class T>
  explicit Statistics(const std::vector<T>& x) : n(double(x.size())) {
    for (T v : x) mean += double(v) / n;
    for (T v : x) m2 += (double(v) - mean) * (double(v) - mean);
  }
  double deviation() const { return std::sqrt(m2 / n); }
};

// normalise applies GroupNorm with one group to a map [pixel][channels].
inline std::vector<double> normalise(const std::vector<float>& in, const std::vector<float>& scale,
                                     const std::vector<float>& shift, double epsilon) {
  const Statistics s(in);
  const double inverse = 1 / std::sqrt(s.m2 / s.n + epsilon);
  std::vector<double> out(in.size());
  for (size_t i = 0; i < in.size(); i++)
    out[i] = (in[i] - s.mean) * inverse * scale[i % scale.size()] + shift[i % scale.size()];
  return out;
}

inline double silu(double v) { return v / (1 + std::exp(-v)); }

}  // namespace apexx::plain
