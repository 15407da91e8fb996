package driver

import (
	"cmp"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/internal/libpath"
)

// Variables that name a library; where one is set, nothing else is tried for it.
const (
	libraryVariable = "APEXX_TRT_LIB"        // file libnvinfer.so.10, or a folder with it
	pluginVariable  = "APEXX_TRT_PLUGIN_LIB" // file libapexx-tensorrt.so
)

// Names of the libraries; patterns.
const (
	inferLibrary   = "libnvinfer.so.10*"
	otherInfer     = "libnvinfer.so*" // of any version
	parserLibrary  = "libnvonnxparser.so.10*"
	builderLibrary = "libnvinfer_builder_resource*.so.%s"
	pluginLibrary  = "libapexx-tensorrt.so"
)

// places says where to look, in this order.
type places struct {
	library, plugins string   // values of the variables
	beside           []string // folders of our own: where the worker is and .deps there, and .deps of the working directory and above it
	system           []string // the loader's, and those of NVIDIA's packages
}

// layouts are the folders below one of ours in which TensorRT may lie: as make setup-tensorrt unpacks it, as NVIDIA's archive has it, and as the
// redistribution jar does.
var layouts = []string{"", "tensorrt", "tensorrt/lib", "tensorrt/org/bytedeco/tensorrt/linux-x86_64", "org/bytedeco/tensorrt/linux-x86_64"}

// packages are the folders of NVIDIA's packages: of Debian's kind, archives unpacked by hand, and wheels of Python in a virtual environment.
func packages(getenv func(string) string) []string {
	var list []string
	for _, root := range []string{getenv("TENSORRT_ROOT"), getenv("TRT_ROOT")} {
		if root != "" {
			list = append(list, filepath.Join(root, "lib"), filepath.Join(root, "targets/x86_64-linux-gnu/lib"))
		}
	}
	if env := getenv("VIRTUAL_ENV"); env != "" {
		list = append(list, libpath.Glob(env, "lib/python*/site-packages/tensorrt_libs")...)
	}
	return append(list, "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/local/tensorrt/lib", "/usr/local/TensorRT/lib", "/opt/tensorrt/lib")
}

// standardPlaces returns the places of this process.
func standardPlaces() places {
	p := places{library: os.Getenv(libraryVariable), plugins: os.Getenv(pluginVariable)}
	if exe := libpath.Executable(); exe != "" {
		p.beside = append(append(p.beside, filepath.Dir(exe)), libpath.Beside(exe)...)
	}
	if dir, err := os.Getwd(); err == nil {
		p.beside = append(p.beside, libpath.Upwards(dir)...)
	}
	p.system = append(libpath.Loader(os.Getenv("LD_LIBRARY_PATH"), libpath.Configurations), packages(os.Getenv)...)
	return p
}

// folders lists all places in their order.
func (p places) folders() []string {
	var list []string
	for _, dir := range p.beside {
		for _, layout := range layouts {
			list = append(list, filepath.Join(dir, layout))
		}
	}
	return append(list, p.system...)
}

// libraries are the files of one TensorRT.
type libraries struct {
	infer, parser string
	folder        string
}

// find returns TensorRT's libraries. The parser lies beside the other; without it nothing can be built.
func (p places) find() (libraries, error) {
	folders := p.folders()
	if p.library != "" {
		info, err := os.Stat(p.library)
		switch {
		case err != nil:
			return libraries{}, unavailable(backends.LibraryNotFound, "%s is %q: %v", libraryVariable, p.library, errors.Unwrap(err))
		case !info.IsDir():
			return librariesOf(p.library)
		}
		folders = []string{p.library}
	}
	other := ""
	for _, dir := range folders {
		if path := newest(dir, inferLibrary); path != "" {
			return librariesOf(path)
		}
		if path := newest(dir, otherInfer); other == "" && path != "" {
			other = path
		}
	}
	switch {
	case other != "":
		return libraries{}, unavailable(backends.LibraryVersionUnsupported, "%s is no TensorRT 10, which this worker needs", other)
	case p.library != "":
		return libraries{}, unavailable(backends.LibraryNotFound, "%s is %q, in which there is no libnvinfer.so.10", libraryVariable, p.library)
	}
	return libraries{}, unavailable(backends.LibraryNotFound, "no libnvinfer.so.10 beside the worker, in .deps, on the loader's path or where NVIDIA's packages put it; run 'make setup-tensorrt', "+
		"or set %s to the file or its folder", libraryVariable)
}

