//go:build cgo && linux

package nvrtc

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // of recipe
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/kernels"
)

// Environment variables.
const (
	LibraryVariable = "APEXX_NVRTC"        // "on", or the file of the library: the kernels are compiled on this machine; unset: they are not
	headersVariable = "APEXX_CUDA_INCLUDE" // the folder of CUDA's headers; unset: found beside the library
)

// FromEnvironment opens the library that the environment asks for, and finds the headers; nil where it asks for none.
func FromEnvironment(getenv func(string) string) (l *Library, headers string, err error) {
	file := getenv(LibraryVariable)
	switch file {
	case "":
		return nil, "", nil
	case "on":
		file = ""
	}
	if l, err = Open(file); err != nil {
		return nil, "", err
	}
	headers, err = findHeaders(file, getenv(headersVariable))
	return l, headers, err
}

// neededHeader is one that the kernels include.
const neededHeader = "cuda_fp16.h"

// findHeaders returns the folder of CUDA's headers: the one that is named, or that of the toolkit or of the PyPI wheel beside the library, or of the
// installed toolkit.
func findHeaders(library, named string) (string, error) {
	folders := []string{named}
	if named == "" {
		folders = []string{"/usr/local/cuda/include"}
		if library != "" {
			root := filepath.Dir(filepath.Dir(library))
			folders = []string{filepath.Join(root, "include"), filepath.Join(filepath.Dir(root), "cuda_runtime", "include"), folders[0]}
		}
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, neededHeader)); err == nil {
			return folder, nil
		}
	}
	return "", &backends.Unavailable{Backend: "cuda", Reason: backends.HeadersNotFound,
		Detail: fmt.Sprintf("NVRTC needs %s, which is in none of %v: name the folder of CUDA's headers by %s", neededHeader, folders, headersVariable)}
}

// program is a file of kernels and how it is compiled, as the Makefile does.
type program struct {
	file     string
	options  []string
	least    int  // compute capability
	specific bool // uses the instructions that 9.0 alone has
}

var programs = []program{
	{file: "ops.cu", options: []string{"--fmad=false"}, least: 75},
	{file: "conv.cu", least: 80, specific: true},
	{file: "norm.cu", least: 80, specific: true},
}

func (p program) architecture(capability int) string {
	if p.specific && capability == 90 {
		return "90a"
	}
	return fmt.Sprint(capability)
}

// recipe is how kernels are compiled. Two builds of the worker that differ in it, such as the sides of a gate, share none.
//
//go:embed nvrtc.go
var recipe []byte

// Kernels returns the machine code of all kernels for a compute capability such as 90. What has been compiled once is kept in the folder cache.
func (l *Library) Kernels(capability int, headers, cache string) ([][]byte, error) {
	sources, err := digest(kernels.Sources)
	if err != nil {
		return nil, err
	}
	header, err := os.ReadFile(filepath.Join(headers, neededHeader)) // it is another in every version of CUDA, and compiled into the kernels
	if err != nil {
		return nil, err
	}
	var images [][]byte
	for _, p := range programs {
		if capability < p.least {
			continue
		}
		architecture := p.architecture(capability)
		key := sha256.Sum256(fmt.Appendln(nil, l.Version(), p.file, architecture, p.options, sources, header, recipe))
		image, err := kept(filepath.Join(cache, "nvrtc-"+hex.EncodeToString(key[:8])+".kernels"), func() ([]byte, error) {
			return l.Compile(kernels.Sources, p.file, architecture, headers, p.options...)
		})
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

// kept returns the content of a file, or what compile makes, which the file then keeps behind its SHA-256. A file that was cut or changed is made anew: a
// driver that loads it may compute anything.
func kept(file string, compile func() ([]byte, error)) ([]byte, error) {
	if text, err := os.ReadFile(file); err == nil && len(text) > sha256.Size {
		sum, image := text[:sha256.Size], text[sha256.Size:]
		if now := sha256.Sum256(image); bytes.Equal(sum, now[:]) {
			return image, nil
		}
	}
	image, err := compile()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(image)
	if err := atomicfile.WriteBytes(file, 0o644, append(sum[:], image...)); err != nil {
		return nil, fmt.Errorf("keeping compiled kernels: %w", err)
	}
	return image, nil
}

// digest returns a digest of files and their names.
func digest(files fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		fmt.Fprintln(h, path, len(text))
		h.Write(text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}
