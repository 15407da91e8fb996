//go:build cgo

package ort

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
)

// touch creates empty files and their folders.
func touch(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func reasonOf(err error) backends.Reason {
	var missing *backends.Unavailable
	if errors.As(err, &missing) {
		return missing.Reason
	}
	return ""
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	at := func(path string) string { return filepath.Join(dir, path) }
	touch(t, at("a/libonnxruntime.so"), at("b/libonnxruntime.so.1"), at("b/libonnxruntime.so"), at("bad[1]/libonnxruntime.so.1"),
		at("versions/libonnxruntime.so.1.24.0"), at("versions/libonnxruntime.so.1.30.0"))
	check := func(path string) error {
		if strings.Contains(path, "bad") {
			return unavailable(backends.LibraryWrongArchitecture, "%s", path)
		}
		return nil
	}
	for _, c := range []struct {
		name   string
		p      places
		want   string
		reason backends.Reason
	}{
		{"first folder wins", places{folders: []string{at("none"), at("a"), at("b")}}, at("a/libonnxruntime.so"), ""},
		{"soname before link", places{folders: []string{at("b")}}, at("b/libonnxruntime.so.1"), ""},
		{"highest version", places{folders: []string{at("versions")}}, at("versions/libonnxruntime.so.1.30.0"), ""},
		{"an unusable one is passed over", places{folders: []string{at("bad[1]"), at("b")}}, at("b/libonnxruntime.so.1"), ""},
		{"only an unusable one", places{folders: []string{at("bad[1]"), at("none")}}, "", backends.LibraryWrongArchitecture},
		{"nothing", places{folders: []string{at("none")}}, "", backends.LibraryNotFound},
		{"the variable wins", places{file: at("b/libonnxruntime.so"), folders: []string{at("a")}}, at("b/libonnxruntime.so"), ""},
		{"the variable has no fallback", places{file: at("none"), folders: []string{at("a")}}, "", backends.LibraryNotFound},
		{"the variable names a folder", places{variable: libraryVariable, file: at("a")}, "", backends.LibraryNotFound},
	} {
		got, err := c.p.find(check)
		if err != nil {
			got = ""
		}
		if got != c.want || reasonOf(err) != c.reason {
			t.Errorf("%s: %q, %v; want %q %s", c.name, got, err, c.want, c.reason)
		}
	}
}

func TestStandardPlaces(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/the/cache")
	t.Setenv(libraryVariable, "/the/file")
	p := standardPlaces()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	work, cache := slices.Index(p.folders, filepath.Join(dir, ".deps")), slices.Index(p.folders, "/the/cache/apexx")
	if p.file != "/the/file" || work != 1 || cache <= work || cache >= slices.Index(p.folders, "/usr/lib") {
		t.Errorf("%+v", p)
	}
}

// TestPlacesOf: a library for a device has a variable of its own, takes the other's if that is built for it, and may lie apart.
func TestPlacesOf(t *testing.T) {
	dir := t.TempDir()
	at := func(path string) string { return filepath.Join(dir, path) }
	touch(t, at("cpu/libonnxruntime.so.1"), at("gpu/libonnxruntime.so.1"), at("own/libonnxruntime.so.1"))
	for _, name := range CUDA.files() {
		touch(t, at("gpu/"+name))
	}
	t.Setenv("XDG_CACHE_HOME", at("cache"))
	for _, tt := range []struct{ cpu, gpu, variable, file string }{
		{"", "", deviceLibraryVariable, ""},
		{at("cpu/libonnxruntime.so.1"), "", deviceLibraryVariable, ""},
		{at("gpu/libonnxruntime.so.1"), "", libraryVariable, at("gpu/libonnxruntime.so.1")},
		{at("gpu/libonnxruntime.so.1"), at("own/libonnxruntime.so.1"), deviceLibraryVariable, at("own/libonnxruntime.so.1")},
	} {
		t.Setenv(libraryVariable, tt.cpu)
		t.Setenv(deviceLibraryVariable, tt.gpu)
		p := placesOf(CUDA)
		if p.variable != tt.variable || p.file != tt.file {
			t.Errorf("with %q and %q: %s is %q, want %s %q", tt.cpu, tt.gpu, p.variable, p.file, tt.variable, tt.file)
		}
		if apart, cache := slices.Index(p.folders, at("cache/apexx/ort-gpu")), slices.Index(p.folders, at("cache/apexx")); p.variable == deviceLibraryVariable && (apart < 0 || cache != apart+1) {
			t.Errorf("folders %q", p.folders)
		}
		_, err := places{rejected: p.rejected, missing: "nowhere"}.find(checkLibrary)
		reason := backends.LibraryNotFound
		if tt.cpu == at("cpu/libonnxruntime.so.1") {
			reason = backends.ProviderUnavailable
		}
		if u := new(backends.Unavailable); !errors.As(err, &u) || u.Reason != reason {
			t.Errorf("with %q and %q, and nothing in the folders: %v, want %s", tt.cpu, tt.gpu, err, reason)
		}
		if q := placesOf(CPU); q.variable != libraryVariable || q.file != tt.cpu || slices.ContainsFunc(q.folders, func(f string) bool { return filepath.Base(f) == deviceFolder }) {
			t.Errorf("for the processor: %+v", q)
		}
	}
}

// TestBuiltFor: of a library that lacks a file of a provider that file is told, and one that is built for another is passed over.
func TestBuiltFor(t *testing.T) {
	dir := t.TempDir()
	library := func(folder string, files ...string) string {
		for _, name := range append(files, "libonnxruntime.so.1") {
			touch(t, filepath.Join(dir, folder, name))
		}
		return filepath.Join(dir, folder, "libonnxruntime.so.1")
	}
	cpu, cuda, both := library("cpu"), library("cuda", CUDA.files()...), library("both", TensorRT.files()...)
	for _, tt := range []struct {
		provider Provider
		path     string
		lacks    string
	}{
		{CPU, cpu, ""}, {CUDA, cuda, ""}, {CUDA, both, ""}, {TensorRT, both, ""},
		{CUDA, cpu, "libonnxruntime_providers_shared.so"}, {TensorRT, cuda, "libonnxruntime_providers_tensorrt.so"},
	} {
		err := builtFor(tt.provider, tt.path)
		if tt.lacks == "" && err != nil || tt.lacks != "" && (reasonOf(err) != backends.ProviderUnavailable || !strings.Contains(err.Error(), tt.lacks)) {
			t.Errorf("%s of %s: %v, want %q", tt.provider, tt.path, err, tt.lacks)
		}
	}
	p := places{folders: []string{filepath.Dir(cpu), filepath.Dir(cuda), filepath.Dir(both)}}
	if got, err := p.find(func(path string) error { return builtFor(TensorRT, path) }); got != both || err != nil {
		t.Errorf("found %q, %v", got, err)
	}
}

// header returns an ELF file without sections for a machine.
func header(machine elf.Machine) []byte {
	h := make([]byte, 64)
	copy(h, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(h[16:], uint16(elf.ET_DYN))
	le.PutUint16(h[18:], uint16(machine))
	le.PutUint32(h[20:], 1)
	le.PutUint16(h[52:], 64)
	return h
}

func TestCheckLibrary(t *testing.T) {
	dir := t.TempDir()
	other := elf.EM_S390
	for _, c := range []struct {
		name string
		data []byte
		want backends.Reason
	}{
		{"text", []byte("not a library"), backends.LibraryLoadFailed},
		{"empty", nil, backends.LibraryLoadFailed},
		{"truncated", header(other)[:30], backends.LibraryLoadFailed},
		{"other machine", header(other), backends.LibraryWrongArchitecture},
		{"no symbols", header(machines[runtime.GOARCH]), backends.LibrarySymbolMissing},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := checkLibrary(path); reasonOf(err) != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if err := checkLibrary(filepath.Join(dir, "none")); reasonOf(err) != backends.LibraryNotFound {
		t.Errorf("a missing file: %v", err)
	}
}

// compiler returns the C compiler, which cgo needs as well.
func compiler(t *testing.T) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip(err)
	}
	return cc
}

// TestCheckLibraryVersion compiles libraries that define the entry point under other versions.
func TestCheckLibraryVersion(t *testing.T) {
	cc := compiler(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "api.c")
	if err := os.WriteFile(source, []byte("void *OrtGetApiBase(void) { return 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]backends.Reason{"1.23.2": backends.LibraryVersionUnsupported, "1.24.0": "", "1.30.0": "", "2.0.0": backends.LibraryVersionUnsupported} {
		script, library := filepath.Join(dir, version+".map"), filepath.Join(dir, version+".so")
		if err := os.WriteFile(script, []byte("VERS_"+version+" { global: OrtGetApiBase; local: *; };\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.Command(cc, "-shared", "-fPIC", "-Wl,--version-script="+script, "-o", library, source).CombinedOutput(); err != nil {
			t.Skipf("%v\n%s", err, text)
		}
		if err := checkLibrary(library); reasonOf(err) != want {
			t.Errorf("%s: %v, want %q", version, err, want)
		}
	}
}

func TestOpenReason(t *testing.T) {
	for text, want := range map[string]backends.Reason{
		"Platform-specific initialization failed: Error setting ORT API base: 2":    backends.LibraryVersionUnsupported,
		`Error looking up OrtGetApiBase in "x": undefined symbol`:                   backends.LibrarySymbolMissing,
		`Error loading ONNX shared library "x": cannot open shared object file: no`: backends.LibraryLoadFailed,
	} {
		if got := openReason(errors.New(text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