func librariesOf(infer string) (libraries, error) {
	path, err := filepath.Abs(infer) // a bare name would be searched for by the loader
	if err != nil {
		return libraries{}, unavailable(backends.LibraryNotFound, "%v", err)
	}
	l := libraries{infer: path, folder: filepath.Dir(path)}
	l.parser = newest(l.folder, parserLibrary)
	return l, checkELF(path, "createInferRuntime_INTERNAL")
}

// builder returns the library that a TensorRT of that version builds with, "" where it is not there.
func (l libraries) builder(version string) string {
	return newest(l.folder, fmt.Sprintf(builderLibrary, version))
}

// withoutBuilder says what is missing beside a TensorRT of that version to build engines; "" if nothing is.
func (l libraries) withoutBuilder(version string) string {
	switch {
	case l.parser == "":
		return fmt.Sprintf("there is no libnvonnxparser.so.10 in %s", l.folder)
	case l.builder(version) == "":
		return fmt.Sprintf("there is no libnvinfer_builder_resource.so.%s in %s: engines that were built elsewhere run, none can be built", version, l.folder)
	}
	return ""
}

// findPlugins returns the library of plugins, or why there is none.
func (p places) findPlugins() (path, without string) {
	if p.plugins != "" {
		if _, err := os.Stat(p.plugins); err != nil {
			return "", fmt.Sprintf("%s is %q: %v", pluginVariable, p.plugins, errors.Unwrap(err))
		}
		path, err := filepath.Abs(p.plugins)
		if err != nil {
			return "", err.Error()
		}
		return path, ""
	}
	for _, dir := range slices.Concat(p.beside, p.system) {
		if path := newest(dir, pluginLibrary); path != "" {
			return path, ""
		}
	}
	return "", fmt.Sprintf("there is no %s beside the worker, in .deps or on the loader's path: run 'make tensorrt', or set %s to the file", pluginLibrary, pluginVariable)
}

// newest returns the file of a folder that matches, of the highest version; "" if there is none.
func newest(dir, pattern string) string {
	matches := libpath.Glob(dir, pattern)
	if len(matches) == 0 {
		return ""
	}
	return slices.MaxFunc(matches, func(a, b string) int {
		return cmp.Or(slices.Compare(numbersIn(a), numbersIn(b)), strings.Compare(a, b))
	})
}

var digits = regexp.MustCompile(`[0-9]+`)

// numbersIn lists the numbers of a file's name, such as 10, 6 and 0: its version.
func numbersIn(path string) []int {
	var list []int
	for _, text := range digits.FindAllString(filepath.Base(path), -1) {
		n, _ := strconv.Atoi(text)
		list = append(list, n)
	}
	return list
}

// digestOf names what a library of plugins is built of: the digest that it tells, or, where whoever built it gave it none, that of its file.
func digestOf(told, path string) (string, error) {
	if len(told) == hex.EncodedLen(sha256.Size) {
		return told, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", unavailable(backends.LibraryLoadFailed, "%v", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// machines are the ELF machines of the processors that Go calls by these names.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// checkELF reads the headers of a library without opening it: its processor, and whether it has a function.
func checkELF(path, function string) error {
	f, err := elf.Open(path)
	if err != nil {
		return unavailable(backends.LibraryLoadFailed, "%s is no library: %v", path, err)
	}
	defer f.Close()
	if want := machines[runtime.GOARCH]; f.Machine != want {
		return unavailable(backends.LibraryWrongArchitecture, "%s is for %v, this program for %v", path, f.Machine, want)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return unavailable(backends.LibraryLoadFailed, "%s: %v", path, err)
	}
	if !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == function && s.Section != elf.SHN_UNDEF }) {
		return unavailable(backends.LibrarySymbolMissing, "%s has no function %s", path, function)
	}
	return nil
}

// versionText writes what getInferLibVersion returns, such as 100600, as 10.6.0.
func versionText(v int) string { return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100) }

// checkVersion holds a library to the headers that the worker was compiled against. Within a major version newer libraries serve older headers; an older
// library lacks what newer headers speak of.
func checkVersion(path string, library, headers int) error {
	if library/10000 == headers/10000 && library/100 >= headers/100 {
		return nil
	}
	return unavailable(backends.LibraryVersionUnsupported, "%s is TensorRT %s, and this worker was built with the headers of %s: it needs %d.%d or a newer %d.x", path, versionText(library), versionText(headers),
		headers/10000, headers/100%100, headers/10000)
}

func unavailable(reason backends.Reason, format string, args ...any) error {
	return &backends.Unavailable{Backend: tensorrt.Name, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
