// Fields of plugins: an operator names them once (Operator::fields), and the names can be listed, values read and values written by that.
#pragma once

#include <algorithm>

#include "operator.h"
#include "plugins.h"

namespace apexx::plugin {

// Fields is told of each field. A value that is there before is its default, if it is not required.
class Fields {
 public:
  virtual ~Fields() = default;
  virtual void integer(const char* name, int* value, bool required = true) = 0;
  virtual void integers(const char* name, std::vector<int>* value, bool required = true) = 0;
  virtual void real(const char* name, float* value, bool required = true) = 0;
  virtual void text(const char* name, std::string* value, bool required = true) = 0;
};

// Attribute is the value of a field as it comes and goes: elements of 4 bytes, or characters. It owns nothing.
struct Attribute {
  std::string_view name;
  int kind;  // as in plugins.h
  const void* data;
  int length;
};

class FieldNames final : public Fields {
 public:
  std::vector<apexx_plugin_field> list;

  void integer(const char* name, int*, bool required) override { add(name, APEXX_INTEGER, required); }
  void integers(const char* name, std::vector<int>*, bool required) override { add(name, APEXX_INTEGERS, required); }
  void real(const char* name, float*, bool required) override { add(name, APEXX_REAL, required); }
  void text(const char* name, std::string*, bool required) override { add(name, APEXX_TEXT, required); }

 private:
  void add(const char* name, int kind, bool required) { list.push_back({name, kind, required}); }
};

// FieldReader reads fields from attributes. finish refuses attributes that no field was read from.
class FieldReader final : public Fields {
 public:
  explicit FieldReader(const std::vector<Attribute>& attributes) : attributes_(attributes), read_(attributes.size()) {}

  void integer(const char* name, int* value, bool required) override {
    if (const Attribute* a = find(name, APEXX_INTEGER, required, 1)) *value = static_cast<const int32_t*>(a->data)[0];
  }
  void integers(const char* name, std::vector<int>* value, bool required) override {
    const Attribute* a = find(name, APEXX_INTEGER, required, 0);
    if (!a) return;
    const auto* data = static_cast<const int32_t*>(a->data);
    value->assign(data, data + a->length);
  }
  void real(const char* name, float* value, bool required) override {
    if (const Attribute* a = find(name, APEXX_REAL, required, 1)) *value = static_cast<const float*>(a->data)[0];
  }
  void text(const char* name, std::string* value, bool required) override {
    const Attribute* a = find(name, APEXX_TEXT, required, 0);
    if (!a) return;
    const auto* data = static_cast<const char*>(a->data);
    value->assign(data, std::find(data, data + a->length, '\0'));  // some writers count the end
  }
  void finish() const {
    for (size_t i = 0; i < read_.size(); i++) {
      const std::string name(attributes_[i].name);
      require(read_[i], "there is no field %s, or it is given twice", name.c_str());
    }
  }

 private:
  // find returns an attribute of a kind and, unless it is 0, length.
  const Attribute* find(const char* name, int kind, bool required, int length) {
    for (size_t i = 0; i < attributes_.size(); i++) {
      const Attribute& a = attributes_[i];
      if (a.name != name) continue;
      read_[i] = true;
      const int found = a.kind == APEXX_INTEGERS ? APEXX_INTEGER : a.kind;
      static const char* const kinds[] = {"integers", "integers", "a real", "a text"};
      require(found == kind, "field %s is %s, want %s", name, kinds[a.kind], kinds[kind]);
      require(length == 0 || a.length == length, "field %s has %d values, want %d", name, a.length, length);
      require(a.data != nullptr, "field %s has no value", name);
      return &a;
    }
    require(!required, "field %s is missing", name);
    return nullptr;
  }

  const std::vector<Attribute>& attributes_;
  std::vector<bool> read_;
};

// FieldWriter lists the values of fields. The operator keeps them.
class FieldWriter final : public Fields {
 public:
  std::vector<Attribute> list;

  void integer(const char* name, int* value, bool) override { list.push_back({name, APEXX_INTEGER, value, 1}); }
  void integers(const char* name, std::vector<int>* value, bool required) override {
    if (required || !value->empty()) list.push_back({name, APEXX_INTEGERS, value->data(), static_cast<int>(value->size())});
  }
  void real(const char* name, float* value, bool) override { list.push_back({name, APEXX_REAL, value, 1}); }
  void text(const char* name, std::string* value, bool) override { list.push_back({name, APEXX_TEXT, value->data(), static_cast<int>(value->size())}); }
};

// read_fields sets an operator's fields and checks them.
inline void read_fields(Operator& op, const std::vector<Attribute>& attributes) {
  FieldReader reader(attributes);
  op.fields(reader);
  reader.finish();
  op.check();
}

// description_of returns name and values of the fields as text, equal for equal operators alone.
inline std::string description_of(Operator& op) {
  FieldWriter writer;
  op.fields(writer);
  std::string text = op.name();
  for (const Attribute& a : writer.list) {
    text += " " + std::string(a.name) + "=";
    if (a.kind == APEXX_TEXT) text += std::string(static_cast<const char*>(a.data), a.length);
    for (int i = 0; i < a.length && a.kind != APEXX_TEXT; i++) {
      char number[32];
      if (a.kind == APEXX_REAL) {
        snprintf(number, sizeof number, "%.9g", static_cast<const float*>(a.data)[i]);
      } else {
        snprintf(number, sizeof number, "%d", static_cast<const int32_t*>(a.data)[i]);
      }
      text += (i ? "," : "") + std::string(number);
    }
  }
  return text;
}

}  // namespace apexx::plugin
