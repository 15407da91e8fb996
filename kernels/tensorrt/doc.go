// Package tensorrt opens the library of TensorRT plugins that this folder's sources make (plugins.h): it lists the plugins, and runs one without an
// engine. It needs nothing of TensorRT itself.
package tensorrt
