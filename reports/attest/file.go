package attest

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/apex-x/apexx/reports"
)

// File is a file that a statement can be about.
type File struct {
	Name   string // in the statement
	Path   string // here
	SHA256 string
	Size   int64 // bytes
}

func fileOf(name, path string, data []byte) File {
	sum := sha256.Sum256(data)
	return File{name, path, hex.EncodeToString(sum[:]), int64(len(data))}
}

// ReadFile takes the digest of a released file, whatever it holds; it is named by the last part of its path.
func ReadFile(path string) (File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return File{}, err
	case !info.Mode().IsRegular():
		return File{}, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return File{filepath.Base(path), path, hex.EncodeToString(h.Sum(nil)), n}, err
}

// programs are the main packages of the project.
const programs = "github.com/apex-x/apexx/cmd/"

// program is a released program of this project: what the Go linker wrote into it of its source.
type program struct {
	File
	reports.Build
	CommitTime string // RFC 3339, of the commit
}

// programOf reads the build information of a file; nil where it is no program of this project.
func programOf(f File) *program {
	info, err := buildinfo.ReadFile(f.Path)
	if err != nil || !strings.HasPrefix(info.Path, programs) {
		return nil
	}
	p := &program{File: f}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			p.Revision = s.Value
		case "vcs.modified":
			p.Modified = s.Value == "true"
		case "vcs.time":
			p.CommitTime = s.Value
		}
	}
	return p
}
