// What the plugins of whole regions share: roundings inside of them, and tables of samples.
#pragma once

#include <math.h>

#include "../ops_resize.cuh"
#include "op_tiles.h"

namespace apexx::plugin {

// A Rounded is a field that names the format to which values are rounded: none, tf32, fp16 or bf16.
class Rounded {
 public:
  void field(const char* name, Fields& f) { f.text(name, &format_, false); }
  void check(const char* name) const {
    require(format_ == "none" || format_ == "tf32" || format_ == "fp16" || format_ == "bf16", "%s is %s, want none, tf32, fp16 or bf16", name, format_.c_str());
  }
  bool halves() const { return format_ == "fp16"; }
  // rounding is that of ../ops.cuh: bits of precision, and the range of exponents.
  Rounding rounding() const {
    constexpr int kPrecision = 24;  // of float32
    if (format_ == "none") return {};
    const int precision = format_ == "bf16" ? 8 : 11, least = halves() ? -14 : -126, most = halves() ? 15 : 127;
    return {ldexpf(1, least), ldexpf(1, kPrecision - 1 + least - precision + 1), static_cast<float>(ldexp(1, most + 1)), kPrecision - precision};
  }

 private:
  std::string format_ = "none";
};

// samples_of is the table of an axis that is resized (../ops_resize.cuh): the source of output i is max(0, (i + 0.5)·inputs/outputs - 0.5).
inline const Sample* samples_of(Call& c, int64_t inputs, int64_t outputs) {
  return reinterpret_cast<const Sample*>(c.table([&] {
    std::vector<int64_t> words((outputs * sizeof(Sample) + sizeof(int64_t) - 1) / sizeof(int64_t));
    auto* samples = reinterpret_cast<Sample*>(words.data());
    for (int64_t i = 0; i < outputs; i++) {
      const double at = std::max(0.0, (static_cast<double>(i) + 0.5) * static_cast<double>(inputs) / static_cast<double>(outputs) - 0.5);
      const int low = integer_of(std::min(static_cast<int64_t>(at), inputs - 1));
      samples[i] = {low, integer_of(std::min<int64_t>(low + 1, inputs - 1)), static_cast<float>(at - low)};
    }
    return words;
  }));
}

}  // namespace apexx::plugin
