// What a plugin is, without TensorRT: its fields, the kinds of its operands, the shapes of its results, and its launches. One class for each operator
// (op_*.h); all else is done once: plugin.h makes TensorRT's interfaces of it, harness.h runs it alone.
//
// Nothing here but the constructor's vectors allocates, and an operator holds its fields only: copies are independent.
#pragma once

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace apexx::plugin {

// Refusal says why fields, shapes or types are not those of an operator.
struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn, gnu::format(printf, 1, 2)]] inline void refuse(const char* format, ...) {
  char text[512];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  throw Refusal(text);
}

// require refuses what does not hold.
template <class... Args>
void require(bool holds, const char* format, Args... args) {
  if (!holds) {
    char text[512];
    snprintf(text, sizeof text, format, args...);
    throw Refusal(text);
  }
}

enum class Element { kFloat, kHalf, kInt64 };
enum class Format { kLinear, kHWC8 };  // kHWC8: [N][H][W][C rounded up to 8]

constexpr int kMostRank = 8;

struct Tensor {
  Element element;
  Format format;
  int rank;
  int64_t dims[kMostRank];

  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    return n;
  }
  int64_t bytes() const {
    int64_t n = size();
    if (format == Format::kHWC8) n = n / (dims[1] > 0 ? dims[1] : 1) * ((dims[1] + 7) / 8 * 8);
    return n * (element == Element::kInt64 ? 8 : element == Element::kFloat ? 4 : 2);
  }
};

// Role says which elements an operand may have.
enum class Role {
  kMap,     // float32 or float16, all maps of a node alike; those of rank 4 may be kHWC8 where they are float16
  kNumber,  // float32 in every precision: what decisions and coordinates hang on, and parameters
  kIndex,   // int64
};

// Size is one dimension of a result: floor(multiply · a dimension of an input / divide).
struct Size {
  int input, axis;  // input -1: no input, 1 stands for its dimension
  int64_t multiply, divide;
};

inline Size constant(int64_t n) { return {-1, 0, n, 1}; }
inline Size same(int input, int axis) { return {input, axis, 1, 1}; }
inline Size scaled(int input, int axis, int64_t multiply, int64_t divide) { return {input, axis, multiply, divide}; }

struct Output {
  Role role;
  std::vector<Size> sizes;
};

// like is the shape of an input.
inline std::vector<Size> like(int input, int rank) {
  std::vector<Size> sizes;
  for (int axis = 0; axis < rank; axis++) sizes.push_back(same(input, axis));
  return sizes;
}

struct Input {
  Role role;
  int rank;
};

class Fields;
class Call;

class Operator {
 public:
  virtual ~Operator() = default;
  virtual const char* name() const = 0;
  virtual std::unique_ptr<Operator> clone() const = 0;

  // fields names every field once, in one order, with the place of its value.
  virtual void fields(Fields&) = 0;
  // check refuses values of fields that are out of range.
  virtual void check() const {}
  // inputs says what a node with that many inputs has, and refuses other numbers.
  virtual std::vector<Input> inputs(int count) const = 0;
  virtual std::vector<Output> outputs() const = 0;
  // accept refuses shapes that do not fit each other or the fields.
  virtual void accept(const std::vector<Tensor>& in) const = 0;
  // native tells whether compute takes maps as they are; else they come to it, and are taken from it, as float32 planes.
  virtual bool native(const std::vector<Tensor>&) const { return false; }
  // cells tells whether an engine has to bring float16 maps as kHWC8 where their channels are whole cells: beside convolutions, which leave and take them so,
  // an engine that may choose for many maps at once chooses planes, and turns each.
  virtual bool cells() const { return false; }
  // compute launches the kernels.
  virtual void compute(Call&) const = 0;
};

// Named gives an operator T its name, T::kName, and copies.
template <class T>
class Named : public Operator {
 public:
  const char* name() const override { return T::kName; }
  std::unique_ptr<Operator> clone() const override { return std::make_unique<T>(static_cast<const T&>(*this)); }
};

// result_of returns the concrete shape of an output; its format is that of maps of the node.
inline Tensor result_of(const Output& o, const std::vector<Tensor>& in, Element maps, Format format) {
  Tensor t{o.role == Role::kMap ? maps : o.role == Role::kIndex ? Element::kInt64 : Element::kFloat, Format::kLinear, static_cast<int>(o.sizes.size()), {}};
  for (int i = 0; i < t.rank; i++) {
    const Size& s = o.sizes[i];
    t.dims[i] = (s.input < 0 ? 1 : in[s.input].dims[s.axis]) * s.multiply / s.divide;
  }
  if (o.role == Role::kMap && t.rank == 4) t.format = format;
  return t;
}

// expect refuses an operand of another shape; -1 stands for any dimension.
inline void expect(const char* what, const Tensor& t, std::initializer_list<int64_t> dims) {
  bool fits = t.rank == static_cast<int>(dims.size());
  std::string got, want;
  int i = 0;
  for (int64_t d : dims) {
    fits = fits && (d < 0 || t.dims[i] == d);
    want += (i++ ? "," : "") + (d < 0 ? std::string("*") : std::to_string(d));
  }
  if (fits) return;
  for (int axis = 0; axis < t.rank; axis++) got += (axis ? "," : "") + std::to_string(t.dims[axis]);
  refuse("%s is [%s], want [%s]", what, got.c_str(), want.c_str());
}

}  // namespace apexx::plugin
