//go:build cgo && linux

// Package emulation runs the kernels of folder kernels on the host: a cuda.Driver for tests on machines without a GPU. The operator kernels' own
// sources are compiled by the C++ compiler with kernels/emulator in the place of CUDA, and loaded; what the network's kernels compute, which are
// written in a GPU's own instructions, stands there once more in plain loops.
//
// It shows that the kernels and what backends/cuda makes of a graph are right, as far as one can tell without the device: threads of a
// block take turns from barrier to barrier, blocks run one after the other, and steps in any order that the schedule allows. Memory is
// filled with NaN when it is allocated.
package emulation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNoCompiler says that there is nothing to compile the kernels with.
var ErrNoCompiler = errors.New("no C++ compiler (c++ or the one that CXX names)")

// Build compiles a source of a folder of kernels, a path in it, into a shared library, unless the library of these very sources and flags is there
// already, and returns its path. Its error is ErrNoCompiler where there is no compiler.
func Build(kernels, source string, flags ...string) (string, error) {
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "c++"
	}
	path, err := exec.LookPath(compiler)
	if err != nil {
		return "", ErrNoCompiler
	}
	// A product and a sum stay apart, as in nvcc -fmad=false.
	args := append([]string{"-std=c++20", "-O2", "-ffp-contract=off", "-fPIC", "-shared"}, flags...)
	digest, err := digestOf(kernels, append(args, path, source))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	library := filepath.Join(cache, "apexx", "kernels-"+digest+".so")
	if _, err := os.Stat(library); err == nil {
		return library, nil
	}
	if err := os.MkdirAll(filepath.Dir(library), 0o755); err != nil {
		return "", err
	}
	scratch, err := os.CreateTemp(filepath.Dir(library), "build-*.so")
	if err != nil {
		return "", err
	}
	defer os.Remove(scratch.Name())
	scratch.Close()
	command := exec.Command(path, append(args, "-o", scratch.Name(), filepath.Join(kernels, source))...)
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", compiler, err, bytes.TrimSpace(out))
	}
	return library, os.Rename(scratch.Name(), library)
}

// digestOf is a digest of the kernels and of how they are compiled.
func digestOf(kernels string, with []string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, with)
	for _, pattern := range []string{"*.h", "*.cuh", "ops.cu", "emulator/*", "tensorrt/*.*"} {
		files, err := filepath.Glob(filepath.Join(kernels, pattern))
		if err != nil || len(files) == 0 {
			return "", fmt.Errorf("no kernels in %s (%s)", kernels, pattern)
		}
		for _, name := range files {
			f, err := os.Open(name)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(h, filepath.Base(name))
			_, err = io.Copy(h, f)
			f.Close()
			if err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
