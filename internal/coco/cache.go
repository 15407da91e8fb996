package coco

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
)

// File is an annotation file that was read.
type File struct {
	Data     *Dataset
	Problems Problems
	SHA256   string // of the file, in hexadecimal digits
	Warning  string // of the cache, "" for none: what is wrong with it costs time and nothing else
}

// Cache keeps what was read of large files in a folder, by the digest of the file, so that it is read faster the next time. Entries are
// complete or absent, and those that were used last stay. The zero value keeps nothing.
type Cache struct {
	Dir string // is made when something is kept
}

const (
	leastCached = 4 << 20 // bytes of a file that is worth an entry
	mostEntries = 8
	entrySuffix = ".annotations"
)

// UserCache is the folder apexx/annotations of the user's cache folder; without one nothing is kept.
func UserCache() Cache {
	dir, err := os.UserCacheDir()
	if err != nil {
		return Cache{}
	}
	return Cache{filepath.Join(dir, "apexx", "annotations")}
}

// Read reads an annotation file as Decode does, from the cache where that has it. Every error names the file. With Options.Each the file itself
// is read.
func (c Cache) Read(path string, o Options) (*File, error) {
	f, err := input.Open(path, input.Annotations)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if c.Dir == "" || o.Each != nil || info.Size() < leastCached {
		return readFile(f, path, o)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, err
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	out, warning := c.find(digest, o)
	if out != nil {
		return out, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if out, err = readFile(f, path, o); err != nil {
		return nil, err
	}
	if out.SHA256 != digest {
		return nil, fmt.Errorf("%s changed while it was read", printable.Line(path))
	}
	out.Warning = cmp.Or(warning, c.keep(out, o))
	return out, nil
}

// readFile reads the file and takes its digest on the way.
func readFile(f *os.File, path string, o Options) (*File, error) {
	sum := sha256.New()
	d, problems, err := Decode(io.TeeReader(f, sum), o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	return &File{Data: d, Problems: problems, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// entry is the file of a digest. Strict rules find other problems.
func (c Cache) entry(digest string, o Options) string {
	if o.Strict {
		digest += "-strict"
	}
	return filepath.Join(c.Dir, digest+entrySuffix)
}

// find returns nil where the cache does not have a file, with a warning if it should.
func (c Cache) find(digest string, o Options) (*File, string) {
	path := c.entry(digest, o)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ""
	}
	var out *File
	if err == nil {
		out = &File{SHA256: digest}
		out.Data, out.Problems, err = restore(text)
	}
	if err != nil {
		return nil, fmt.Sprintf("the cached annotations %s are read again: %v", printable.Line(path), err)
	}
	now := time.Now()
	os.Chtimes(path, now, now) // at worst the entry is the first to go
	return out, ""
}

// keep adds an entry and removes those that were not used for longest. It returns a warning, "" for none.
func (c Cache) keep(f *File, o Options) string {
	err := os.MkdirAll(c.Dir, 0o755)
	if err == nil {
		err = atomicfile.WriteFile(c.entry(f.SHA256, o), 0o644, func(w io.Writer) error { return snapshot(w, f.Data, f.Problems) })
	}
	if err == nil {
		err = c.evict()
	}
	if err != nil {
		return fmt.Sprintf("the annotations are not cached: %v", err)
	}
	return ""
}

func (c Cache) evict() error {
	list, err := os.ReadDir(c.Dir)
	if err != nil {
		return err
	}
	var entries []fs.FileInfo
	for _, e := range list {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), entrySuffix) { // another process may have removed it
			entries = append(entries, info)
		}
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for i := mostEntries; i < len(entries); i++ {
		if err := os.Remove(filepath.Join(c.Dir, entries[i].Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
