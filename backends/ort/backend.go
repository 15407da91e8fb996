//go:build cgo

package ort

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
)

// Probe implements backends.Backend: it finds and opens the library, and of a provider on a device everything that it needs. Facts: library
// (path), version, the files of the provider (providers_cuda_library and so on) and, with the provider tensorrt, the version of TensorRT.
func (b *Backend) Probe(context.Context) backends.Availability {
	lib, err := b.open()
	if missing := (*backends.Unavailable)(nil); errors.As(err, &missing) {
		return backends.Availability{Reason: missing.Reason, Detail: missing.Detail}
	} else if err != nil {
		return backends.Availability{Reason: backends.LibraryLoadFailed, Detail: err.Error()}
	}
	a := backends.Availability{Available: true, Precisions: b.precisions(), Facts: []backends.Fact{
		{Key: "library", Value: lib.path},
		{Key: "version", Value: lib.version},
	}}
	for _, name := range b.provider.files() {
		key := strings.TrimSuffix(strings.TrimPrefix(name, "libonnxruntime_"), ".so") + "_library"
		a.Facts = append(a.Facts, backends.Fact{Key: key, Value: lib.beside(name)})
	}
	if v := lib.tensorRT; v != "" && b.provider == TensorRT {
		a.Facts = append(a.Facts, backends.Fact{Key: "tensorrt", Value: v})
	}
	return a
}

// Compile implements backends.Backend. Extra knows opt-level (none, basic, extended, all) and provider, which has to be the backend's own, and that
// of ort-tensorrt LevelOption and CacheOption.
// Threads are those of one operator; operators run one after the other.
func (b *Backend) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	set, err := b.parse(opts)
	if err != nil {
		return nil, b.own(err)
	}
	lib, err := b.open()
	if err != nil {
		return nil, b.own(err)
	}
	set.device = lib.device(b.provider)
	applied, err := opts.Apply(g)
	if err != nil {
		return nil, err
	}
	bound := bindable(applied)
	form, folder := b.provider.form(opts.Weights)
	set.weights = folder
	model, err := onnx.Marshal(bound, form)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if set.cache != "" {
		set.engines = engines{cache: set.cache, digest: engineDigest(model, set, lib)}
	}
	s, err := newSession(applied, bound, model, set)
	if err != nil {
		return nil, fmt.Errorf("compile graph %s for ONNX Runtime: %w", g.Name, b.own(err))
	}
	return s, nil
}

// form says how a graph is written for a provider, and in which folder the file of weights lies that the model then refers to; "" for none. A
// placement tells whose body a node is of where bodies stand in the place of calls. TensorRT's parser knows no folder of a model in memory.
func (p Provider) form(w *backends.Weights) (form onnx.WriteOptions, folder string) {
	if p.onDevice() {
		form.Form = onnx.Inlined
	}
	if w != nil && p != TensorRT {
		form.External, folder = w.Places, w.Folder
	}
	return form, folder
}
