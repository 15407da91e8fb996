// What the network's kernels (conv.cu, norm.cu) compute, by plain loops: a block does in its first thread what its list of tasks says. How
// the device does it (matrix units, copies ahead) is not shown; formats, roundings, schedules, moments and addresses are.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "../conv.h"
#include "../norm.h"
#include "emulator.h"

namespace apexx::emulator {

using conv::Format;

inline float to_half(float x) { return static_cast<float>(static_cast<_Float16>(x)); }

// without returns x rounded to a float32 whose last `bits` bits are zero, halves to even. A NaN stays.
inline float without(float x, int bits) {
  const unsigned u = __float_as_uint(x), low = u >> bits & 1;
  return x == x ? __uint_as_float((u + (1u << (bits - 1)) - 1 + low) >> bits << bits) : x;
}

// stored returns x as it lies in a map.
inline float stored(Format f, float x) {
  return f == Format::f16 ? to_half(x) : f == Format::bf16 ? without(x, 16) : x;
}

// operand returns what the matrix unit multiplies for x; *beyond becomes true where two halves cannot hold it.
inline float operand(Format f, float x, bool* beyond) {
  if (f == Format::tf32) return without(x, 13);
  if (f != Format::f32) return stored(f, x);
  if (fabsf(x) >= 65520) *beyond = true;
  const float high = to_half(x);
  return high + to_half((x - high) * 2048) / 2048;
}

inline float element(Format f, const void* map, size_t i) {
  if (f == Format::f16) return static_cast<const _Float16*>(map)[i];
  if (f == Format::bf16) return __uint_as_float(unsigned(static_cast<const uint16_t*>(map)[i]) << 16);
  return static_cast<const float*>(map)[i];
}

inline void put(Format f, void* map, size_t i, float x) {
  if (f == Format::f16) static_cast<_Float16*>(map)[i] = static_cast<_Float16>(x);
  if (f == Format::bf16) static_cast<uint16_t*>(map)[i] = uint16_t(__float_as_uint(without(x, 16)) >> 16);
  if (conv::parts(f) == 2 || f == Format::tf32) static_cast<float*>(map)[i] = x;
}

// Normalisation is GroupNorm of a map with one group, from the pieces of its moments, and the activation behind it.
struct Normalisation {
  double mean = 0, inverse = 0;
  const float *scale, *shift;

