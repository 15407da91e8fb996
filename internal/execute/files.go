package execute

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
)

// FileDigests returns the SHA-256 of every file with code that the named backends compute with. Under a backend's name stands its own: the
// library that a backend of this program opens, the executable of any other. Under "NAME KEY" stand further libraries, by the keys of the
// probe's facts, such as "tensorrt plugin_library". A file that is not here is left out, and so is what the loader finds for a library by
// itself.
func FileDigests(ctx context.Context, names []string) (map[string]string, error) {
	digests := map[string]string{}
	for _, name := range names {
		for key, path := range filesOf(ctx, name) {
			sum, err := DigestFile(path)
			if err != nil {
				return nil, err
			}
			digests[key] = sum
		}
	}
	return digests, nil
}

// filesOf returns the paths of a backend's files by the keys of FileDigests.
func filesOf(ctx context.Context, name string) map[string]string {
	files := map[string]string{}
	_, err := InProcess().Get(name)
	own := err == nil
	if !own {
		command, err := worker.Find(name)
		if err != nil {
			return nil
		}
		files[name] = command[0]
	}
	for _, f := range ask(ctx, name).Facts {
		key := name + " " + f.Key
		if own && f.Key == "library" {
			key = name
		}
		if isLibraryFile(f) {
			files[key] = f.Value
		}
	}
	return files
}

func isLibraryFile(f backends.Fact) bool {
	if !f.NamesLibrary() {
		return false
	}
	info, err := os.Stat(f.Value)
	return err == nil && info.Mode().IsRegular()
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
