package tensorrt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/filelock"
)

// obtain returns an engine of the key: the one of the file that the options name, a prebuilt one that fits, one of the cache, or a new one, which is kept. A
// file that is named has to fit; what is wrong with one of the cache is mended by building anew. Of several processes that lack the same engine of a cache
// one builds it, and the others wait, of which waiting is told. from is the file that the engine was read from, "" for a new one.
func (s settings) obtain(ctx context.Context, k Key, waiting func(), build func(timings []byte) (Record, Built, error)) (engine []byte, from string, err error) {
	if s.engine != "" {
		engine, err = s.named(k)
		from = s.engine
	} else {
		engine, from, err = s.lookUp(k)
	}
	if engine != nil || err != nil {
		return engine, from, err
	}
	path := s.engine
	if path == "" && s.cache != "" {
		path = s.place(k)
	}
	if err := writable(path); err != nil { // before minutes of building
		return nil, "", err
	}
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if s.engine == "" && path != "" {
		lock, err := filelock.Wait(ctx, path+lockSuffix, waiting)
		if err != nil {
			return nil, "", err
		}
		defer func() {
			os.Remove(lock.Name())
			lock.Close()
		}()
		if engine, from, err := s.lookUp(k); engine != nil || err != nil {
			return engine, from, err
		}
	}
	rec, built, err := build(s.timings(k))
	if err != nil || path == "" {
		return built.Engine, "", err
	}
	if err := writeEngine(path, rec, built.Engine); err != nil {
		return nil, "", err
	}
	return built.Engine, "", s.keepTimings(k, built.Timings)
}

// named returns the engine of the file that the options name, none where there is no file.
func (s settings) named(k Key) ([]byte, error) {
	rec, engine, err := readEngine(s.engine)
	if engine == nil || err != nil {
		return nil, err
	}
	if err := k.check(rec.Key); err != nil {
		return nil, naming(s.engine, err)
	}
	return engine, nil
}

// mended tells whether an engine that the library does not load, from a file, is to be built anew: one of the cache is deleted. Of another file the error is
// returned, with its name.
func (s settings) mended(from string, k Key, err error) (bool, error) {
	var u *backends.Unavailable
	if from == "" || !errors.As(err, &u) || u.Reason != backends.EngineCorrupt {
		return false, err
	}
	if s.cache == "" || from != s.place(k) {
		return false, naming(from, err)
	}
	return true, os.Remove(from)
}

// naming says of which file an *backends.Unavailable is.
func naming(path string, err error) error {
	var u *backends.Unavailable
	if errors.As(err, &u) {
		return unavailable(u.Reason, "%s: %s: build it anew, to another file or after deleting this one", path, u.Detail)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// lookUp finds an engine that fits among the prebuilt one and the cache's, and tells from which file it is.
func (s settings) lookUp(k Key) (engine []byte, from string, err error) {
	if s.prebuilt != "" {
		if engine, err = s.ahead(k); engine != nil || err != nil {
			return engine, s.prebuilt, err
		}
	}
	if s.cache != "" {
		if rec, engine, err := readEngine(s.place(k)); err == nil && engine != nil && k.check(rec.Key) == nil {
			return engine, s.place(k), nil
		}
	}
	return nil, "", nil
}

// ahead returns the prebuilt engine, none where it is that of another session. One that no session here can take is an error: minutes of building would
// come as a surprise.
func (s settings) ahead(k Key) ([]byte, error) {
	rec, engine, err := readEngine(s.prebuilt)
	var u *backends.Unavailable
	switch {
	case errors.As(err, &u):
		return nil, unavailable(u.Reason, "%s: %s", prebuiltVariable, u.Detail)
	case err != nil:
		return nil, err
	case engine == nil:
		return nil, unavailable(backends.EngineCorrupt, "%s is %s: there is no such file", prebuiltVariable, s.prebuilt)
	}
	if err := k.here().check(rec.Key.here()); err != nil {
		return nil, naming(prebuiltVariable+" is "+s.prebuilt, err)
	}
	if k.check(rec.Key) != nil {
		return nil, nil
	}
	return engine, nil
}

// EngineSuffix ends the names of engine files in a cache, and lockSuffix those of the locks beside them.
const (
	EngineSuffix = ".engine"
	lockSuffix   = ".lock"
)

// place is where the cache keeps an engine.
func (s settings) place(k Key) string { return filepath.Join(s.cache, k.Digest()+EngineSuffix) }

var unfit = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// timingPlace is where the cache keeps what was measured: for a version of the library, on a kind of device.
func (s settings) timingPlace(k Key) string {
	return filepath.Join(s.cache, "timing-"+unfit.ReplaceAllString(k.TensorRT+"-"+k.CUDA+"-"+k.Device, "_")+".cache")
}

// timings returns what earlier builds measured; nil where nothing can be read, as it is measured anew.
func (s settings) timings(k Key) []byte {
	if s.cache == "" {
		return nil
	}
	data, err := os.ReadFile(s.timingPlace(k))
	if err != nil {
		return nil
	}
	return data
}

func (s settings) keepTimings(k Key, data []byte) error {
	if s.cache == "" || len(data) == 0 {
		return nil
	}
	if err := os.MkdirAll(s.cache, 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(s.timingPlace(k), 0o644, data)
}

// writable makes sure that a file can be written.
func writable(path string) error {
	if path == "" {
		return nil
	}
	dir := filepath.Dir(path)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".apexx-*"); err == nil {
			return errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return unavailable(backends.EngineCacheUnwritable, "%s: %v; name another folder (--engine-cache), or none", dir, err)
}
