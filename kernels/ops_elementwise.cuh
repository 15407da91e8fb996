// Element by element: y[i] = f(x[i], …), one thread for an element. Operands of functions of several operands broadcast.
#pragma once

#include "ops.cuh"

namespace apexx {

enum UnaryFunction { kSigmoid, kRelu, kTanh, kSoftplus, kFloor, kClip, kSilu };

struct UnaryArgs {
  const float* x;
  float* y;
  int64_t n;
  int function;
  float low, high;  // of kClip
  int unused;
};

APEXX_DEVICE float unary_of(const UnaryArgs& a, float v) {
  switch (a.function) {
    case kSigmoid:
      return logistic(v);
    case kRelu:
      return larger(v, 0.0f);
    case kTanh:
      return tanhf(v);
    case kSoftplus:  // log(1 + e^v)
      return larger(v, 0.0f) + log1pf(expf(-fabsf(v)));
    case kFloor:
      return floorf(v);
    case kClip:  // a NaN stays
      return v < a.low ? a.low : (v > a.high ? a.high : v);
    default:
      return v * logistic(v);
  }
}

APEXX_KERNEL(unary, UnaryArgs, 256) {
  const int64_t i = thread_of();
  if (i < a.n) a.y[i] = unary_of(a, a.x[i]);
}

struct IsNanArgs {
  const float* x;
  uint8_t* y;
  int64_t n;
};

APEXX_KERNEL(is_nan, IsNanArgs, 256) {
  const int64_t i = thread_of();
  if (i < a.n) a.y[i] = a.x[i] != a.x[i];
}

struct RoundArgs {
  const float* x;
  float* y;
  int64_t n;
  Rounding to;
};

APEXX_KERNEL(round_format, RoundArgs, 256) {
  const int64_t i = thread_of();
  if (i < a.n) a.y[i] = rounded(a.to, a.x[i]);
}

constexpr int kMaxAxes = 8;

// Nest is the loop over broadcast operands: the axes of the output, the innermost first, and how far each operand moves along
// them, 0 where it stands still. Neighbouring axes along which all operands behave alike are one.
struct Nest {
  int64_t n;
  int axes, unused;
  int64_t size[kMaxAxes];
  int64_t stride[3][kMaxAxes];
};

// locate sets the offsets of the operands for the i-th element of the output.
template <int kOperands>
APEXX_DEVICE void locate(const Nest& nest, int64_t i, int64_t (&at)[kOperands]) {
  for (int o = 0; o < kOperands; o++) at[o] = 0;
  for (int d = 0; d < nest.axes; d++) {
    int64_t rest = 0;
    if (d + 1 < nest.axes) {
      rest = nest.n <= INT32_MAX ? static_cast<uint32_t>(i) / static_cast<uint32_t>(nest.size[d]) : i / nest.size[d];
    }
    const int64_t index = i - rest * nest.size[d];
    for (int o = 0; o < kOperands; o++) at[o] += index * nest.stride[o][d];
    i = rest;
  }
}

enum BinaryFunction { kAdd, kSub, kMul, kDiv, kMax, kMin };

struct BinaryArgs {
  const void *x0, *x1;
  void* y;
  Nest nest;
  int function, unused;
};

// quotient: that of integers by 0 is 0.
APEXX_DEVICE float quotient(float a, float b) { return a / b; }
APEXX_DEVICE int32_t quotient(int32_t a, int32_t b) { return b == 0 ? 0 : (b == -1 ? 0u - a : a / b); }
APEXX_DEVICE int64_t quotient(int64_t a, int64_t b) { return b == 0 ? 0 : (b == -1 ? 0ull - a : a / b); }

template <class T>
APEXX_DEVICE T binary_of(int function, T a, T b) {
  switch (function) {
    case kAdd:
      return a + b;
    case kSub:
      return a - b;
    case kMul:
      return a * b;
    case kDiv:
      return quotient(a, b);
    case kMax:
      return larger(a, b);
    default:
      return smaller(a, b);
  }
}

template <class T>
APEXX_DEVICE void binary_thread(const BinaryArgs& a) {
  const int64_t i = thread_of();
  if (i >= a.nest.n) return;
  int64_t at[2];
  locate(a.nest, i, at);
  static_cast<T*>(a.y)[i] =
      binary_of<T>(a.function, static_cast<const T*>(a.x0)[at[0]], static_cast<const T*>(a.x1)[at[1]]);
}

APEXX_KERNEL(binary_f32, BinaryArgs, 256) { binary_thread<float>(a); }
APEXX_KERNEL(binary_i32, BinaryArgs, 256) { binary_thread<int32_t>(a); }
APEXX_KERNEL(binary_i64, BinaryArgs, 256) { binary_thread<int64_t>(a); }

// where: y = condition ? x0 : x1, for any element type by its width.
struct WhereArgs {
  const uint8_t* condition;
  const void *x0, *x1;
  void* y;
  Nest nest;
};

template <class T>
APEXX_DEVICE void where_thread(const WhereArgs& a) {
  const int64_t i = thread_of();
  if (i >= a.nest.n) return;
  int64_t at[3];
  locate(a.nest, i, at);
  static_cast<T*>(a.y)[i] =
      a.condition[at[0]] ? static_cast<const T*>(a.x0)[at[1]] : static_cast<const T*>(a.x1)[at[2]];
}

APEXX_KERNEL(where_8, WhereArgs, 256) { where_thread<uint8_t>(a); }
APEXX_KERNEL(where_32, WhereArgs, 256) { where_thread<uint32_t>(a); }
APEXX_KERNEL(where_64, WhereArgs, 256) { where_thread<uint64_t>(a); }

// cast converts element types. Floats become integers by truncation, numbers booleans by comparison with 0.
enum ElementType { kFloat32, kInt32, kInt64, kBool };

struct CastArgs {
  const void* x;
  void* y;
  int64_t n;
  int from, to;
};

template <class T>
APEXX_DEVICE void store_as(const CastArgs& a, int64_t i, T v) {
  switch (a.to) {
    case kFloat32:
      static_cast<float*>(a.y)[i] = static_cast<float>(v);
      break;
    case kInt32:
      static_cast<int32_t*>(a.y)[i] = static_cast<int32_t>(v);
      break;
    case kInt64:
      static_cast<int64_t*>(a.y)[i] = static_cast<int64_t>(v);
      break;
    default:
      static_cast<uint8_t*>(a.y)[i] = v != 0;
  }
}

APEXX_KERNEL(cast, CastArgs, 256) {
  const int64_t i = thread_of();
  if (i >= a.n) return;
  switch (a.from) {
    case kFloat32:
      store_as(a, i, static_cast<const float*>(a.x)[i]);
      break;
    case kInt32:
      store_as(a, i, static_cast<const int32_t*>(a.x)[i]);
      break;
    case kInt64:
      store_as(a, i, static_cast<const int64_t*>(a.x)[i]);
      break;
    default:
      store_as(a, i, static_cast<int>(static_cast<const uint8_t*>(a.x)[i] != 0));
  }
}

}  // namespace apexx
