package tensorrt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// tiles is a graph with a plugin between two standard operators.
func tiles(t *testing.T) (*graph.Graph, tensor.List) {
	t.Helper()
	b := graph.NewBuilder("tiles")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 2, 4, 4}})
	ids := b.Const("ids", tensor.Must(tensor.Of([]int64{3, 0}, 1, 2)))
	relu := b.Add1("relu", graph.Unary{Fn: graph.Relu}, x)
	pack := b.Add1("pack", graph.TilePack{Tile: 2}, relu, ids)
	b.Output("y", b.Add1("neg", graph.Unary{Fn: graph.Neg}, pack))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g, tensor.List{{Name: "x", Tensor: tensor.New(tensor.Float32, 1, 2, 4, 4)}}
}

// options name an engine file or a cache, and nothing of the user's.
func options(key, value string) backends.Options {
	extra := map[string]string{CacheOption: NoCache}
	extra[key] = value
	return backends.Options{Extra: extra}
}

func compile(t *testing.T, lib *emulated, o backends.Options) error {
	t.Helper()
	g, _ := tiles(t)
	s, err := New(lib).Compile(t.Context(), g, o)
	if err != nil {
		return err
	}
	return s.Close()
}

// TestBrokenBuilds breaks everything that a session stands on: one line and one reason for each.
func TestBrokenBuilds(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, from *emulated) string {
		path := filepath.Join(dir, name)
		if err := compile(t, from, options(EngineOption, path)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	changed := func(name string, change func([]byte) []byte) string {
		path := file(name, newEmulated())
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(data), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	with := func(change func(*Facts)) *emulated {
		e := newEmulated()
		change(&e.facts)
		return e
	}
	plugin := func(change func(*Plugin)) *emulated {
		return with(func(f *Facts) {
			for i := range f.Plugins {
				if f.Plugins[i].Name == "TilePack" {
					change(&f.Plugins[i])
				}
			}
		})
	}
	none := options(CacheOption, NoCache)
	readOnly := filepath.Join(dir, "a file")
	if err := os.WriteFile(readOnly, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		lib    *emulated
		opts   backends.Options
		reason backends.Reason
		want   string
	}{
		{"plugin missing", plugin(func(p *Plugin) { p.Name = "Other" }), none, backends.PluginMissing, "/trt/libapexx-tensorrt.so has no plugin TilePack"},
		{"no plugins", with(func(f *Facts) {
			f.Plugins, f.PluginLibrary, f.WithoutPlugin = nil, "", "there is no library of plugins"
		}), none, backends.PluginMissing,
			"TilePack: there is no library of plugins"},
		{"wrong version", plugin(func(p *Plugin) { p.Version = "2" }), none, backends.PluginMismatch, `TilePack: version "2", want "1"; build worker and plugins from one source`},
		{"wrong namespace", plugin(func(p *Plugin) { p.Namespace = "" }), none, backends.PluginMismatch, `TilePack: namespace "", want "apexx"`},
		{"wrong field", plugin(func(p *Plugin) { p.Fields, p.Required = []string{"tile"}, []string{"tile"} }), none, backends.PluginMismatch,
			"no field tile_size, wants the field tile, which the export does not write"},
		{"cut engine", newEmulated(), options(EngineOption, changed("cut", func(b []byte) []byte { return b[:len(b)-1] })), backends.EngineCorrupt, "bytes are not the"},
		{"changed engine", newEmulated(), options(EngineOption, changed("changed", func(b []byte) []byte { b[len(b)-1]++; return b })), backends.EngineCorrupt, "bytes are not the"},
		{"no engine", newEmulated(), options(EngineOption, changed("none", func(b []byte) []byte { return []byte("PK") })), backends.EngineCorrupt, "does not begin as an engine"},
		{"record cut", newEmulated(), options(EngineOption, changed("record", func(b []byte) []byte { return b[:40] })), backends.EngineCorrupt, "its record: EOF"},
		{"record of later times", newEmulated(), options(EngineOption, changed("later", func(b []byte) []byte { return bytes.Replace(b, []byte(`"level"`), []byte(`"Level2"`), 1) })),
			backends.EngineCorrupt, `unknown field "Level2"`},
		{"another record", newEmulated(), options(EngineOption, changed("edited", func(b []byte) []byte { return bytes.Replace(b, []byte(`"level":3`), []byte(`"level":4`), 1) })),
			backends.EngineCorrupt, "its record is not the one that was written"},
		{"another device", with(func(f *Facts) { f.Device, f.Capability = "Other GPU", "8.9" }), options(EngineOption, file("device", newEmulated())), backends.EngineForeign,
			"device is Emulated GPU, here it is Other GPU, compute_capability is 9.0, here it is 8.9"},
		{"another driver", with(func(f *Facts) { f.CUDA = "13.1" }), options(EngineOption, file("driver", newEmulated())), backends.EngineOutdated, "cuda is 13.0, here it is 13.1: build it anew"},
		{"another library", with(func(f *Facts) { f.Version = "10.9.0" }), options(EngineOption, file("library", newEmulated())), backends.EngineOutdated, "tensorrt is 10.6.0, here it is 10.9.0"},
		{"other plugins", with(func(f *Facts) { f.PluginDigest = "d2" }), options(EngineOption, file("plugins", newEmulated())), backends.EngineOutdated, "plugins_sha256 is d1, here it is d2"},
		{"another builder", with(func(f *Facts) { f.Recipe = "r2" }), options(EngineOption, file("recipe", with(func(f *Facts) { f.Recipe = "r1" }))), backends.EngineOutdated,
			"builder_sha256 is r1, here it is r2"},
		{"no builder resource", with(func(f *Facts) { f.NoBuilder = "there is no libnvinfer_builder_resource.so.10.6.0 in /trt" }), none, backends.BuilderUnavailable,
			"there is no libnvinfer_builder_resource.so.10.6.0 in /trt"},
		{"read-only cache", newEmulated(), options(CacheOption, filepath.Join(readOnly, "cache")), backends.EngineCacheUnwritable, "not a directory; name another folder (--engine-cache), or none"},
		{"no library", &emulated{opened: unavailable(backends.LibraryNotFound, "no libnvinfer.so.10")}, none, backends.LibraryNotFound, "no libnvinfer.so.10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := compile(t, c.lib, c.opts)
			var missing *backends.Unavailable
			if !errors.As(err, &missing) || missing.Reason != c.reason || !strings.Contains(missing.Detail, c.want) {
				t.Fatalf("%v, want %s: %s", err, c.reason, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

// TestInterruptedBuild: the context ends a build, and nothing is left of it.
func TestInterruptedBuild(t *testing.T) {
	g, _ := tiles(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	o := options(CacheOption, dir)
	var stages []backends.Stage
	o.Progress = func(s backends.Stage) {
		stages = append(stages, s)
		cancel()
	}
	if _, err := New(newEmulated()).Compile(ctx, g, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if want := (backends.Stage{Name: "emulated phase", Done: 1, Total: 2}); len(stages) != 1 || stages[0] != want {
		t.Errorf("stages %v, want %v", stages, want)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("the cache holds %v", left)
	}
}

// TestSticky: what the device refuses once ends the session, whatever it would say next.
func TestSticky(t *testing.T) {
	lib := newEmulated()
	g, inputs := tiles(t)
	s, err := New(lib).Compile(t.Context(), g, options(CacheOption, NoCache))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := backends.Run(t.Context(), s, inputs); err != nil {
		t.Fatal(err)
	}
	lib.failed = errSticky
	if err := s.Execute(t.Context()); !errors.Is(err, errSticky) {
		t.Errorf("%v", err)
	}
	lib.failed = nil
	for what, err := range map[string]error{"execute": s.Execute(t.Context()), "upload": s.Upload(t.Context(), inputs)} {
		if !errors.Is(err, errSticky) || !strings.HasPrefix(err.Error(), "the device failed: ") {
			t.Errorf("%s after a failure of the device: %v", what, err)
		}
	}
}

// TestForeignInput: an engine with an input that the graph has not would compute with whatever lies in its memory.
func TestForeignInput(t *testing.T) {
	g, _ := tiles(t)
	lib := newEmulated()
	e, err := exportOf(g, "", lib.facts, Batches{})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := lib.Load(append([]byte(emulatedMagic), e.model...), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	run := loaded.(*emulation)
	if _, err := newSession(g, run); err != nil {
		t.Error(err)
	}
	run.add("bias", true, graph.Type{DType: tensor.Float32, Shape: []int{1}})
	var missing *backends.Unavailable
	if _, err := newSession(g, run); !errors.As(err, &missing) || missing.Reason != backends.EngineOutdated || missing.Detail != "the engine has an input bias, which the graph has not" {
		t.Errorf("%v", err)
	}
}
