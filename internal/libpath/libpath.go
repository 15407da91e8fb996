// Package libpath lists the folders in which a shared library may lie that a backend opens at run time: our own beside a program and above a
// working directory, and those of the dynamic loader.
package libpath

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// Deps is the folder into which the Makefile fetches libraries.
const Deps = ".deps"

// Configurations are the files that tell the system's loader of folders.
const Configurations = "/etc/ld.so.conf.d/*.conf"

// Executable returns the program's file, with symbolic links followed; "" where the system does not tell.
func Executable() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		return real
	}
	return exe
}

// Beside returns the folders Deps of an executable: beside it and, where it was built into a folder .bin as the Makefile does, beside that.
// No other folder above it counts: a program in /tmp/x takes no library from /tmp/.deps.
func Beside(exe string) []string {
	dir := filepath.Dir(exe)
	out := []string{filepath.Join(dir, Deps)}
	if filepath.Base(dir) == ".bin" {
		out = append(out, filepath.Join(filepath.Dir(dir), Deps))
	}
	return out
}

// Upwards returns the folders Deps of dir and of all folders above it.
func Upwards(dir string) []string {
	var out []string
	for {
		out = append(out, filepath.Join(dir, Deps))
		parent := filepath.Dir(dir)
		if parent == dir {
			return out
		}
		dir = parent
	}
}

// Loader returns the folders that the dynamic loader searches: those of a list as in LD_LIBRARY_PATH, those that configuration files (a
// pattern) name, and the built-in ones.
func Loader(path, configurations string) []string {
	var out []string
	for _, dir := range filepath.SplitList(path) {
		if dir != "" {
			out = append(out, dir)
		}
	}
	files, _ := filepath.Glob(configurations) // fails on a bad pattern alone
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); filepath.IsAbs(line) {
				out = append(out, line)
			}
		}
		f.Close()
	}
	return append(out, "/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
}

// Glob lists the files of a folder, whose name stands for itself, that match a well-formed pattern, in the order of their names.
func Glob(dir, pattern string) []string {
	literal := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
	files, _ := filepath.Glob(filepath.Join(literal, pattern)) // fails on a bad pattern alone
	return files
}
