package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCommitted checks that the committed files are what the generator writes.
func TestCommitted(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "peak"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, ext := range []string{".s", ".go"} {
			name := filepath.Join(f.folder, f.name+"_amd64"+ext)
			want, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join("..", name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs from what the generator writes: run go generate in package kernel", name)
			}
		}
	}
}

// TestRegisters checks that functions for AVX2 use no register that only AVX-512 has: the allocator does not know the difference.
func TestRegisters(t *testing.T) {
	wide := regexp.MustCompile(`\b[XY](1[6-9]|2[0-9]|3[01])\b|\b[ZK][0-9]`)
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("..", f.folder, f.name+"_amd64.s"))
		if err != nil {
			t.Fatal(err)
		}
		for _, function := range strings.Split(string(text), "\nTEXT ")[1:] {
			name, body, _ := strings.Cut(function, "(SB)")
			if r := wide.FindString(body); r != "" && strings.Contains(name, "AVX2") {
				t.Errorf("%s uses %s", name, r)
			}
		}
	}
}
