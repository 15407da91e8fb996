package tensorrt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
)

// TestCache: an engine is built once for one key, whatever it is looked up from; what is damaged in the cache is built anew; and what was measured is
// handed from build to build.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	lib := newEmulated()
	count := func(what string, want int) {
		t.Helper()
		if len(lib.builds) != want {
			t.Fatalf("%s: %d builds, want %d", what, len(lib.builds), want)
		}
	}
	must := func(o backends.Options) {
		t.Helper()
		if err := compile(t, lib, o); err != nil {
			t.Fatal(err)
		}
	}
	must(options(CacheOption, dir))
	must(options(CacheOption, dir))
	count("the second session", 1)
	level := options(CacheOption, dir)
	level.Extra[LevelOption] = "1"
	must(level)
	count("another level", 2)
	other := options(CacheOption, dir)
	other.Precision = backends.TF32
	must(other)
	count("another precision", 3)
	lib.facts.PluginDigest = "d2"
	must(options(CacheOption, dir))
	count("other plugins", 4)
	if got := lib.builds[3].Timings; !bytes.Equal(got, []byte("ttt")) {
		t.Errorf("the fourth build was given the timings %q, want those of three", got)
	}
	engines, err := filepath.Glob(filepath.Join(dir, "*"+EngineSuffix))
	if err != nil || len(engines) != 4 {
		t.Fatalf("engines %v, %v", engines, err)
	}
	for _, path := range engines {
		if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must(options(CacheOption, dir))
	count("a damaged engine", 5)
	must(options(CacheOption, dir))
	count("after a damaged engine", 5)
}

// TestOneBuild: while a session's engine is built, another that lacks the same waits for it, says so, and can be interrupted.
func TestOneBuild(t *testing.T) {
	dir := t.TempDir()
	first, second := newEmulated(), newEmulated()
	waits, ended := make(chan struct{}), make(chan error, 1)
	building := options(CacheOption, dir)
	building.Progress = func(s backends.Stage) {
		if s.Done > 1 {
			return
		}
		stopped, cancel := context.WithCancel(t.Context())
		g, _ := tiles(t)
		interrupted := options(CacheOption, dir)
		interrupted.Progress = func(backends.Stage) { cancel() }
		if _, err := New(newEmulated()).Compile(stopped, g, interrupted); !errors.Is(err, context.Canceled) {
			t.Errorf("an interrupted wait: %v", err)
		}
		waiting := options(CacheOption, dir)
		waiting.Progress = func(s backends.Stage) {
			if !strings.HasPrefix(s.Name, "waiting") {
				t.Errorf("the second session says %q", s.Name)
			}
			close(waits)
		}
		go func() { ended <- compile(t, second, waiting) }()
		<-waits
	}
	if err := compile(t, first, building); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || len(first.builds) != 1 || len(second.builds) != 0 {
		t.Errorf("%v; %d and %d builds, want 1 and none", err, len(first.builds), len(second.builds))
	}
}

// TestPrebuilt: an engine that was built elsewhere is taken by the sessions that it fits, and by no others.
func TestPrebuilt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prebuilt.engine")
	if err := compile(t, newEmulated(), options(EngineOption, path)); err != nil {
		t.Fatal(err)
	}
	t.Setenv(prebuiltVariable, path)
	lib := newEmulated()
	for i, precision := range []backends.Precision{backends.FP32, backends.TF32} {
		o := options(CacheOption, NoCache)
		o.Precision = precision
		if err := compile(t, lib, o); err != nil {
			t.Fatal(err)
		}
		if len(lib.builds) != i {
			t.Errorf("%s: %d builds, want %d", precision, len(lib.builds), i)
		}
	}
}

