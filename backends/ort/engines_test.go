//go:build cgo

package ort

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
)

// builder is a session that finds the file engine in a folder, or writes it there, as the provider does.
type builder struct {
	folder string // it was opened with last
	built  int
	broken error // instead of building
}

func (b *builder) open(folder string) error {
	b.folder = folder
	file := filepath.Join(folder, "engine")
	switch data, err := os.ReadFile(file); {
	case err == nil && string(data) == "whole":
		return nil
	case err == nil:
		return errors.New("could not deserialize engine from cache")
	}
	b.built++
	if b.broken != nil {
		return errors.Join(os.WriteFile(file, []byte("cut"), 0o644), b.broken)
	}
	return os.WriteFile(file, []byte("whole"), 0o644)
}

// TestEngines: engines are built once, anew where they are broken, and only whole ones are kept.
func TestEngines(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "caches", "engines")
	one, other := engines{cache, "1"}, engines{cache, "2"}
	var b builder
	kept := func(wantBuilt int, wantEntries ...string) {
		t.Helper()
		if b.built != wantBuilt {
			t.Errorf("built %d times, want %d", b.built, wantBuilt)
		}
		entries, err := os.ReadDir(cache)
		if err != nil || len(entries) != len(wantEntries) {
			t.Fatalf("the cache holds %v (%v), want %v", entries, err, wantEntries)
		}
		for i, want := range wantEntries {
			if entries[i].Name() != want {
				t.Errorf("the cache holds %s, want %s", entries[i].Name(), want)
			}
		}
	}
	for range 2 {
		if err := one.load(b.open); err != nil {
			t.Fatal(err)
		}
		kept(1, "ort-1")
	}
	if want := filepath.Join(cache, "ort-1"); b.folder != want {
		t.Errorf("loaded from %s, want %s", b.folder, want)
	}

	if err := os.WriteFile(filepath.Join(cache, "ort-1", "engine"), []byte("cut"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := one.load(b.open); err != nil {
			t.Fatal(err)
		}
		kept(2, "ort-1")
	}

	b.broken = errors.New("no memory")
	if err := other.load(b.open); !errors.Is(err, b.broken) {
		t.Errorf("%v, want %v", err, b.broken)
	}
	kept(3, "ort-1")
}

// TestAbandonedEngines: what a session left that ended while it built is removed by a later one, and what one is building is not.
func TestAbandonedEngines(t *testing.T) {
	cache := t.TempDir()
	for name, age := range map[string]time.Duration{"ort-part-old": 2 * abandoned, "ort-part-new": time.Minute, "ort-1": 2 * abandoned} {
		dir, then := filepath.Join(cache, name), time.Now().Add(-age)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Chtimes(dir, then, then)); err != nil {
			t.Fatal(err)
		}
	}
	var b builder
	if err := (engines{cache, "2"}).load(b.open); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ort-part-old": false, "ort-part-new": true, "ort-1": true, "ort-2": true} {
		if _, err := os.Stat(filepath.Join(cache, name)); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", name, err, want)
		}
	}
}

// TestEnginesNowhere: without a cache the provider is given no folder, and a cache that cannot be written is told before anything is built.
func TestEnginesNowhere(t *testing.T) {
	var opened []string
	if err := (engines{}).load(func(folder string) error { opened = append(opened, folder); return nil }); err != nil || len(opened) != 1 || opened[0] != "" {
		t.Errorf("%v, opened with %q", err, opened)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var b builder
	if err := (engines{filepath.Join(file, "cache"), "1"}).load(b.open); reasonOf(err) != backends.EngineCacheUnwritable || b.built != 0 {
		t.Errorf("%v, built %d times", err, b.built)
	}
}

// TestEngineOptions: ort-tensorrt has options of engines, with TensorRT's own level and a folder of the user's caches, and no other provider has.
func TestEngineOptions(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/caches")
	for _, tt := range []struct {
		extra map[string]string
		level int
		cache string
		err   string
	}{
		{nil, 3, "/caches/apexx/ort-tensorrt", ""},
		{map[string]string{LevelOption: "0", CacheOption: "/c"}, 0, "/c", ""},
		{map[string]string{CacheOption: NoCache}, 3, "", ""},
		{map[string]string{CacheOption: ""}, 0, "", "cache names no folder (none: no cache)"},
		{map[string]string{LevelOption: "6"}, 0, "", `unknown level "6" (want 0 to 5)`},
		{map[string]string{"batches": "1:2:4"}, 0, "", `unknown option "batches" of the backend ort-tensorrt (known: cache, level, opt-level, provider)`},
	} {
		set, err := On(TensorRT).parse(backends.Options{Extra: tt.extra})
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%v: %v, want %s", tt.extra, err, tt.err)
			}
		} else if err != nil || set.engineLevel != tt.level || set.cache != tt.cache {
			t.Errorf("%v: level %d, cache %q, %v", tt.extra, set.engineLevel, set.cache, err)
		}
	}
	const want = `unknown option "level" of the backend ort-cuda (known: opt-level, provider)`
	if _, err := On(CUDA).parse(backends.Options{Extra: map[string]string{LevelOption: "1"}}); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if set, err := On(CUDA).parse(backends.Options{}); err != nil || set.cache != "" {
		t.Errorf("cuda has the cache %q, %v", set.cache, err)
	}
}

// TestEngineDigest: engines of another model, level, library or device are others.
func TestEngineDigest(t *testing.T) {
	d, err := openDriver(fakeDriver(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.device(); got != "the host's memory" {
		t.Errorf("the device is called %q", got)
	}
	of := func(model string, level int, version string) string {
		return engineDigest([]byte(model), settings{engineLevel: level}, &library{version: "1.30.0", tensorRT: version, driver: d})
	}
	base := of("m", 3, "10.6.0")
	if base != of("m", 3, "10.6.0") {
		t.Error("equal sessions have other engines")
	}
	for _, other := range []string{of("n", 3, "10.6.0"), of("m", 0, "10.6.0"), of("m", 3, "10.14.1")} {
		if other == base {
			t.Error("another session has the same engines")
		}
	}
	defer func(own []byte) { recipe = own }(recipe)
	recipe = append(recipe[:len(recipe):len(recipe)], "// "...)
	if of("m", 3, "10.6.0") == base {
		t.Error("a build that configures sessions otherwise has the same engines")
	}
}
