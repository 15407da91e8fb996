//go:build cgo

package ort

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/libpath"
)

// libraryVariable names the library file; when it is set, nothing else is tried.
const libraryVariable = "APEXX_ORT_LIB"

// deviceLibraryVariable names the library file of providers on a device, as libraryVariable does.
const deviceLibraryVariable = "APEXX_ORT_GPU_LIB"

// deviceFolder holds a library for a device, in every folder in which libraries are searched for: beside one for the processor, under the
// same name.
const deviceFolder = "ort-gpu"

// apiVersion is the version of ONNX Runtime's C interface that the binding asks for; library 1.N offers 1 to N.
const apiVersion = 24

// sonames are the names of the library in a folder, in order of preference; the last is a pattern.
var sonames = []string{"libonnxruntime.so.1", "libonnxruntime.so", "libonnxruntime.so.1.*"}

// places says where to look for the library. folders are tried in order.
type places struct {
	variable string // that names the file
	file     string // its value
	folders  []string
	rejected error  // what is said of a file that another variable names, where there is none in the folders; or nil
	missing  string // what to say otherwise
}

// standardPlaces returns the places of this process: .deps where the executable is, .deps in the working directory and every
// folder above it, the user's cache, and the folders of the system's loader.
func standardPlaces() places {
	p := places{variable: libraryVariable, file: os.Getenv(libraryVariable),
		missing: "no libonnxruntime.so.1 in .deps beside the program or its folder .bin, in .deps of the working directory " +
			"or above it, in the user's cache or in the system's folders; run 'make deps', or set " + libraryVariable + " to the file"}
	if exe := libpath.Executable(); exe != "" {
		p.folders = append(p.folders, libpath.Beside(exe)...)
	}
	if dir, err := os.Getwd(); err == nil {
		p.folders = append(p.folders, libpath.Upwards(dir)...)
	}
	if cache, err := os.UserCacheDir(); err == nil {
		p.folders = append(p.folders, filepath.Join(cache, "apexx"))
	}
	p.folders = append(p.folders, libpath.Loader(os.Getenv("LD_LIBRARY_PATH"), libpath.Configurations)...)
	return p
}

// placesOf returns the places of the library of a provider. On a device it is what deviceLibraryVariable names, or libraryVariable if that is built
// for the device; else the first that is built for it in the standard folders, where one may lie apart in deviceFolder.
func placesOf(p Provider) places {
	standard := standardPlaces()
	if !p.onDevice() {
		return standard
	}
	device := places{variable: deviceLibraryVariable, file: os.Getenv(deviceLibraryVariable),
		missing: "no libonnxruntime.so.1 in a folder " + deviceFolder + " or in a folder where one for the processor is looked for; run 'make setup-ort-gpu', or set " +
			deviceLibraryVariable + " to the file"}
	if device.file == "" && standard.file != "" {
		if device.rejected = builtFor(p, standard.file); device.rejected == nil {
			return standard
		}
	}
	for _, dir := range standard.folders {
		device.folders = append(device.folders, filepath.Join(dir, deviceFolder), dir)
	}
	return device
}

// find returns the path of the first library that check accepts. When there are only rejected ones, the error is about the
// first of them, and about one that another variable names before those.
func (p places) find(check func(path string) error) (string, error) {
	if p.file != "" {
		info, err := os.Stat(p.file)
		if err == nil && info.IsDir() {
			err = errors.New("it is a folder")
		}
		if err != nil {
			return "", unavailable(backends.LibraryNotFound, "%s is %q: %v", p.variable, p.file, err)
		}
		return p.file, check(p.file)
	}
	rejected := p.rejected
	for _, dir := range p.folders {
		for _, soname := range sonames {
			for _, path := range slices.Backward(libpath.Glob(dir, soname)) { // the highest version first
				err := check(path)
				if err == nil {
					return path, nil
				}
				if rejected == nil {
					rejected = err
				}
			}
		}
	}
	if rejected != nil {
		return "", rejected
	}
	return "", unavailable(backends.LibraryNotFound, "%s", p.missing)
}

// machines are the ELF machines of the processors that Go calls by these names.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// checkLibrary reads the headers of a library, without opening it: its processor, the entry point, and the version that the
// entry point carries ("VERS_1.30.0").
func checkLibrary(path string) error {
	file, err := input.Open(path, input.Library)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return unavailable(backends.LibraryNotFound, "%v", err)
	} else if err != nil {
		return unavailable(backends.LibraryLoadFailed, "%v", err)
	}
	defer file.Close()
	f, err := elf.NewFile(file)
	if err != nil {
		return unavailable(backends.LibraryLoadFailed, "%s is no ELF library: %v", path, err)
	}
	if want := machines[runtime.GOARCH]; f.Machine != want {
		return unavailable(backends.LibraryWrongArchitecture, "%s is for %v, this program for %v", path, f.Machine, want)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return unavailable(backends.LibraryLoadFailed, "%s: %v", path, err)
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "OrtGetApiBase" && s.Section != elf.SHN_UNDEF })
	if i < 0 {
		return unavailable(backends.LibrarySymbolMissing, "%s has no function OrtGetApiBase", path)
	}
	if version, ok := definedVersion(f, symbols[i]); ok && !offersAPI(version) {
		return unavailable(backends.LibraryVersionUnsupported, "%s is ONNX Runtime %s, want 1.%d or newer", path, version, apiVersion)
	}
	return nil
}

// definedVersion returns the version under which a library defines a symbol, without its prefix.
func definedVersion(f *elf.File, s elf.Symbol) (string, bool) {
	versions, err := f.DynamicVersions()
	if err != nil {
		return "", false
	}
	for _, v := range versions {
		if v.Index == s.VersionIndex.Index() {
			return strings.CutPrefix(v.Name, "VERS_")
		}
	}
	return "", false
}

// offersAPI reports whether the library of that version, such as 1.30.0, has the interface that the binding needs.
func offersAPI(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	return errA != nil || errB != nil || a == 1 && b >= apiVersion // an unreadable version is left to the library
}

// unavailable says what is missing. Backend.own adds which backend misses it.
func unavailable(reason backends.Reason, format string, args ...any) error {
	return &backends.Unavailable{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