  Normalisation(const Moments* pieces, int count, const float* scale, const float* shift) : scale(scale), shift(shift) {
    if (scale == nullptr) return;
    double n = 0, m2 = 0;
    for (int i = 0; i < count; i++) n += pieces[i].n, mean += double(pieces[i].n) * pieces[i].mean;
    mean /= n;
    for (int i = 0; i < count; i++) m2 += pieces[i].m2 + pieces[i].n * (pieces[i].mean - mean) * (pieces[i].mean - mean);
    inverse = 1 / sqrt(m2 / n + 1e-5);
  }
  float of(float x, int channel) const { return float((x - mean) * inverse * scale[channel] + shift[channel]); }
  float silu(float x, int channel) const {
    const float v = of(x, channel);
    return v / (1 + expf(-v));
  }
};

inline Moments moments_of(const std::vector<float>& values) {
  double mean = 0, m2 = 0;
  for (float v : values) mean += v;
  mean /= double(values.size());
  for (float v : values) m2 += (v - mean) * (v - mean);
  return {float(values.size()), float(mean), float(m2)};
}

// Patch holds the operands under a task, [row][column][channel], with the border.
struct Operands {
  int side, channels;
  std::vector<float> values;
  const float* at(int row, int column) const { return &values[size_t(row * side + column) * channels]; }
};

inline Operands operands_under(const conv::Kernel& k, const conv::Task& t, bool* beyond) {
  const int border = k.taps == 9, side = (conv::kTile - 1) * k.stride + 1 + 2 * border;
  Operands o{side, t.channels + t.channels2, {}};
  o.values.resize(size_t(side) * side * o.channels);
  const Normalisation norm(t.in_moments, t.in_pieces, t.scale, t.shift);
  for (int p = 0; p < side * side; p++) {
    const int y = t.y * k.stride - border + p / side, x = t.x * k.stride - border + p % side;
    if (y < 0 || y >= t.in_height || x < 0 || x >= t.in_width) continue;
    const size_t pixel = size_t(y) * t.in_width + x;
    for (int c = 0; c < o.channels; c++) {
      const bool second = c >= t.channels;
      float v = second ? element(k.format, t.in2, pixel * t.channels2 + c - t.channels) : element(k.format, t.in, pixel * t.channels + c);
      if (t.scale != nullptr && !second) v = norm.silu(v, c);
      o.values[size_t(p) * o.channels + c] = operand(k.format, v, beyond);
    }
  }
  return o;
}

// image_under does the same for the image, whose 27 values under an output are the channels of one tap.
inline Operands image_under(const conv::Kernel& k, const conv::Task& t, bool* beyond) {
  Operands o{conv::kTile, 27, std::vector<float>(conv::kTilePixels * 27)};
  for (int p = 0; p < conv::kTilePixels; p++)
    for (int i = 0; i < 27; i++) {
      const int y = 2 * (t.y + p / conv::kTile) + i % 9 / 3 - 1, x = 2 * (t.x + p % conv::kTile) + i % 3 - 1;
      if (y < 0 || y >= t.in_height || x < 0 || x >= t.in_width) continue;
      const float v = static_cast<const float*>(t.in)[(size_t(i / 9) * t.in_height + y) * t.in_width + x];
      o.values[p * 27 + i] = operand(k.format, v, beyond);
    }
  return o;
}

// weights_of unpacks a task's weights, [tap][channel][output channel].
inline std::vector<float> weights_of(const conv::Kernel& k, const conv::Task& t, int channels) {
  std::vector<float> w(size_t(k.taps) * channels * k.n);
  const size_t part = size_t(conv::packed_cells(k.format, k.n, channels, k.taps)) / conv::parts(k.format) * conv::cell_channels(k.format);
  for (int tap = 0; tap < k.taps; tap++)
    for (int c = 0; c < channels; c++)
      for (int o = 0; o < k.n; o++) {
        const size_t i = conv::packed_at(k.format, k.n, o, c, k.taps, tap);
        float& v = w[(size_t(tap) * channels + c) * k.n + o];
        if (k.format == Format::f32)
          v = element(Format::f16, t.weights, i) + element(Format::f16, t.weights, part + i) / 2048;
        else
          v = element(k.format, t.weights, i);
      }
  return w;
}

// run_task computes a task, and appends what it stores as a map to `values`.
inline void run_task(const conv::Kernel& k, const conv::Task& t, std::vector<float>& values, bool* beyond) {
  const Operands in = k.image ? image_under(k, t, beyond) : operands_under(k, t, beyond);
  const std::vector<float> weights = weights_of(k, t, in.channels);
  std::vector<double> sum(k.n);
  for (int p = 0; p < conv::kTilePixels; p++) {
    const int y = t.y + p / conv::kTile, x = t.x + p % conv::kTile;
    if (y >= t.height || x >= t.width) continue;
    std::fill(sum.begin(), sum.end(), 0);
    for (int tap = 0; tap < k.taps; tap++) {
      const float* pixel = in.at(p / conv::kTile * k.stride + tap / 3, p % conv::kTile * k.stride + tap % 3);
      for (int c = 0; c < in.channels; c++) {
        const float* w = &weights[(size_t(tap) * in.channels + c) * k.n];
        for (int o = 0; o < t.valid; o++) sum[o] += double(pixel[c]) * w[o];
      }
    }
    for (int o = 0; o < t.valid; o++) {
      float v = float(sum[o]) + (t.bias != nullptr ? t.bias[o] : 0);
      const int channel = t.first + o;
      if (t.add != nullptr)
        v += element(k.format, t.add, size_t((y >> t.add_shift) * (t.width >> t.add_shift) + (x >> t.add_shift)) * t.out_channels + channel);
      if (t.planar != conv::kMap) {
        static_cast<float*>(t.out)[(size_t(channel) * t.height + y) * t.width + x] = t.planar == conv::kPlanes ? v : stored(k.format, v);
        continue;
      }
      put(k.format, t.out, size_t(y * t.width + x) * t.out_channels + channel, v);
      values.push_back(stored(k.format, v));
    }
  }
}

inline void run_conv(const conv::Kernel& k, const conv::Arguments& a) {
  const conv::Task* tasks = a.tasks + size_t(blockIdx.x) * a.most_tasks;
  bool beyond = false;
  for (int team = 0; team < k.teams; team++) {
    std::vector<float> values;
    for (int i = team; i < a.most_tasks && tasks[i].in != nullptr; i += k.teams) {
      run_task(k, tasks[i], values, &beyond);
      const int next = i + k.teams;
      if (next < a.most_tasks && tasks[next].in != nullptr && tasks[next].moments == tasks[i].moments) continue;
      if (tasks[i].moments != nullptr) *tasks[i].moments = moments_of(values);
      values.clear();
    }
  }
  if (beyond && a.fault != nullptr) *a.fault = a.step;
}

inline void run_apply(Format f, const norm::Apply& a) {
  const Normalisation own(a.in_moments, a.in_pieces, a.scale, a.shift), other(a.residual_moments, a.residual_pieces, a.residual_scale, a.residual_shift);
  const int C = a.channels, width = a.gated ? 2 * C : C;
  for (int cell = a.first; cell < a.first + a.cells; cell++)
    for (int k = 0; k < norm::kCell; k++) {
      const size_t pixel = size_t(cell) * norm::kCell / C;
      const int c = cell * norm::kCell % C + k;
      const float x = element(f, a.in, pixel * width + c);
      float v;
      if (a.gated) {
        const float gate = own.of(element(f, a.in, pixel * width + C + c), C + c);
        v = own.of(x, c) * (gate < 0 ? 0 : gate);
      } else {
        v = own.silu(x, c);
      }
      if (a.residual != nullptr) {
        const float r = element(f, a.residual, pixel * C + c);
        v += a.residual_scale != nullptr ? stored(f, other.silu(r, c)) : r;
      }
      if (a.out != nullptr) put(f, a.out, pixel * C + c, v);
      if (a.planes != nullptr) a.planes[size_t(c) * a.pixels + pixel] = stored(f, v);
    }
}

// turn_layout turns the square of pixels and channels of a block: planes to a map, or a map to planes.
inline void turn_layout(Format f, const norm::Layout& l, bool to_map) {
  const size_t image = size_t(blockIdx.z) * l.pixels * l.channels;
  for (int p = blockIdx.x * norm::kSquare; p < std::min<int>(l.pixels, (blockIdx.x + 1) * norm::kSquare); p++)
    for (int c = blockIdx.y * norm::kSquare; c < std::min<int>(l.channels, (blockIdx.y + 1) * norm::kSquare); c++) {
      const size_t plane = image + size_t(c) * l.pixels + p, map = image + size_t(p) * l.channels + c;
      if (to_map)
        put(f, l.out, map, static_cast<const float*>(l.in)[plane]);
      else
        static_cast<float*>(l.out)[plane] = element(f, l.in, map);
    }
}

// register_network registers the kernels of the launch table and of norm.cu. name() is that of the kernel that runs.
template <const char* (*name)()>
void register_network() {
  for (const conv::Kernel& k : conv::kKernels)
    Register(Kernel{k.name, sizeof(conv::Arguments), k.threads(), false, [](const void* a) {
                      if (threadIdx.x != 0) return;
                      for (const conv::Kernel& k : conv::kKernels)
                        if (std::string_view(k.name) == name()) return run_conv(k, *static_cast<const conv::Arguments*>(a));
                    }});
#define APEXX_FORMAT(type, f)                                                                                                                       \
  Register(Kernel{"norm_apply_" #type, sizeof(norm::Arguments), norm::kThreads, false, [](const void* a) {                                           \
                    if (threadIdx.x == 0) run_apply(f, static_cast<const norm::Arguments*>(a)->list[blockIdx.x]);                                    \
                  }});                                                                                                                               \
  Register(Kernel{"norm_planes_" #type, sizeof(norm::Layout), norm::kThreads, false, [](const void* a) {                                             \
                    if (threadIdx.x == 0) turn_layout(f, *static_cast<const norm::Layout*>(a), false);                                               \
                  }});                                                                                                                               \
  Register(Kernel{"norm_maps_" #type, sizeof(norm::Layout), norm::kThreads, false,                                                                   \
                  [](const void* a) { if (threadIdx.x == 0) turn_layout(f, *static_cast<const norm::Layout*>(a), true); }});
  APEXX_FORMAT(f16, Format::f16)
  APEXX_FORMAT(bf16, Format::bf16)
  APEXX_FORMAT(f32, Format::f32)
#undef APEXX_FORMAT
}

}  // namespace apexx::emulator
