package driver

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
)

// library writes a shared library for a machine that has one function, and returns its path.
func write(t *testing.T, machine elf.Machine, function string, path ...string) string {
	t.Helper()
	to := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, sharedObject(machine, function), 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

// sharedObject is the least ELF file whose dynamic symbols can be read: a header, four sections, one symbol.
func sharedObject(machine elf.Machine, function string) []byte {
	const header, section = 64, 64
	text := []byte("\x00" + function + "\x00")
	symbols := make([]byte, 48) // the first is empty
	binary.LittleEndian.PutUint32(symbols[24:], 1)
	symbols[28] = byte(elf.STB_GLOBAL)<<4 | byte(elf.STT_FUNC)
	binary.LittleEndian.PutUint16(symbols[30:], 1) // defined in a section
	var b bytes.Buffer
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1, Shoff: header, Ehsize: header, Shentsize: section, Shnum: 3, Shstrndx: 1}
	copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	binary.Write(&b, binary.LittleEndian, h)
	at := uint64(header + 3*section)
	binary.Write(&b, binary.LittleEndian, elf.Section64{})
	binary.Write(&b, binary.LittleEndian, elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: at, Size: uint64(len(text))})
	binary.Write(&b, binary.LittleEndian, elf.Section64{Type: uint32(elf.SHT_DYNSYM), Off: at + uint64(len(text)), Size: uint64(len(symbols)), Link: 1, Info: 1, Entsize: 24})
	b.Write(text)
	b.Write(symbols)
	return b.Bytes()
}

const entry = "createInferRuntime_INTERNAL"

func TestFind(t *testing.T) {
	own := machines[runtime.GOARCH]
	other := elf.EM_S390
	dir := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	write(t, own, entry, dir, "jar", "org/bytedeco/tensorrt/linux-x86_64/libnvinfer.so.10")
	write(t, own, entry, dir, "unpacked", "tensorrt/libnvinfer.so.10")
	write(t, own, entry, dir, "system", "libnvinfer.so.10.6.0")
	write(t, own, entry, dir, "system", "libnvinfer.so.10.9.0")
	write(t, own, entry, dir, "both", "libnvinfer.so.10.9.0")
	write(t, own, entry, dir, "both", "libnvinfer.so.10.15.1")
	write(t, own, entry, dir, "both", "libnvinfer.so.10")
	write(t, other, entry, dir, "foreign", "libnvinfer.so.10")
	write(t, own, "other", dir, "symbol", "libnvinfer.so.10")
	write(t, own, entry, dir, "old", "libnvinfer.so.8")
	write(t, own, entry, dir, "a [folder]", "libnvinfer.so.10")
	if err := os.WriteFile(write(t, own, entry, dir, "text", "libnvinfer.so.10"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		places places
		want   string // path in the folder
		reason backends.Reason
		text   string
	}{
		{"file of the variable", places{library: at("system", "libnvinfer.so.10.6.0"), beside: []string{at("unpacked")}}, "system/libnvinfer.so.10.6.0", "", ""},
		{"folder of the variable", places{library: at("system")}, "system/libnvinfer.so.10.9.0", "", ""},
		{"variable that names nothing", places{library: at("nothing"), beside: []string{at("unpacked")}}, "", backends.LibraryNotFound, `APEXX_TRT_LIB is "` + at("nothing") + `": no such file or directory`},
		{"variable that names an empty folder", places{library: at("empty"), beside: []string{at("unpacked")}}, "", backends.LibraryNotFound, "in which there is no libnvinfer.so.10"},
		{"beside first", places{beside: []string{at("empty"), at("unpacked")}, system: []string{at("system")}}, "unpacked/tensorrt/libnvinfer.so.10", "", ""},
		{"the jar as it is unpacked", places{beside: []string{at("jar")}}, "jar/org/bytedeco/tensorrt/linux-x86_64/libnvinfer.so.10", "", ""},
		{"the newest of a folder", places{system: []string{at("empty"), at("system")}}, "system/libnvinfer.so.10.9.0", "", ""},
		{"15 is more than 9", places{system: []string{at("both")}}, "both/libnvinfer.so.10.15.1", "", ""},
		{"brackets in a name", places{system: []string{at("a [folder]")}}, "a [folder]/libnvinfer.so.10", "", ""},
		{"10 behind 8", places{system: []string{at("old"), at("system")}}, "system/libnvinfer.so.10.9.0", "", ""},
		{"8 alone", places{system: []string{at("old")}}, "", backends.LibraryVersionUnsupported, "libnvinfer.so.8 is no TensorRT 10"},
		{"another processor", places{system: []string{at("foreign")}}, "", backends.LibraryWrongArchitecture, "is for EM_S390"},
		{"another function", places{system: []string{at("symbol")}}, "", backends.LibrarySymbolMissing, "has no function " + entry},
		{"no library", places{system: []string{at("text")}}, "", backends.LibraryLoadFailed, "is no library"},
		{"nothing", places{system: []string{at("empty")}}, "", backends.LibraryNotFound, "run 'make setup-tensorrt', or set APEXX_TRT_LIB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.places.find()
			var missing *backends.Unavailable
			switch {
			case c.reason == "" && (err != nil || got.infer != at(c.want) || got.folder != filepath.Dir(got.infer)):
				t.Errorf("%+v, %v, want %s", got, err, c.want)
			case c.reason != "" && (!errors.As(err, &missing) || missing.Reason != c.reason || !strings.Contains(missing.Detail, c.text)):
				t.Errorf("%v, want %s: %s", err, c.reason, c.text)
			}
		})
	}
}

