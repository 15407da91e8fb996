package execute

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/apex-x/apexx/backends/worker"
)

// FileDigests returns the SHA-256 of the file that each of the named backends computes with, by backend: the library that a backend of
// this program opens, the executable of any other. A backend without such a file, one that is not here, and a library that only the
// loader finds, by its bare name, are left out.
func FileDigests(ctx context.Context, names []string) (map[string]string, error) {
	digests := map[string]string{}
	for _, name := range names {
		path := fileOf(ctx, name)
		if path == "" {
			continue
		}
		sum, err := DigestFile(path)
		if err != nil {
			return nil, err
		}
		digests[name] = sum
	}
	return digests, nil
}

// fileOf returns the path of a backend's file, "" where there is none.
func fileOf(ctx context.Context, name string) string {
	if _, err := InProcess().Get(name); err != nil {
		command, err := worker.Find(name)
		if err != nil {
			return ""
		}
		return command[0]
	}
	own, err := Open(name, Options{})
	if err != nil {
		return ""
	}
	for _, f := range own.Probe(ctx).Facts {
		if info, err := os.Stat(f.Value); f.Key == "library" && err == nil && info.Mode().IsRegular() {
			return f.Value
		}
	}
	return ""
}

// DigestFile returns the SHA-256 of a file, in hexadecimal.
func DigestFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