// TestPrebuiltForNobody: where no session here can take the prebuilt engine, none builds another one without a word; a session that names its own does not look at it.
func TestPrebuiltForNobody(t *testing.T) {
	dir := t.TempDir()
	path, own := filepath.Join(dir, "prebuilt.engine"), filepath.Join(dir, "own.engine")
	if err := compile(t, newEmulated(), options(EngineOption, path)); err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.engine")
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(cut, data[:len(data)-1], 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		change func(*Facts)
		reason backends.Reason
		want   string
	}{
		{filepath.Join(dir, "nothing"), func(*Facts) {}, backends.EngineCorrupt, "APEXX_TRT_ENGINE is " + filepath.Join(dir, "nothing") + ": there is no such file"},
		{cut, func(*Facts) {}, backends.EngineCorrupt, "APEXX_TRT_ENGINE: " + cut + ": its "},
		{path, func(f *Facts) { f.Device = "Other GPU" }, backends.EngineForeign, "device is Emulated GPU, here it is Other GPU"},
		{path, func(f *Facts) { f.Version = "10.9.0" }, backends.EngineOutdated, "tensorrt is 10.6.0, here it is 10.9.0"},
		{path, func(f *Facts) { f.PluginDigest = "d2" }, backends.EngineOutdated, "plugins_sha256 is d1, here it is d2"},
	} {
		t.Setenv(prebuiltVariable, c.path)
		lib := newEmulated()
		c.change(&lib.facts)
		err := compile(t, lib, options(CacheOption, NoCache))
		var missing *backends.Unavailable
		if !errors.As(err, &missing) || missing.Reason != c.reason || !strings.Contains(missing.Detail, c.want) || len(lib.builds) > 0 {
			t.Errorf("%s: %v after %d builds, want %s: %s", c.path, err, len(lib.builds), c.reason, c.want)
		}
		if err := compile(t, lib, options(EngineOption, own)); err != nil {
			t.Error(err)
		}
		os.Remove(own)
	}
}

// TestEngineThatDoesNotLoad: an engine whose file is whole and that the library refuses all the same is built anew if it is of the cache; another one is named.
func TestEngineThatDoesNotLoad(t *testing.T) {
	dir := t.TempDir()
	lib := newEmulated()
	if err := compile(t, lib, options(CacheOption, dir)); err != nil {
		t.Fatal(err)
	}
	engines, err := filepath.Glob(filepath.Join(dir, "*"+EngineSuffix))
	if err != nil || len(engines) != 1 {
		t.Fatal(engines, err)
	}
	spoil := func() {
		t.Helper()
		rec, err := ReadRecord(engines[0])
		if err == nil {
			err = writeEngine(engines[0], rec, []byte("of another build of the library"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	spoil()
	if err := compile(t, lib, options(CacheOption, dir)); err != nil || len(lib.builds) != 2 {
		t.Errorf("%v after %d builds, want a second one", err, len(lib.builds))
	}
	if err := compile(t, lib, options(CacheOption, dir)); err != nil || len(lib.builds) != 2 {
		t.Errorf("%v after %d builds, want no third one", err, len(lib.builds))
	}
	spoil()
	var missing *backends.Unavailable
	err = compile(t, lib, options(EngineOption, engines[0]))
	if want := engines[0] + ": no emulated engine: build it anew"; !errors.As(err, &missing) || missing.Reason != backends.EngineCorrupt || !strings.HasPrefix(missing.Detail, want) || len(lib.builds) != 2 {
		t.Errorf("%v after %d builds, want %s", err, len(lib.builds), want)
	}
}

// TestEqualBuildsAreEqualFiles: neither time nor place is in an engine file.
func TestEqualBuildsAreEqualFiles(t *testing.T) {
	var files [][]byte
	for range 2 {
		path := filepath.Join(t.TempDir(), "x.engine")
		if err := compile(t, newEmulated(), options(EngineOption, path)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two builds of one graph have different files")
	}
}

func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.engine")
	if err := compile(t, newEmulated(), options(EngineOption, path)); err != nil {
		t.Fatal(err)
	}
	rec, err := ReadRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	var nodes []string
	for _, l := range rec.Layers {
		nodes = append(nodes, l.Nodes...)
	}
	if !slices.Equal(nodes, []string{"relu", "pack", "neg"}) || rec.Key.Precision != backends.FP32 || rec.Key.Level != DefaultLevel || len(rec.Held) != 0 {
		t.Errorf("%+v", rec)
	}
}

// TestForgedRecord: a session tells the layers that its engine has, and not those that a file speaks of.
func TestForgedRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.engine")
	if err := compile(t, newEmulated(), options(EngineOption, path)); err != nil {
		t.Fatal(err)
	}
	rec, engine, err := ReadEngine(path)
	if err != nil {
		t.Fatal(err)
	}
	rec.Layers = []Layer{{Name: "all", Nodes: []string{"relu", "pack", "neg"}}}
	if err := writeEngine(path, rec, engine); err != nil {
		t.Fatal(err)
	}
	g, _ := tiles(t)
	lib := newEmulated()
	s, err := New(lib).Compile(t.Context(), g, options(EngineOption, path))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := len(s.Plan().Steps); n != 3 || len(lib.builds) != 0 {
		t.Errorf("%d steps after %d builds, want the 3 of the engine that is there", n, len(lib.builds))
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(engineMagic + `{"key":{}}` + "\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if rec, engine, err := readEngine(path); err == nil && len(engine) != rec.Bytes {
			t.Errorf("an engine of %d bytes, its record says %d", len(engine), rec.Bytes)
		}
	})
}
