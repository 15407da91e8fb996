//go:build cgo

package ort

/*
#include <stdlib.h>
#include "capi.h"
*/
import "C"

import (
	"fmt"
	"reflect"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/apex-x/apexx/backends/graph"
)

// hostProvider is the library's name of the provider of the processor.
const hostProvider = "CPUExecutionProvider"

// placement returns what a session on a device says of its nodes, a line "PROVIDER\tNODE" for each; "" for a session on the processor.
func (s settings) placement(session *ort.AdvancedSession) (string, error) {
	if s.device == nil {
		return "", nil
	}
	// The binding keeps the library's session to itself.
	handle := reflect.ValueOf(session).Elem().FieldByName("ortSession").UnsafePointer()
	var lines *C.char
	defer func() { C.free(unsafe.Pointer(lines)) }()
	if err := failure(C.apexx_ort_placement(s.device.table, handle, &lines)); err != nil {
		return "", fmt.Errorf("where the session's nodes run: %w", err)
	}
	return C.GoString(lines), nil
}

// onHost returns the nodes of a graph that a placement puts on the processor, whole or some of their bodies, whose nodes are called NODE/INNER
// (onnx.Inlined). Nodes that the library added itself are nobody's.
func onHost(g *graph.Graph, placement string) map[string]bool {
	known := make(map[string]bool, len(g.Nodes))
	for _, n := range g.Nodes {
		known[n.Name] = true
	}
	host := map[string]bool{}
	for line := range strings.Lines(placement) {
		provider, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if provider != hostProvider {
			continue
		}
		for !known[name] && name != "" {
			name = name[:max(strings.LastIndexByte(name, '/'), 0)]
		}
		if name != "" {
			host[name] = true
		}
	}
	return host
}