func TestWithoutBuilder(t *testing.T) {
	dir := t.TempDir()
	own := machines[runtime.GOARCH]
	say := func() string {
		l, err := places{library: dir}.find()
		if err != nil {
			t.Fatal(err)
		}
		return l.withoutBuilder("10.6.0")
	}
	write(t, own, entry, dir, "libnvinfer.so.10")
	if got := say(); !strings.HasPrefix(got, "there is no libnvonnxparser.so.10 in ") {
		t.Errorf("without a parser: %q", got)
	}
	write(t, own, "x", dir, "libnvonnxparser.so.10")
	write(t, own, "x", dir, "libnvinfer_builder_resource.so.10.3.0")
	if got := say(); !strings.HasPrefix(got, "there is no libnvinfer_builder_resource.so.10.6.0 in ") {
		t.Errorf("with the resource of another version: %q", got)
	}
	write(t, own, "x", dir, "libnvinfer_builder_resource_sm90.so.10.6.0")
	if got := say(); got != "" {
		t.Errorf("with all of it: %q", got)
	}
}

func TestFindPlugins(t *testing.T) {
	dir := t.TempDir()
	path := write(t, machines[runtime.GOARCH], "x", dir, "there", pluginLibrary)
	for _, c := range []struct {
		places places
		want   string
		text   string
	}{
		{places{plugins: path}, path, ""},
		{places{beside: []string{filepath.Join(dir, "there")}}, path, ""},
		{places{plugins: filepath.Join(dir, "nothing"), beside: []string{filepath.Join(dir, "there")}}, "", "APEXX_TRT_PLUGIN_LIB is "},
		{places{beside: []string{dir}}, "", "run 'make tensorrt', or set APEXX_TRT_PLUGIN_LIB"},
	} {
		if got, without := c.places.findPlugins(); got != c.want || !strings.Contains(without, c.text) || (got == "") != (without != "") {
			t.Errorf("%+v: %q, %q", c.places, got, without)
		}
	}
}

// TestDigest: two libraries of plugins that nobody gave a digest are two, so that the engines of one are not those of the other.
func TestDigest(t *testing.T) {
	dir := t.TempDir()
	one, other := write(t, elf.EM_X86_64, "one", dir, "one.so"), write(t, elf.EM_X86_64, "other", dir, "other.so")
	told := strings.Repeat("0f", 32)
	if got, err := digestOf(told, "nowhere"); got != told || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	a, errA := digestOf("unknown", one)
	b, errB := digestOf("unknown", other)
	if a == b || len(a) != 64 || len(b) != 64 || errA != nil || errB != nil {
		t.Errorf("%q %v, %q %v", a, errA, b, errB)
	}
	if _, err := digestOf("", filepath.Join(dir, "nothing")); err == nil {
		t.Error("no error for a library that cannot be read")
	}
}

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		library, headers int
		text             string // "" if they go together
	}{
		{100600, 100600, ""}, {100605, 100600, ""}, {100900, 100600, ""},
		{100300, 100600, "lib is TensorRT 10.3.0, and this worker was built with the headers of 10.6.0: it needs 10.6 or a newer 10.x"},
		{110000, 100600, "lib is TensorRT 11.0.0"}, {80600, 100600, "lib is TensorRT 8.6.0"},
	} {
		err := checkVersion("lib", c.library, c.headers)
		var missing *backends.Unavailable
		if c.text == "" && err != nil || c.text != "" && (!errors.As(err, &missing) || missing.Reason != backends.LibraryVersionUnsupported || !strings.Contains(missing.Detail, c.text)) {
			t.Errorf("%d with headers of %d: %v", c.library, c.headers, err)
		}
	}
}

// TestPlaces: what the environment names is looked into, each in its place.
func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("TENSORRT_ROOT", "/trt")
	t.Setenv("LD_LIBRARY_PATH", "/first::/second")
	wheels := filepath.Join(dir, "env/lib/python3.12/site-packages/tensorrt_libs")
	if err := os.MkdirAll(wheels, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VIRTUAL_ENV", filepath.Join(dir, "env"))
	p := standardPlaces()
	if !slices.Contains(p.beside, filepath.Join(dir, ".deps")) || !slices.Contains(p.beside, "/.deps") {
		t.Errorf("beside: %v", p.beside)
	}
	last := -1
	for _, want := range []string{"/first", "/second", "/usr/lib", "/trt/lib", wheels, "/opt/tensorrt/lib"} {
		at := slices.Index(p.system, want)
		if at <= last {
			t.Errorf("%s is at %d, behind %d: %v", want, at, last, p.system)
		}
		last = at
	}
}
