// The table of all plugins.
#pragma once

#include "op_boxes.h"
#include "op_detect.h"
#include "op_heavy.h"
#include "op_logits.h"
#include "op_norm.h"
#include "op_route.h"
#include "op_select.h"
#include "op_tiles.h"

namespace apexx::plugin {

// Entry is one plugin.
struct Entry {
  std::unique_ptr<Operator> example;  // with the defaults of its fields
  std::vector<apexx_plugin_field> fields;
  apexx_plugin description;
};

constexpr char kVersion[] = "1", kNamespace[] = "apexx";

template <class T>
Entry entry_of() {
  Entry e{std::make_unique<T>(), {}, {}};
  FieldNames names;
  e.example->fields(names);
  e.fields = std::move(names.list);
  e.description = {T::kName, kVersion, kNamespace, static_cast<int32_t>(e.fields.size()), e.fields.data()};
  return e;
}

template <class... T>
std::vector<Entry> entries_of() {
  std::vector<Entry> list;
  (list.push_back(entry_of<T>()), ...);
  return list;
}

// entries lists the plugins, by name.
inline const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = entries_of<BoxMask, BoxVector, DecodeBoxes, Gates, GreedySelect, GroupNormFusion, HeavyPath, Logits, MaskDetail,
                                                    PrototypeMasks, Proxies, RoiMeanPool, Route, SelectDetections, SplitSelect, TileAggregate, TileOrder, TilePack,
                                                    TileSSMScan, TileUnpackFusion>();
  return list;
}

// find returns the plugin of a name, refusing others.
inline const Entry& find(std::string_view name) {
  for (const Entry& e : entries()) {
    if (name == e.description.name) return e;
  }
  refuse("there is no plugin %.*s", static_cast<int>(name.size()), name.data());
}

// infer checks a node's operands and returns its results.
inline std::vector<Tensor> infer(const Operator& op, const std::vector<Tensor>& in) {
  const std::vector<Input> wanted = op.inputs(static_cast<int>(in.size()));
  Element maps = Element::kFloat;
  Format format = Format::kLinear;
  for (size_t i = 0; i < in.size(); i++) {
    const Tensor& t = in[i];
    require(t.rank == wanted[i].rank, "input %zu has rank %d, want %d", i, t.rank, wanted[i].rank);
    for (int axis = 0; axis < t.rank; axis++) require(t.dims[axis] >= 0 && t.dims[axis] < int64_t{1} << 31, "input %zu has a dimension out of range", i);
    if (wanted[i].role == Role::kMap && i == 0) maps = t.element, format = t.format;
  }
  op.accept(in);
  std::vector<Tensor> out;
  for (const Output& o : op.outputs()) out.push_back(result_of(o, in, maps, format));
  return out;
}

// fits tells whether operand t, of which rank, type, format and channels count, may be what it is in a node whose first operand is `first`: input or output
// of a role.
inline bool fits(const Operator& op, Role role, const Tensor& t, const Tensor& first) {
  switch (role) {
    case Role::kNumber: return t.element == Element::kFloat && t.format == Format::kLinear;
    case Role::kIndex: return t.element == Element::kInt64 && t.format == Format::kLinear;
    case Role::kMap: break;
  }
  if (t.element != first.element || t.element == Element::kInt64) return false;
  if (t.format == Format::kHWC8) return t.rank == 4 && t.element == Element::kHalf && first.format == t.format;
  if (t.rank == 4 && t.element == Element::kHalf && op.cells() && t.dims[1] % kCell == 0) return false;
  return first.format == Format::kLinear || t.rank != 4;
}

}  // namespace apexx::plugin
