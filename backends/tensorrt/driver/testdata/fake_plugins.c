// A library of one plugin that registers nothing. FAKE_FAULT says what is wrong with it.
#include <stdlib.h>
#include <string.h>

#include "../../../../kernels/tensorrt/plugins.h"

static int fails(const char* what) {
  const char* fault = getenv("FAKE_FAULT");
  return fault && !strcmp(fault, what);
}

int32_t apexx_plugins_abi(void) { return fails("abi") ? APEXX_PLUGINS_ABI + 1 : APEXX_PLUGINS_ABI; }
const char* apexx_plugins_digest(void) { return "unknown"; }
int32_t apexx_plugins_tensorrt(void) { return fails("headers") ? 101500 : fails("none") ? 0 : 100600; }
int32_t apexx_plugins_count(void) { return 1; }
const apexx_plugin* apexx_plugins_get(int32_t i) {
  static const apexx_plugin_field fields[] = {{"tile_size", APEXX_INTEGER, 0}, {"mode", APEXX_TEXT, 1}};
  static const apexx_plugin plugin = {"TilePack", "1", "apexx", 2, fields};
  return i == 0 ? &plugin : NULL;
}
int32_t apexx_plugins_register(void* registry) { return fails("none") || fails("taken") ? -1 : 0; }
const char* apexx_plugins_error(void) {
  return fails("taken") ? "the registry did not take the plugin TilePack: another one of this name is there" : "the library was built without TensorRT's headers";
}
#ifndef WITHOUT_FAULTS
const char* apexx_plugins_take_fault(void) { return NULL; }
#endif
