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

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// The library's names of providers.
const (
	hostProvider = "CPUExecutionProvider"
	cudaProvider = "CUDAExecutionProvider"
)

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

// fallbacks are the nodes of a graph, by name, that a session on a device does not run by its own provider, and why.
type fallbacks struct {
	nodes  map[string]backends.Reason
	others int  // nodes on the processor that the library added, or renamed: nobody's
	silent bool // the library tells of no node where it runs
}

// fallbacksOf returns those that a placement puts elsewhere, whole or some of their bodies, whose nodes are called NODE/INNER (onnx.Inlined). What is on the
// processor in part counts as there.
func fallbacksOf(g *graph.Graph, p Provider, placement string) fallbacks {
	f := fallbacks{nodes: map[string]backends.Reason{}, silent: p.onDevice() && placement == ""}
	known := make(map[string]bool, len(g.Nodes))
	for _, n := range g.Nodes {
		known[n.Name] = true
	}
	for line := range strings.Lines(placement) {
		provider, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		reason := backends.OnHost
		switch {
		case provider == cudaProvider && p == TensorRT:
			reason = backends.OnCUDAProvider
		case provider != hostProvider:
			continue
		}
		for !known[name] && name != "" {
			name = name[:max(strings.LastIndexByte(name, '/'), 0)]
		}
		switch {
		case name == "" && reason == backends.OnHost:
			f.others++
		case name != "" && f.nodes[name] != backends.OnHost:
			f.nodes[name] = reason
		}
	}
	return f
}

// text tells of what no step can.
func (f fallbacks) text() string {
	switch {
	case f.silent:
		return ", which does not tell where the nodes run"
	case f.others > 0:
		return fmt.Sprintf(", with %d nodes of its own on the processor", f.others)
	}
	return ""
}
