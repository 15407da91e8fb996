// The calibrators of TensorRT 10: the builder asks one for the inputs of a network, one batch after the other, and hands it the table of the ranges
// that it found.
#pragma once

#include <NvInfer.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace calibrating {

// Feed is what a calibrator is to the builder, apart from its kind.
class Feed {
 public:
  virtual ~Feed() = default;
  // next puts the addresses of the inputs of the next batch, on the device, into bindings. It is false behind the last one, and where something failed.
  virtual bool next(void* bindings[], const char* names[], int32_t count) noexcept = 0;
  virtual void take(const void* table, size_t size) noexcept = 0;
};

// Calibrator is an IInt8EntropyCalibrator2 or IInt8MinMaxCalibrator. It offers no earlier table: one that is kept and fits is taken without a build.
template <class Kind>
class Calibrator : public Kind {
 public:
  explicit Calibrator(Feed& feed) : feed_(feed) {}
  // The batch is a dimension of the network's inputs; this one is of networks that had no such dimension.
  int32_t getBatchSize() const noexcept override { return 1; }
  bool getBatch(void* bindings[], const char* names[], int32_t count) noexcept override { return feed_.next(bindings, names, count); }
  const void* readCalibrationCache(size_t& length) noexcept override {
    length = 0;
    return nullptr;
  }
  void writeCalibrationCache(const void* table, size_t size) noexcept override { feed_.take(table, size); }

 private:
  Feed& feed_;
};

}  // namespace calibrating
